"""The two hashes of all protocols: `TH` (32 bytes) and `XOF` (any length).

Input of both, unambiguous for every tag and list of parts (each length is 4 bytes, big-endian):

    len(tag') ‖ tag' ‖ len(part_1) ‖ part_1 ‖ …        with tag' = "vertex-mpc/<VERSION>/<tag>"

One tag per use; nothing else in `mpc/` calls SHA-256 or SHAKE on protocol data, but where a standard says what is
hashed (BIP32, BIP340, RFC 9591).
"""

import hashlib
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mpc.params import VERSION

_LENGTH = 4


@cache
def _tagged(tag: str) -> bytes:
    name = f"vertex-mpc/{VERSION}/{tag}".encode()
    return len(name).to_bytes(_LENGTH, "big") + name


def _encode(tag: str, parts: tuple[bytes, ...]) -> bytes:
    pieces = [_tagged(tag)]
    for part in parts:
        pieces.append(len(part).to_bytes(_LENGTH, "big"))
        pieces.append(part)
    return b"".join(pieces)


def TH(tag: str, *parts: bytes) -> bytes:
    """SHA-256 of the tag and the length-prefixed parts: 32 bytes."""
    return hashlib.sha256(_encode(tag, parts)).digest()


def XOF(n: int, tag: str, *parts: bytes) -> bytes:
    """The first n bytes of SHAKE-128 of the tag and the length-prefixed parts.

    A prefix of a longer output: the same tag must not be used with two lengths.
    """
    return hashlib.shake_128(_encode(tag, parts)).digest(n)


def xof_rows(n: int, tag: str, head: bytes, *columns: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`XOF(n, tag, head, columns[0][r], columns[1][r], …)` for every row r, as uint8 (rows, n).

    Each column is uint8 (rows, width); all have the same number of rows. One buffer is laid out for all rows, which is
    what makes a thousand row hashes cost little more than their SHAKE permutations.
    """
    rows = len(columns[0])
    prefix = _encode(tag, (head,))
    width = len(prefix) + sum(_LENGTH + column.shape[1] for column in columns)
    buffer = np.empty((rows, width), np.uint8)
    buffer[:, : len(prefix)] = np.frombuffer(prefix, np.uint8)
    at = len(prefix)
    for column in columns:
        size = column.shape[1]
        buffer[:, at : at + _LENGTH] = np.frombuffer(size.to_bytes(_LENGTH, "big"), np.uint8)
        buffer[:, at + _LENGTH : at + _LENGTH + size] = column
        at += _LENGTH + size
    data, shake = buffer.tobytes(), hashlib.shake_128
    digests = b"".join([shake(data[start : start + width]).digest(n) for start in range(0, len(data), width)])
    return np.frombuffer(digests, np.uint8).reshape(rows, n)
