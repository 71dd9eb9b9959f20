"""The prime-order subgroup of edwards25519 over libsodium.

Points are RFC 8032's 32 bytes, scalars 32 bytes little-endian, as RFC 8032 and RFC 9591 want both.  ``decode`` lets in
the subgroup of prime order without the identity, each point in its one encoding: libsodium's ``is_valid_point`` refuses
what is not canonical, not on the curve, of small order, or has a part of small order (the last from PyNaCl 1.6.2 on).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, final

from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_core_ed25519_from_uniform,
    crypto_core_ed25519_is_valid_point,
    crypto_scalarmult_ed25519_base_noclamp,
    crypto_scalarmult_ed25519_noclamp,
)

from mpc.errors import Malformed
from mpc.group import Group, Point
from mpc.hashing import XOF

_LENGTH: Final = 32
_IDENTITY: Final = b"\x01" + bytes(31)
_SIGN: Final = 0x80


@final
class Ed25519(Group):
    """edwards25519's subgroup of prime order: points 32 bytes, scalars 32 bytes, little-endian.

    ``base_mul`` and ``ecdh`` are constant-time.  A point's inner form is its encoding.
    """

    name = "ed25519"
    order = 2**252 + 27742317777372353535851937790883648493
    point_length = _LENGTH
    scalar_length = _LENGTH

    def __init__(self) -> None:
        self._generator: Final = self.base_mul(1)

    def __repr__(self) -> str:
        return self.name

    @property
    def generator(self) -> Point:
        return self._generator

    def encode(self, point: Point) -> bytes:
        if point._raw is None:
            raise ValueError("the identity is not sent")
        return bytes(point._raw)

    def decode(self, data: bytes) -> Point:
        if len(data) != _LENGTH:
            raise Malformed("point: length")
        if not crypto_core_ed25519_is_valid_point(data):
            raise Malformed("point: not a canonical one of the prime-order subgroup")
        return Point(self, bytes(data))

    def base_mul(self, secret: int) -> Point:
        scalar = self.encode_scalar(secret)
        # Refused for 0 only, which no drawn secret is.
        return Point(self, crypto_scalarmult_ed25519_base_noclamp(scalar)) if any(scalar) else self.identity

    def mul_public(self, point: Point, scalar: int) -> Point:
        if point._raw is None or scalar % self.order == 0:
            return self.identity
        return Point(self, crypto_scalarmult_ed25519_noclamp(self.encode_scalar(scalar), point._raw))

    def combine(self, points: Iterable[Point]) -> Point:
        total: bytes = _IDENTITY
        for point in points:
            if point._raw is not None:
                total = crypto_core_ed25519_add(total, point._raw) if total != _IDENTITY else point._raw
        return Point(self, None if total == _IDENTITY else total)

    def negate(self, point: Point) -> Point:
        """−(x, y) = (−x, y), and the encoding is y with the sign of x; x ≠ 0 in this subgroup but for the identity."""
        if point._raw is None:
            return point
        return Point(self, point._raw[:-1] + bytes((point._raw[-1] ^ _SIGN,)))

    def ecdh(self, point: Point, secret: int) -> bytes:
        if point._raw is None:
            raise ValueError("ecdh with the identity")
        scalar = self.encode_scalar(secret)
        if not any(scalar):
            raise ValueError("ecdh with a zero secret")
        return hashlib.sha256(crypto_scalarmult_ed25519_noclamp(scalar, point._raw)).digest()

    def hash_to_point(self, tag: str, *parts: bytes) -> Point:
        """The sum of two Elligator 2 images: one alone reaches half of the group only."""
        for counter in range(256):
            data = XOF(2 * _LENGTH, tag, *parts, counter.to_bytes(1, "big"))
            halves = (crypto_core_ed25519_from_uniform(data[at : at + _LENGTH]) for at in (0, _LENGTH))
            point = self.combine(Point(self, None if half == _IDENTITY else half) for half in halves)
            if not point.is_identity:
                return point
        raise ArithmeticError("no point in 256 tries")

    def encode_scalar(self, scalar: int) -> bytes:
        """32 bytes, little-endian, reduced."""
        return (scalar % self.order).to_bytes(_LENGTH, "little")

    def decode_scalar(self, data: bytes) -> int:
        if len(data) != _LENGTH:
            raise Malformed("scalar: length")
        scalar = int.from_bytes(data, "little")
        if scalar >= self.order:
            raise Malformed("scalar: not reduced")
        return scalar


ED25519: Final = Ed25519()
