"""Bit matrices against plain Python, one bit at a time, at the edges: empty, full, one bit alone, the corners."""

import numpy as np
import pytest

from mpc.hashing import XOF
from mpc.ot.bits import masks, pack, parities, product, swap, transpose, unpack


def bits(matrix):
    return [unpack(row.tobytes()).tolist() for row in matrix]


def matrices(rows, width):
    """By name: uint8 (rows, width)."""
    one = np.zeros((4, rows, width), np.uint8)
    one[0, 0, 0] = one[1, 0, -1] = 1
    one[2, -1, 0] = one[3, -1, -1] = 0x80
    return {
        "zeros": np.zeros((rows, width), np.uint8),
        "ones": np.full((rows, width), 255, np.uint8),
        "first bit": one[0],
        "first row, last byte": one[1],
        "last row, first byte": one[2],
        "last bit": one[3],
        "one column": np.full((rows, width), 0x10, np.uint8),
        "one row in two": np.tile(np.array([[0], [255]], np.uint8), (rows // 2, width)),
        "random": np.frombuffer(XOF(rows * width, "test"), np.uint8).reshape(rows, width),
    }


EXTENDED = matrices(128, 68)
CHECKS = matrices(128, 52)
ROWS = matrices(416, 16)


@pytest.mark.parametrize("name", EXTENDED)
@pytest.mark.parametrize("shape", [(128, 68), (8, 1), (16, 3), (8, 68), (128, 1)])
def test_transpose(name, shape):
    matrix = matrices(*shape)[name]
    kept = matrix.copy()
    assert bits(transpose(matrix)) == [list(column) for column in zip(*bits(matrix), strict=True)]
    assert (matrix == kept).all()


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("matrix", CHECKS)
def test_product(matrix, rows):
    chosen = ROWS[rows]
    expected = [np.bitwise_xor.reduce(chosen[np.flatnonzero(row)], axis=0).tolist() for row in bits(CHECKS[matrix])]
    assert product(CHECKS[matrix], chosen).tolist() == expected


@pytest.mark.parametrize("matrix", CHECKS)
@pytest.mark.parametrize("row", [0, -1])
def test_parities(matrix, row):
    vector = CHECKS["random"][row]
    expected = [sum(a & b for a, b in zip(line, *bits([vector]), strict=True)) % 2 for line in bits(CHECKS[matrix])]
    assert parities(CHECKS[matrix], vector).tolist() == expected


def test_swap_and_masks():
    left, right = np.full((2, 33), 1, np.uint8), np.full((2, 33), 254, np.uint8)
    first, second = swap(np.array([0, 1], np.uint8), left, right)
    assert (first == [[1], [254]]).all()
    assert (second == [[254], [1]]).all()
    assert masks(np.array([0, 1], np.uint8)).tolist() == [0, 255]


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x80\x00", bytes(range(256))])
def test_pack_inverts_unpack(data):
    assert pack(unpack(data)) == data
    assert unpack(data).tolist() == [byte >> i & 1 for byte in data for i in range(8)]
