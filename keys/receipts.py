"""Receipts as such: small statements signed by a party's identity key, so that their carrier needs no trust.

A receipt travels as ``msgpack([payload, signature])``: the signature (64 bytes, Ed25519) is over the payload's own
bytes under the tag ``receipt``, so no canonical form is needed to verify it. What a receipt *means* is for the one who
applies it; here it is only made, checked for form and signature, and kept.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from django.db import transaction
from django.db.models import QuerySet

from keys.models import Receipt as ReceiptRow
from keys.models import Statement
from keys.witness import keep_head
from mpc.hashing import TH
from mpc.identity import Identity, verify
from mpc.wire import MAX_K

TAG = "receipt"
MAX_BYTES = 262_144
MAX_RECEIPTS = 1_000  # in one call
MAX_PER_SIGNER = 64  # receipts of one kind, subject and party: an honest one signs a handful, a liar without end
STORED, FAILED, CONFIRMED, ABORTED = "STORED", "FAILED", "CONFIRMED", "ABORTED"
PROMISED, DELETED, COMPLETED = "PROMISED", "DELETED", "COMPLETED"
KINDS = frozenset({STORED, FAILED, CONFIRMED, ABORTED, PROMISED, DELETED, COMPLETED})


class BadReceipt(ValueError):
    """Not a receipt, or not signed by the party that it names."""


class Receipt(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a party says. ``subject`` is a keygen's sid or a reshare's rid, ``digest`` empty before there is one."""

    version: int
    kind: str
    subject: bytes  # 32
    gid: bytes  # 32: the sharing that the party speaks about
    k: int  # the ballot's number; 0 in a keygen
    digest: bytes  # 32, or empty
    party: bytes  # 32: the signer's identity
    body: dict[str, Any]  # what this kind adds (a proof, a method, checks, hellos …)


@dataclass(frozen=True)
class Bundle:
    """What `GET …/receipts` gives and `POST` takes: receipts, and the preimage of the digest that they sign."""

    receipts: list[bytes]
    preimage: bytes | None

    def to_data(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "receipts": [each.hex() for each in self.receipts],
            "preimage": self.preimage.hex() if self.preimage is not None else None,
        }


class _Signed(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    payload: bytes
    signature: bytes


def issue(
    identity: Identity,
    *,
    kind: str,
    subject: bytes,
    gid: bytes,
    k: int,
    digest: bytes,
    body: dict[str, Any] | None = None,
) -> bytes:
    """Sign a receipt as this party; the same arguments give the same bytes."""
    receipt = Receipt(1, kind, subject, gid, k, digest, identity.public, body or {})
    payload = msgspec.msgpack.encode(receipt, order="sorted")
    return msgspec.msgpack.encode(_Signed(payload, identity.sign(TAG, payload)))


def parse(encoded: bytes) -> Receipt:
    """Decode and verify; raises BadReceipt, never anything else, on whatever bytes."""
    if len(encoded) > MAX_BYTES:
        raise BadReceipt(f"a receipt has at most {MAX_BYTES} bytes")
    try:
        signed = msgspec.msgpack.decode(encoded, type=_Signed)
        receipt = msgspec.msgpack.decode(signed.payload, type=Receipt)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        raise BadReceipt("not a receipt") from error
    if receipt.version != 1 or receipt.kind not in KINDS:
        raise BadReceipt("unknown version or kind of receipt")
    fixed = (receipt.subject, receipt.gid, receipt.party)
    if any(len(field) != 32 for field in fixed) or len(receipt.digest) not in (0, 32) or not 0 <= receipt.k <= MAX_K:
        raise BadReceipt("a field of the receipt has the wrong length")
    if len(signed.signature) != 64 or not verify(receipt.party, TAG, (signed.payload,), signed.signature):
        raise BadReceipt("the receipt is not signed by the party that it names")
    return receipt


def fingerprint(encoded: bytes) -> bytes:
    """32 bytes that name a receipt."""
    return TH("receipt-id", encoded)


def keep(encoded: bytes, receipt: Receipt) -> bool:
    """Store a verified receipt for ever; False when it was known, or when its signer has said so much of one kind
    about one subject that no honest party would. Inside the caller's transaction; the audit head in it is then held
    against those that its signer has shown before."""
    said = ReceiptRow.objects.filter(subject=receipt.subject, kind=receipt.kind, party=receipt.party)
    if said.count() >= MAX_PER_SIGNER:
        return False
    name = fingerprint(encoded)
    _, created = ReceiptRow.objects.get_or_create(
        fingerprint=name,
        defaults={
            "subject": receipt.subject,
            "gid": receipt.gid,
            "kind": receipt.kind,
            "party": receipt.party,
            "encoded": encoded,
        },
    )
    if created:
        keep_head(party=receipt.party, fingerprint=name, body=receipt.body)
    return created


def held(subject: bytes) -> list[tuple[bytes, Receipt]]:
    """All receipts of a subject that this vertex holds: (encoded, receipt), in the order in which they came."""
    return _read(ReceiptRow.objects.filter(subject=subject))


def of_sharing(gid: bytes, parties: Iterable[bytes]) -> list[tuple[bytes, Receipt]]:
    """All receipts of these parties about a sharing, whatever their subject."""
    return _read(ReceiptRow.objects.filter(gid=gid, party__in=list(parties)))


def _read(rows: QuerySet[ReceiptRow]) -> list[tuple[bytes, Receipt]]:
    """They were verified before they were stored; the payload alone is read here."""
    encoded = rows.order_by("id").values_list("encoded", flat=True)
    return [(bytes(each), _payload(bytes(each))) for each in encoded]


def _payload(encoded: bytes) -> Receipt:
    return msgspec.msgpack.decode(msgspec.msgpack.decode(encoded, type=_Signed).payload, type=Receipt)


@transaction.atomic
def keep_statement(*, subject: bytes, digest: bytes, preimage: bytes) -> None:
    """Keep the verified preimage of a digest; it travels with the receipts that sign the digest."""
    Statement.objects.get_or_create(digest=digest, defaults={"subject": subject, "preimage": preimage})
