"""From a message to the 32 bytes that ECDSA signs."""

import hashlib
from collections.abc import Callable

# hashlib has SHA-3, whose padding differs from the Keccak that Ethereum uses.
from Crypto.Hash import keccak

from vertex.errors import ApiError


def _keccak256(message: bytes) -> bytes:
    return keccak.new(digest_bits=256, data=message).digest()


def _sha256(message: bytes) -> bytes:
    return hashlib.sha256(message).digest()


HASH_ALGOS: dict[str, Callable[[bytes], bytes]] = {
    "sha256": _sha256,
    "keccak256": _keccak256,
    "sha256d": lambda message: _sha256(_sha256(message)),
    "none": lambda message: message,
}


def digest_of(message: bytes, hash_algo: str) -> bytes:
    """32 bytes; with `none` the message itself, which must have just that length."""
    digest = HASH_ALGOS[hash_algo](message)
    if len(digest) != 32:
        raise ApiError("bad_request_params", "msg: without a hash it has 32 bytes")
    return digest
