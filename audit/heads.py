"""Signed heads, pure: what a vertex says of its own chain, and what a peer says it has seen of it (countersigned).

A line is ``{"head": statement, "signature": hex}``. The signature (DER) is ECDSA on P-256 with SHA-256 by the signing
vertex's key over the statement's own bytes; the statement is canonical JSON of one of the two formats.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from audit import chain

PREFIX = '{"head":'
OWN = "vertex-audit-head/1"
SEEN = "vertex-audit-seen/1"
_FIELDS = {
    OWN: {"format", "vertex", "seq", "hash", "time"},
    SEEN: {"format", "vertex", "party", "number", "receipt", "seq", "hash", "time"},
}


def own_statement(*, vertex: str, seq: int, digest: bytes, time: datetime) -> str:
    """What a vertex signs of its own chain."""
    return _statement(OWN, vertex, seq, digest, time)


def seen_statement(
    *, vertex: str, party: str, number: int, receipt: bytes, seq: int, digest: bytes, time: datetime
) -> str:
    """What `vertex` signs of another party's chain: the head that stood in that party's receipt (its fingerprint)."""
    seen: dict[str, str | int] = {"party": party, "number": number, "receipt": receipt.hex()}
    return _statement(SEEN, vertex, seq, digest, time, **seen)


def _statement(form: str, vertex: str, seq: int, digest: bytes, time: datetime, **more: str | int) -> str:
    at = {"seq": seq, "hash": digest.hex(), "time": chain.time_text(time)}
    return chain.canonical({"format": form, "vertex": vertex, **at, **more})


@dataclass(frozen=True, slots=True)
class Head:
    """A signed statement about a chain; `signature` is not checked yet."""

    statement: str
    signature: bytes
    format: str
    vertex: str
    seq: int
    hash: bytes

    @classmethod
    def parse(cls, statement: str, signature: bytes) -> Self:
        """Raises ValueError for whatever is not a statement of these formats."""
        try:
            fields = json.loads(statement)
            form, seq, digest = fields["format"], fields["seq"], bytes.fromhex(fields["hash"])
            if chain.canonical(fields) != statement or set(fields) != _FIELDS[form]:
                raise ValueError("not in canonical form")
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError("not an exported head") from error
        if type(seq) is not int or seq < 0 or len(digest) != 32:
            raise ValueError("not an exported head")
        return cls(statement, signature, form, str(fields["vertex"]), seq, digest)

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Raises ValueError for anything but a line of `to_line`."""
        try:
            fields = json.loads(line)
            head = cls.parse(fields["head"], bytes.fromhex(fields["signature"]))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError("not an exported head") from error
        if head.to_line() != line:
            raise ValueError("not an exported head in canonical form")
        return head

    @classmethod
    def from_answer(cls, text: str) -> Self:
        """What `GET /audit/head` answered, in one line. Raises ValueError."""
        try:
            fields = json.loads(text)
            return cls.parse(fields["statement"], bytes.fromhex(fields["signature"]))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError("not an exported head") from error

    def to_line(self) -> str:
        return chain.canonical({"head": self.statement, "signature": self.signature.hex()})

    @property
    def claim(self) -> chain.Claim:
        who = "the head signed by" if self.format == OWN else "the head countersigned by"
        return chain.Claim(self.seq, self.hash, f"{who} {self.vertex!a}")

    def check(self, keys: Collection["PublicKey"]) -> None:
        """Raises Broken unless one of the keys verifies it."""
        if not any(key.verifies(self.signature, self.statement.encode()) for key in keys):
            raise chain.Broken(self.seq, f"{self.claim.source} is not signed by this key")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A vertex's ES256 key, as `GET /identity-pubkey` gives it."""

    key: ec.EllipticCurvePublicKey

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Raises ValueError for anything but a public key on P-256."""
        try:
            key = load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ValueError("not a public key in PEM") from error
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ValueError("not a public key on P-256")
        return cls(key)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        try:
            self.key.verify(signature, message, ec.ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True
