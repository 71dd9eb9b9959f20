"""A party's identity for one key: an Ed25519 key pair, its public half written as the ``keygen_id``.

Ed25519 signs several kinds of things (hellos, messages, receipts, descriptions), each under a tag of its own.  What is
signed is the 32-byte ``TH("signed", tag, parts…)``.
"""

from __future__ import annotations

import hmac

from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

from mpc.hashing import TH
from mpc.secret import Confidential

SECRET_BYTES = 32
PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64

_TEXT_PREFIX = "vtx1"
_CHECKSUM_BYTES = 4


class Identity(Confidential):
    """The secret half (a 32-byte seed) with what one does with it. Seal ``reveal()`` to store it."""

    __slots__ = ("_expanded", "_seed", "public")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SECRET_BYTES:
            raise ValueError("an identity seed is 32 bytes")
        self._seed = seed
        self.public, self._expanded = crypto_sign_seed_keypair(seed)

    def __repr__(self) -> str:
        return f"Identity({self.public.hex()[:16]}…, <redacted>)"

    def reveal(self) -> bytes:
        """The 32-byte seed, to be sealed."""
        return self._seed

    def sign(self, tag: str, *parts: bytes) -> bytes:
        """A signature (64 B) over tag and parts."""
        signed: bytes = crypto_sign(_signed_hash(tag, parts), self._expanded)
        return signed[:SIGNATURE_BYTES]


def verify(public: bytes, tag: str, parts: tuple[bytes, ...], signature: bytes) -> bool:
    """True if ``signature`` (64 B) is the signature of ``public`` (32 B) over tag and parts."""
    if len(public) != PUBLIC_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        crypto_sign_open(signature + _signed_hash(tag, parts), public)
    except BadSignatureError:
        return False
    return True


def _signed_hash(tag: str, parts: tuple[bytes, ...]) -> bytes:
    return TH("signed", tag.encode(), *parts)


def encode_keygen_id(public: bytes) -> str:
    """``keygen_id``: "vtx1", 64 hex digits of the public half, 8 of a checksum."""
    if len(public) != PUBLIC_BYTES:
        raise ValueError("a public identity is 32 bytes")
    return _TEXT_PREFIX + (public + _checksum(public)).hex()


def decode_keygen_id(text: str) -> bytes:
    """The 32 bytes of a ``keygen_id``. ValueError unless version, length, checksum and lower case are right."""
    if len(text) != len(_TEXT_PREFIX) + 2 * (PUBLIC_BYTES + _CHECKSUM_BYTES) or not text.startswith(_TEXT_PREFIX):
        raise ValueError("not a keygen_id of this version")
    digits = text[len(_TEXT_PREFIX) :]
    if not set(digits) <= set("0123456789abcdef"):
        raise ValueError("a keygen_id is written in lower-case hex")
    raw = bytes.fromhex(digits)
    public, checksum = raw[:PUBLIC_BYTES], raw[PUBLIC_BYTES:]
    if not hmac.compare_digest(checksum, _checksum(public)):
        raise ValueError("the checksum of the keygen_id is wrong")
    return public


def _checksum(public: bytes) -> bytes:
    return TH("keygen-id", public)[:_CHECKSUM_BYTES]
