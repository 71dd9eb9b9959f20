"""Curve operations and hashes by themselves: libsecp256k1's and hashlib's, called in a loop with arguments ready."""

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice, repeat
from typing import Any, Final

from coincurve._libsecp256k1 import ffi, lib
from coincurve.context import GLOBAL_CONTEXT

from mpc.hashing import XOF, encode, xof_counted
from mpc.params import POINT_LENGTH, SCALAR_LENGTH

_CONTEXT: Final = GLOBAL_CONTEXT.ctx
_COMPRESSED: Final = 258
_SECRET: Final = XOF(SCALAR_LENGTH, "bench/scalar")
# As they come out of a hash to a point; half of them are on the curve.
_CANDIDATES: Final = [b"\x02" + data[1:] for data in islice(xof_counted(POINT_LENGTH, encode("bench/x", b"\x00")), 64)]


@dataclass(frozen=True)
class Shake:
    """SHAKE-128 of an input, to `size` bytes."""

    count: int
    size: int
    encoded: bytes

    def run(self) -> None:
        encoded, size = self.encoded, self.size
        for _ in repeat(None, self.count):
            hashlib.shake_128(encoded).digest(size)


@dataclass(frozen=True)
class Sha:
    """SHA-256 of an input."""

    count: int
    encoded: bytes

    def run(self) -> None:
        encoded = self.encoded
        for _ in repeat(None, self.count):
            hashlib.sha256(encoded).digest()


@dataclass(frozen=True)
class Lift:
    """The square root of a lifted x, found or not."""

    count: int

    def run(self) -> None:
        point, parse = ffi.new("secp256k1_pubkey *"), lib.secp256k1_ec_pubkey_parse
        for _ in repeat(None, self.count // len(_CANDIDATES)):
            for candidate in _CANDIDATES:
                parse(_CONTEXT, point, candidate, POINT_LENGTH)


@dataclass(frozen=True)
class Curve:
    """A function of libsecp256k1."""

    count: int
    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    def run(self) -> None:
        function, arguments = self.function, self.arguments
        for _ in repeat(None, self.count):
            function(_CONTEXT, *arguments)


Operation = Shake | Sha | Lift | Curve


def base_mul(count: int) -> Curve:
    """secret·G."""
    return Curve(count, lib.secp256k1_ec_pubkey_create, (ffi.new("secp256k1_pubkey *"), _SECRET))


def ecdh(count: int) -> Curve:
    """secret·P, hashed."""
    output = ffi.new("unsigned char [32]")
    return Curve(count, lib.secp256k1_ecdh, (output, _point(), _SECRET, ffi.NULL, ffi.NULL))


def mul_public(count: int, scalar: int | None = None) -> Curve:
    """x·P in variable time, by default with an x of full length."""
    encoded = _SECRET if scalar is None else scalar.to_bytes(SCALAR_LENGTH, "big")
    return Curve(count, lib.secp256k1_ec_pubkey_tweak_mul, (_point(), encoded))


def add(count: int, terms: int = 2) -> Curve:
    """A sum of that many points."""
    points = [_point() for _ in range(terms)]
    return Curve(count, lib.secp256k1_ec_pubkey_combine, (ffi.new("secp256k1_pubkey *"), points, terms))


def read(count: int) -> Curve:
    """A compressed point."""
    return Curve(count, lib.secp256k1_ec_pubkey_parse, (ffi.new("secp256k1_pubkey *"), _encoded(), POINT_LENGTH))


def write(count: int) -> Curve:
    """A compressed point."""
    output, length = ffi.new("unsigned char [33]"), ffi.new("size_t *", POINT_LENGTH)
    return Curve(count, lib.secp256k1_ec_pubkey_serialize, (output, length, _point(), _COMPRESSED))


def recover(count: int) -> Curve:
    """The key behind a signature: an ECDSA verification that yields it."""
    signature = ffi.new("secp256k1_ecdsa_recoverable_signature *")
    lib.secp256k1_ecdsa_sign_recoverable(_CONTEXT, signature, _SECRET, _SECRET, ffi.NULL, ffi.NULL)
    return Curve(count, lib.secp256k1_ecdsa_recover, (ffi.new("secp256k1_pubkey *"), signature, _SECRET))


def shake(count: int, size: int, tag: str, *lengths: int) -> Shake:
    """`XOF(size, tag, parts…)` of parts of these lengths."""
    return Shake(count, size, encode(tag, *map(bytes, lengths)))


def sha(count: int, tag: str, *lengths: int) -> Sha:
    """`TH(tag, parts…)` of parts of these lengths."""
    return Sha(count, encode(tag, *map(bytes, lengths)))


def seconds(operations: Iterable[Operation]) -> float:
    """CPU time of all of them."""
    begun = time.process_time()
    for operation in operations:
        operation.run()
    return time.process_time() - begun


def _encoded() -> bytes:
    return next(candidate for candidate in _CANDIDATES if _parsed(candidate) is not None)


def _point() -> Any:
    return _parsed(_encoded())


def _parsed(candidate: bytes) -> Any | None:
    point = ffi.new("secp256k1_pubkey *")
    return point if lib.secp256k1_ec_pubkey_parse(_CONTEXT, point, candidate, POINT_LENGTH) else None
