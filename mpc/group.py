"""Groups of prime order, and secp256k1 over libsecp256k1.

Which multiplication to take is a matter of secrecy, not of taste:

* `base_mul` and `ecdh` are constant-time in the scalar: the only ones for secrets;
* `mul_public` is variable-time: only for a scalar *and* a point that everybody may know.

The calls go straight to coincurve's cffi `lib`: its classes cost two to three times the curve operation.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, Final, final

from coincurve._libsecp256k1 import ffi, lib
from coincurve.context import GLOBAL_CONTEXT

from mpc.errors import Malformed
from mpc.hashing import Bytes, encode, encode_rows, xof_counted
from mpc.params import POINT_LENGTH, SCALAR_LENGTH, Q

# draw(label, n) -> n random bytes. A label is drawn at most once per session: drawing it twice gives the same bytes.
Draw = Callable[[str, int], bytes]

_WIDE = 48  # bytes reduced to one scalar: bias 2^-128


@final
class Point:
    """An immutable element of a group, the identity included. Made by a `Group` only."""

    __slots__ = ("_group", "_raw")

    def __init__(self, group: "Group", raw: Any) -> None:
        self._group: Final = group
        self._raw: Final = raw

    @property
    def is_identity(self) -> bool:
        return self._raw is None

    def to_bytes(self) -> bytes:
        """The fixed-length encoding (`group.point_length`). Raises ValueError for the identity, which has none."""
        return self._group.encode(self)

    def __eq__(self, other: object) -> bool:
        """Not constant-time: for public points. Secret ones are compared by `Group.ecdh_image` and compare_digest."""
        if not isinstance(other, Point):
            return NotImplemented
        if self.is_identity or other.is_identity:
            return self.is_identity and other.is_identity
        return self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash(b"" if self.is_identity else self.to_bytes())

    def __repr__(self) -> str:
        return "Point(identity)" if self.is_identity else f"Point({self.to_bytes().hex()})"


class Group(ABC):
    """What the protocols need of a group of prime order. Scalars are ints and reduced modulo `order` on the way in."""

    name: str
    order: int
    point_length: int
    scalar_length: int

    @property
    @abstractmethod
    def generator(self) -> Point: ...

    @property
    def identity(self) -> Point:
        return Point(self, None)

    @abstractmethod
    def encode(self, point: Point) -> bytes:
        """`point_length` bytes. Raises ValueError for the identity."""

    @abstractmethod
    def decode(self, data: bytes) -> Point:
        """The inverse. Raises Malformed for a wrong length, anything off the group, and the identity."""

    @abstractmethod
    def base_mul(self, secret: int) -> Point:
        """secret·G, constant-time."""

    @abstractmethod
    def mul_public(self, point: Point, scalar: int) -> Point:
        """scalar·point in variable time: never with a secret."""

    @abstractmethod
    def combine(self, points: Iterable[Point]) -> Point:
        """The sum; the identity for no points."""

    @abstractmethod
    def negate(self, point: Point) -> Point: ...

    def add(self, left: Point, right: Point) -> Point:
        return self.combine((left, right))

    def subtract(self, left: Point, right: Point) -> Point:
        return self.combine((left, self.negate(right)))

    @abstractmethod
    def ecdh(self, point: Point, secret: int) -> bytes:
        """SHA-256 of the encoding of secret·point: 32 bytes, constant-time.

        Raises ValueError for the identity and for a secret that is 0 modulo the order.
        """

    def ecdh_image(self, point: Point) -> bytes:
        """What `ecdh` gives when its product is `point`: 32 bytes. Raises ValueError for the identity."""
        return hashlib.sha256(point.to_bytes()).digest()

    @abstractmethod
    def hash_to_point(self, tag: str, *parts: bytes) -> Point:
        """A point whose discrete logarithm nobody knows, uniform over the group without the identity."""

    def random_scalar(self, draw: Draw, label: str) -> int:
        """Uniform in 1 … order − 1 (bias 2^-128): 48 bytes drawn under the label."""
        return int.from_bytes(draw(label, _WIDE), "big") % (self.order - 1) + 1

    def encode_scalar(self, scalar: int) -> bytes:
        """`scalar_length` bytes, big-endian, reduced."""
        return (scalar % self.order).to_bytes(self.scalar_length, "big")

    def decode_scalar(self, data: bytes) -> int:
        """The inverse; 0 is allowed. Raises Malformed for a wrong length and for values ≥ order."""
        if len(data) != self.scalar_length:
            raise Malformed("scalar: length")
        scalar = int.from_bytes(data, "big")
        if scalar >= self.order:
            raise Malformed("scalar: not reduced")
        return scalar


_PUBKEY: Final = ffi.typeof("secp256k1_pubkey *")
_OUTPUT: Final = ffi.typeof("unsigned char [33]")
_SHARED: Final = ffi.typeof("unsigned char [32]")
_LENGTH_OUT: Final = ffi.typeof("size_t *")
_COMPRESSED: Final = 258  # SECP256K1_EC_COMPRESSED
_PREFIXES: Final = (b"\x02", b"\x03")
_FIRST_TRY: Final = b"\x00"


@final
class Secp256k1(Group):
    """secp256k1: compressed points (33 bytes), big-endian scalars (32 bytes).

    The context is coincurve's own, whose blinding of `base_mul` is randomised at import.
    """

    name = "secp256k1"
    order = Q
    point_length = POINT_LENGTH
    scalar_length = SCALAR_LENGTH

    def __init__(self) -> None:
        self._context: Final = GLOBAL_CONTEXT.ctx
        self._generator: Final = self.base_mul(1)

    def __repr__(self) -> str:
        return self.name

    @property
    def generator(self) -> Point:
        return self._generator

    def encode(self, point: Point) -> bytes:
        if point._raw is None:
            raise ValueError("the identity has no encoding")
        output, length = ffi.new(_OUTPUT), ffi.new(_LENGTH_OUT, POINT_LENGTH)
        lib.secp256k1_ec_pubkey_serialize(self._context, output, length, point._raw, _COMPRESSED)
        return ffi.buffer(output)[:]  # type: ignore[no-any-return]

    def decode(self, data: bytes) -> Point:
        if len(data) != POINT_LENGTH:
            raise Malformed("point: length")
        raw = ffi.new(_PUBKEY)
        if not lib.secp256k1_ec_pubkey_parse(self._context, raw, data, POINT_LENGTH):
            raise Malformed("point: not on the curve")
        return Point(self, raw)

    def base_mul(self, secret: int) -> Point:
        raw = ffi.new(_PUBKEY)
        # Refused for 0 only, which no drawn secret is.
        valid = lib.secp256k1_ec_pubkey_create(self._context, raw, self.encode_scalar(secret))
        return Point(self, raw if valid else None)

    def mul_public(self, point: Point, scalar: int) -> Point:
        if point._raw is None:
            return point
        raw = ffi.new(_PUBKEY, point._raw[0])
        valid = lib.secp256k1_ec_pubkey_tweak_mul(self._context, raw, self.encode_scalar(scalar))
        return Point(self, raw if valid else None)

    def combine(self, points: Iterable[Point]) -> Point:
        terms = [point._raw for point in points if point._raw is not None]
        if not terms:
            return self.identity
        raw = ffi.new(_PUBKEY)
        valid = lib.secp256k1_ec_pubkey_combine(self._context, raw, terms, len(terms))
        return Point(self, raw if valid else None)

    def negate(self, point: Point) -> Point:
        if point._raw is None:
            return point
        raw = ffi.new(_PUBKEY, point._raw[0])
        lib.secp256k1_ec_pubkey_negate(self._context, raw)
        return Point(self, raw)

    def ecdh(self, point: Point, secret: int) -> bytes:
        if point._raw is None:
            raise ValueError("ecdh with the identity")
        shared, scalar = ffi.new(_SHARED), self.encode_scalar(secret)
        if not lib.secp256k1_ecdh(self._context, shared, point._raw, scalar, ffi.NULL, ffi.NULL):
            raise ValueError("ecdh with a zero secret")
        return ffi.buffer(shared)[:]  # type: ignore[no-any-return]

    def hash_to_point(self, tag: str, *parts: bytes) -> Point:
        """Try-and-increment: XOF(33, tag, parts, counter) is a sign bit and an x to lift; two tries on average.

        The sign is hashed too: points of one parity only could be told from multiples of G. The number of tries depends
        on the input, so a caller whose input is secret must not let its timing matter.
        """
        return self._lift(encode(tag, *parts, _FIRST_TRY))

    def hash_to_points(self, tag: str, *parts: bytes | Bytes) -> list[Point]:
        """`hash_to_point(tag, parts[0][r], parts[1][r], …)` for every row r; parts as in `mpc.hashing.encode_rows`.

        Row after row, with as much work as one by one: no try depends on what other rows need.
        """
        return [self._lift(encoded) for encoded in encode_rows(tag, *parts, _FIRST_TRY)]

    def _lift(self, encoded: bytes) -> Point:
        """`encoded`: what is hashed, the counter in its last byte."""
        raw, parse = ffi.new(_PUBKEY), lib.secp256k1_ec_pubkey_parse
        for data in xof_counted(POINT_LENGTH, encoded):
            if parse(self._context, raw, _PREFIXES[data[0] & 1] + data[1:], POINT_LENGTH):
                return Point(self, raw)
        raise ArithmeticError("no point in 256 tries")


SECP256K1: Final = Secp256k1()
