"""The commit certificate of what this party has accepted, signed receipts and preimage, in the keystore's journal: a
restored database can still show others why it erased (lifecycle.md, the acceptor record)."""

from collections.abc import Iterator

import msgspec
from django.db import transaction

from keys import receipts
from keys.keystore import keystore
from keys.models import Statement


class Certificate(msgspec.Struct, frozen=True, array_like=True):
    """`receipts`: the encoded CONFIRMED that committed `rid`; `preimage` of the digest that they sign."""

    rid: bytes
    receipts: tuple[bytes, ...]
    preimage: bytes


def name(identity: bytes, gid: bytes) -> str:
    """Journal entry of a party's certificate for one sharing."""
    return f"certificate/{identity.hex()}/{gid.hex()}"


def write(identity: bytes, gid: bytes, rid: bytes) -> None:
    """Before `rid` is accepted: keep what committed it, as it is held now. One that knows the commit from its journal
    alone leaves what stands there."""
    confirmed = tuple(encoded for encoded, receipt in receipts.held(rid) if receipt.kind == receipts.CONFIRMED)
    statement = Statement.objects.filter(subject=rid).first()
    known = read(identity, gid)
    if statement is None or (known is not None and known.rid == rid and set(confirmed) <= set(known.receipts)):
        return
    entry = Certificate(rid, confirmed, bytes(statement.preimage))
    keystore().journal.replace(name(identity, gid), msgspec.msgpack.encode(entry))


def read(identity: bytes, gid: bytes) -> Certificate | None:
    """The certificate of the last accepted ballot."""
    data = keystore().journal.read(name(identity, gid))
    return msgspec.msgpack.decode(data, type=Certificate) if data is not None else None


def restore(identity: bytes, gid: bytes) -> bool:
    """Put the receipts of the certificate back into the database; whether one was missing there."""
    certificate = read(identity, gid)
    if certificate is None:
        return False
    with transaction.atomic():
        return sum(receipts.keep(encoded, receipts.parse(encoded)) for encoded in certificate.receipts) > 0


def everywhere() -> Iterator[tuple[bytes, bytes, Certificate]]:
    """(identity, gid, certificate) of every one in the journal."""
    for entry in keystore().journal.list("certificate/"):
        _, identity, gid = entry.split("/")
        found = read(bytes.fromhex(identity), bytes.fromhex(gid))
        if found is not None:
            yield bytes.fromhex(identity), bytes.fromhex(gid), found
