"""The ciphersuites: hashes, challenge, and form of a signature (RFC 9591, section 6; BIP340).

``H1`` binds, ``H3`` makes nonces, ``H4`` and ``H5`` hash message and commitments, all under the suite's context; the
challenge is the verifiers' own hash, so that they need not know of FROST.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import ClassVar, Final

from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from mpc import bip340
from mpc.ed25519 import ED25519
from mpc.errors import Malformed
from mpc.group import SECP256K1, Group, Point

_WIDE: Final = 48  # bytes reduced to one scalar of secp256k1: bias 2^-128


class Suite(ABC):
    """One ciphersuite. ``even``: key and R have even y, or both sides of the equation are negated until they have."""

    context: ClassVar[bytes]
    group: ClassVar[Group]
    even: ClassVar[bool] = False

    def h1(self, *parts: bytes) -> int:
        """Binding factors."""
        return self._scalar(b"rho", b"".join(parts))

    def h3(self, *parts: bytes) -> int:
        """Nonces."""
        return self._scalar(b"nonce", b"".join(parts))

    def h4(self, message: bytes) -> bytes:
        """The message."""
        return self._hash(self.context + b"msg" + message)

    def h5(self, commitments: bytes) -> bytes:
        """The encoded commitment list."""
        return self._hash(self.context + b"com" + commitments)

    @abstractmethod
    def challenge(self, nonce_point: Point, public_key: Point, message: bytes) -> int:
        """H2 of R, the key and the message, as any verifier of the scheme computes it."""

    @abstractmethod
    def encode_signature(self, nonce_point: Point, z: int) -> bytes:
        """The scheme's signature."""

    @abstractmethod
    def verify(self, public_key: Point, message: bytes, signature: bytes) -> bool:
        """By the library that knows the scheme and nothing of FROST, where there is one."""

    @abstractmethod
    def _hash(self, data: bytes) -> bytes: ...

    @abstractmethod
    def _scalar(self, use: bytes, data: bytes) -> int: ...


class Ed25519Sha512(Suite):
    """FROST(Ed25519, SHA-512): signatures of RFC 8032 (64 B)."""

    context = b"FROST-ED25519-SHA512-v1"
    group = ED25519

    def challenge(self, nonce_point: Point, public_key: Point, message: bytes) -> int:
        return self._reduced(nonce_point.to_bytes() + public_key.to_bytes() + message)

    def encode_signature(self, nonce_point: Point, z: int) -> bytes:
        return nonce_point.to_bytes() + self.group.encode_scalar(z)

    def verify(self, public_key: Point, message: bytes, signature: bytes) -> bool:
        try:
            crypto_sign_open(signature + message, public_key.to_bytes())
        except BadSignatureError:
            return False
        return True

    def _hash(self, data: bytes) -> bytes:
        return hashlib.sha512(data).digest()

    def _scalar(self, use: bytes, data: bytes) -> int:
        return self._reduced(self.context + use + data)

    def _reduced(self, data: bytes) -> int:
        return int.from_bytes(self._hash(data), "little") % self.group.order


class Secp256k1Sha256(Suite):
    """FROST(secp256k1, SHA-256): R (33 B) ‖ z (32 B). Nobody's signature scheme: BIP340 is built on it."""

    context = b"FROST-secp256k1-SHA256-v1"
    group = SECP256K1

    def challenge(self, nonce_point: Point, public_key: Point, message: bytes) -> int:
        return self._scalar(b"chal", nonce_point.to_bytes() + public_key.to_bytes() + message)

    def encode_signature(self, nonce_point: Point, z: int) -> bytes:
        return nonce_point.to_bytes() + self.group.encode_scalar(z)

    def verify(self, public_key: Point, message: bytes, signature: bytes) -> bool:
        """z·G = R + c·P."""
        length = self.group.point_length
        try:
            nonce_point = self.group.decode(signature[:length])
            z = self.group.decode_scalar(signature[length:])
        except Malformed:
            return False
        weighted = self.group.mul_public(public_key, self.challenge(nonce_point, public_key, message))
        return self.group.base_mul(z) == self.group.add(nonce_point, weighted)

    def _hash(self, data: bytes) -> bytes:
        return hashlib.sha256(data).digest()

    def _scalar(self, use: bytes, data: bytes) -> int:
        """hash_to_field of RFC 9380, section 5.2, one element of 48 bytes."""
        return int.from_bytes(_expand_message(data, self.context + use, _WIDE), "big") % self.group.order


class Bip340Sha256(Secp256k1Sha256):
    """FROST for BIP340: x(R) (32 B) ‖ z (32 B). The context is that of the published vectors for this use."""

    context = b"FROST-secp256k1-SHA256-TR-v1"
    even = True

    def challenge(self, nonce_point: Point, public_key: Point, message: bytes) -> int:
        return bip340.challenge(nonce_point, public_key, message)

    def encode_signature(self, nonce_point: Point, z: int) -> bytes:
        return bip340.x_only(nonce_point.to_bytes()) + self.group.encode_scalar(z)

    def verify(self, public_key: Point, message: bytes, signature: bytes) -> bool:
        return bip340.verify(bip340.x_only(public_key.to_bytes()), message, signature)


def _expand_message(message: bytes, tag: bytes, length: int) -> bytes:
    """expand_message_xmd with SHA-256 (RFC 9380, section 5.3.1): at most 255 · 32 bytes."""
    tag += bytes((len(tag),))
    seed = hashlib.sha256(bytes(64) + message + length.to_bytes(2, "big") + b"\x00" + tag).digest()
    block, output = bytes(32), b""
    for counter in range(1, -(-length // 32) + 1):
        mixed = bytes(left ^ right for left, right in zip(seed, block, strict=True))
        block = hashlib.sha256(mixed + bytes((counter,)) + tag).digest()
        output += block
    return output[:length]


SUITES: Final[dict[str, Suite]] = {"ed25519": Ed25519Sha512(), "bip340": Bip340Sha256()}
