"""Certificates in the keystore's journal, signed receipts and preimage: what committed the ballot that this party has
accepted, and what completed the attempt whose share it uses. A restored database learns both again, from no peer."""

from collections.abc import Iterator
from enum import StrEnum

import msgspec
from django.db import transaction

from keys import receipts
from keys.keystore import keystore
from reshare import statements


class Of(StrEnum):
    """What a certificate shows."""

    COMMIT = "commit"
    COMPLETION = "completion"


_MADE_OF = {Of.COMMIT: receipts.CONFIRMED, Of.COMPLETION: receipts.DELETED}


class Certificate(msgspec.Struct, frozen=True, array_like=True):
    """`receipts`: the encoded CONFIRMED or DELETED about `rid`; `preimage` of the digest that they sign."""

    rid: bytes
    receipts: tuple[bytes, ...]
    preimage: bytes


def _name(of: Of, identity: bytes, gid: bytes) -> str:
    return f"{of}/{identity.hex()}/{gid.hex()}"


def write(of: Of, *, identity: bytes, gid: bytes, rid: bytes) -> None:
    """Keep what is held now, durable on return; `gid` is the old sharing's. Less than what stands there about the same
    attempt does not replace it: a party may know of a commit from its journal alone."""
    made_of = tuple(encoded for encoded, receipt in receipts.held(rid) if receipt.kind == _MADE_OF[of])
    preimage = statements.held(rid)
    known = read(of, identity, gid)
    if preimage is None or (known is not None and known.rid == rid and set(made_of) <= set(known.receipts)):
        return
    entry = Certificate(rid, made_of, preimage)
    keystore().journal.replace(_name(of, identity, gid), msgspec.msgpack.encode(entry))


def read(of: Of, identity: bytes, gid: bytes) -> Certificate | None:
    """The certificate about a party's sharing, if there is one."""
    data = keystore().journal.read(_name(of, identity, gid))
    return msgspec.msgpack.decode(data, type=Certificate) if data is not None else None


def restore(identity: bytes, gid: bytes) -> None:
    """Put the receipts of both certificates back into the database."""
    for of in Of:
        certificate = read(of, identity, gid)
        if certificate is not None:
            with transaction.atomic():
                for encoded in certificate.receipts:
                    receipts.keep(encoded, receipts.parse(encoded))


def everywhere() -> Iterator[tuple[bytes, bytes, Certificate]]:
    """(identity, gid, certificate) of every one in the journal."""
    for of in Of:
        for entry in keystore().journal.list(f"{of}/"):
            _, identity, gid = entry.split("/")
            found = read(of, bytes.fromhex(identity), bytes.fromhex(gid))
            if found is not None:
                yield bytes.fromhex(identity), bytes.fromhex(gid), found
