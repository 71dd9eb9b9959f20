"""The acceptor record in the keystore's journal: one per party and `gid`, which no restored database touches."""

from collections.abc import Iterator

import msgspec

from keys.keystore import JournalChanged, keystore
from reshare.rule.types import Acceptor

EMPTY = Acceptor()


class Stale(Exception):
    """The record is not the one that a decision was made from: look again."""


def name(identity: bytes, gid: bytes) -> str:
    """Journal entry of a party's record for one sharing."""
    return f"acceptor/{identity.hex()}/{gid.hex()}"


def read(identity: bytes, gid: bytes) -> Acceptor:
    """The record; an empty one where nothing was promised, voted or stored yet."""
    return _decoded(keystore().journal.read(name(identity, gid)))


def replace(identity: bytes, gid: bytes, *, expected: Acceptor, record: Acceptor) -> None:
    """Compare and set, in one step for all workers, durable on return; raises Stale."""
    journal, entry = keystore().journal, name(identity, gid)
    stands = journal.read(entry)
    if _decoded(stands) != expected:
        raise Stale
    try:
        journal.swap(entry, stands, msgspec.msgpack.encode(record, order="sorted"))
    except JournalChanged:
        raise Stale from None


def all_records() -> Iterator[tuple[bytes, bytes]]:
    """(identity, gid) of every record in the journal."""
    for entry in keystore().journal.list("acceptor/"):
        _, identity, gid = entry.split("/")
        yield bytes.fromhex(identity), bytes.fromhex(gid)


def _decoded(data: bytes | None) -> Acceptor:
    return EMPTY if data is None else msgspec.msgpack.decode(data, type=Acceptor)
