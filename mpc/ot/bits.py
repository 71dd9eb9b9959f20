"""Bit vectors and bit matrices in numpy. Bits inside bytes are little-endian everywhere."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

# Delta swaps that transpose an 8 × 8 bit matrix held in a uint64, one byte a row.
_SWAPS: Final = ((7, 0x00AA00AA00AA00AA), (14, 0x0000CCCC0000CCCC), (28, 0x00000000F0F0F0F0))


def unpack(data: bytes) -> Bytes:
    """The bits of data, uint8 (8·len,), each 0 or 1."""
    return np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")


def pack(bits: Bytes) -> bytes:
    """The inverse of `unpack`."""
    return np.packbits(bits, bitorder="little").tobytes()


def masks(bits: Bytes) -> Bytes:
    """0 → 0x00, 1 → 0xFF: selection without a branch."""
    return np.negative(bits)


def swap(bits: Bytes, left: Bytes, right: Bytes) -> tuple[Bytes, Bytes]:
    """Swaps left[i] and right[i], uint8 (n, width), where bits[i] is 1; without a branch or a secret index."""
    difference = (left ^ right) & masks(bits)[:, None]
    return left ^ difference, right ^ difference


def transpose(matrix: Bytes) -> Bytes:
    """A bit matrix of r rows, uint8 (r, c/8), as its transpose, uint8 (c, r/8); r and c multiples of 8."""
    rows, width = matrix.shape
    blocks = matrix.reshape(rows // 8, 8, width).swapaxes(1, 2).copy().view("<u8")
    for shift, mask in _SWAPS:
        moved = blocks >> np.uint64(shift)
        moved ^= blocks
        moved &= np.uint64(mask)
        blocks ^= moved
        moved <<= np.uint64(shift)
        blocks ^= moved
    return blocks.view(np.uint8).reshape(rows // 8, width, 8).transpose(1, 2, 0).reshape(8 * width, rows // 8)


def product(matrix: Bytes, rows: Bytes) -> Bytes:
    """The product over GF(2) of a public bit matrix, uint8 (m, k/8), and k rows, uint8 (k, 16): uint8 (m, 16).

    By tables of the 16 sums of every 4 rows: all of them are small enough for the processor's first cache. The matrix
    indexes memory, so it must be public; the rows may be secret.
    """
    count, width = matrix.shape
    fours = np.ascontiguousarray(rows).view(np.uint64).reshape(2 * width, 4, 2).swapaxes(0, 1).reshape(4, -1)
    table = np.zeros((16, 4 * width), np.uint64)
    for bit in range(4):
        np.bitwise_xor(table[: 1 << bit], fours[bit], out=table[1 << bit : 2 << bit])
    bytes_ = np.ascontiguousarray(matrix.T)
    index = np.empty((width, 2, count), np.intp)
    np.multiply(bytes_ & np.uint8(15), np.intp(2 * width), out=index[:, 0])
    np.multiply(bytes_ >> np.uint8(4), np.intp(2 * width), out=index[:, 1])
    index += np.arange(2 * width).reshape(width, 2, 1)
    terms = table.reshape(-1, 2).take(index, axis=0).reshape(2 * width, -1)
    sums: NDArray[np.uint64] = np.bitwise_xor.reduce(terms, axis=0)
    return sums.view(np.uint8).reshape(count, 16)


def parities(matrix: Bytes, vector: Bytes) -> Bytes:
    """The product over GF(2) of a bit matrix, uint8 (m, k/8), and a bit vector, uint8 (k/8,): m bits, each 0 or 1."""
    folded: Bytes = np.bitwise_xor.reduce(matrix & vector, axis=1)
    return np.bitwise_count(folded) & np.uint8(1)
