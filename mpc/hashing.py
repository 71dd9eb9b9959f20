"""The two hashes of all protocols: `TH` (32 bytes) and `XOF` (any length).

Input of both, unambiguous for every tag and list of parts (each length is 4 bytes, big-endian):

    len(tag') ‖ tag' ‖ len(part_1) ‖ part_1 ‖ …        with tag' = "vertex-mpc/<VERSION>/<tag>"

One tag per use; nothing else in `mpc/` calls SHA-256 or SHAKE on protocol data, but where a standard says what is
hashed (BIP32, BIP340, RFC 9591).
"""

import hashlib
from collections.abc import Iterator
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mpc.params import HASH_LENGTH, VERSION

Bytes = NDArray[np.uint8]

_LENGTH: Final = 4
_COUNTERS: Final = tuple(bytes((counter,)) for counter in range(256))


@cache
def _tagged(tag: str) -> bytes:
    name = f"vertex-mpc/{VERSION}/{tag}".encode()
    return len(name).to_bytes(_LENGTH, "big") + name


def encode(tag: str, *parts: bytes) -> bytes:
    """What `TH` and `XOF` hash: the tag and the length-prefixed parts."""
    pieces = [_tagged(tag)]
    for part in parts:
        pieces += (len(part).to_bytes(_LENGTH, "big"), part)
    return b"".join(pieces)


def TH(tag: str, *parts: bytes) -> bytes:
    """SHA-256 of the tag and the length-prefixed parts: 32 bytes."""
    return hashlib.sha256(encode(tag, *parts)).digest()


def XOF(n: int, tag: str, *parts: bytes) -> bytes:
    """The first n bytes of SHAKE-128 of the tag and the length-prefixed parts.

    A prefix of a longer output: the same tag must not be used with two lengths.
    """
    return hashlib.shake_128(encode(tag, *parts)).digest(n)


def encode_rows(tag: str, *parts: bytes | Bytes) -> list[bytes]:
    """`encode` of many inputs at once. A part is bytes, the same in every row, or uint8 (rows, width), one for each.

    ValueError unless there is a part of the second kind, and all such have the same number of rows. All rows are laid
    out in one buffer: a thousand row hashes cost little more than their permutations.
    """
    [rows] = {len(part) for part in parts if isinstance(part, np.ndarray)}
    template = encode(tag, *(bytes(part.shape[1]) if isinstance(part, np.ndarray) else part for part in parts))
    buffer = np.empty((rows, len(template)), np.uint8)
    buffer[:] = np.frombuffer(template, np.uint8)
    at = len(_tagged(tag))
    for part in parts:
        width = part.shape[1] if isinstance(part, np.ndarray) else len(part)
        at += _LENGTH + width
        if isinstance(part, np.ndarray):
            buffer[:, at - width : at] = part
    return buffer.view(f"V{len(template)}").ravel().tolist()


def th_rows(tag: str, *parts: bytes | Bytes) -> Bytes:
    """`TH(tag, parts[0][r], parts[1][r], …)` for every row r, as uint8 (rows, 32). Parts: see `encode_rows`."""
    digests = b"".join([state.digest() for state in map(hashlib.sha256, encode_rows(tag, *parts))])
    return np.frombuffer(digests, np.uint8).reshape(-1, HASH_LENGTH)


def xof_rows(n: int, tag: str, *parts: bytes | Bytes) -> Bytes:
    """`XOF(n, tag, parts[0][r], parts[1][r], …)` for every row r, as uint8 (rows, n). Parts: see `encode_rows`."""
    digests = b"".join([state.digest(n) for state in map(hashlib.shake_128, encode_rows(tag, *parts))])
    return np.frombuffer(digests, np.uint8).reshape(-1, n)


def xof_counted(n: int, encoded: bytes) -> Iterator[bytes]:
    """`XOF(n, tag, parts…, counter)` for counter = 0 … 255, one byte. `encoded` is that input with any counter."""
    stem = encoded[:-1]
    for counter in _COUNTERS:
        yield hashlib.shake_128(stem + counter).digest(n)
