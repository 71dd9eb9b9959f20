"""TH and XOF: what exactly is hashed, and that no two inputs are hashed as one."""

import hashlib
from itertools import combinations

import numpy as np
import pytest

from mpc import hashing
from mpc.hashing import TH, XOF, encode, encode_rows, th_rows, xof_counted, xof_rows
from tests.mpc.vectors import load

ENCODED = b"\x00\x00\x00\x10vertex-mpc/1/tag" + b"\x00\x00\x00\x02ab" + b"\x00\x00\x00\x00"


def test_th_is_sha256_of_the_length_prefixed_tag_and_parts():
    assert TH("tag", b"ab", b"") == hashlib.sha256(ENCODED).digest()


@pytest.mark.parametrize("size", [1, 32, 96, 168, 169, 6656])
def test_xof_is_shake128_of_the_same(size):
    assert XOF(size, "tag", b"ab", b"") == hashlib.shake_128(ENCODED).digest(size)


INPUTS = {
    "no part": ("t",),
    "one empty part": ("t", b""),
    "two empty parts": ("t", b"", b""),
    "ab": ("t", b"ab"),
    "a, b": ("t", b"a", b"b"),
    "b, a": ("t", b"b", b"a"),
    "ab, empty": ("t", b"ab", b""),
    "empty, ab": ("t", b"", b"ab"),
    "a length as data": ("t", b"\x00\x00\x00\x00"),
    "other tag": ("u", b"ab"),
    "longer tag": ("ta", b"b"),
    "tag with the separator": ("t/t", b"ab"),
}


@pytest.mark.parametrize("hash_", [TH, lambda *parts: XOF(32, *parts)], ids=["TH", "XOF"])
def test_different_inputs_have_different_hashes(hash_):
    digests = {name: hash_(*parts) for name, parts in INPUTS.items()}
    assert [pair for pair in combinations(digests, 2) if digests[pair[0]] == digests[pair[1]]] == []


def test_th_and_xof_are_unrelated():
    assert TH("t", b"x") != XOF(32, "t", b"x")


def test_xof_rows_is_xof_of_every_row():
    index = np.arange(300, dtype=">u2").view(np.uint8).reshape(300, 2)
    data = np.frombuffer(XOF(300 * 17, "test"), np.uint8).reshape(300, 17)
    expected = [XOF(70, "rows", b"head", index[r].tobytes(), data[r].tobytes()) for r in range(300)]
    assert [row.tobytes() for row in xof_rows(70, "rows", b"head", index, data)] == expected


def test_xof_rows_takes_strided_columns():
    data = np.arange(64, dtype=np.uint8).reshape(4, 16)[:, ::2]
    assert xof_rows(8, "rows", b"", data)[3].tobytes() == XOF(8, "rows", b"", bytes(range(48, 64, 2)))


@pytest.mark.parametrize("vector", load("shake128"), ids=lambda vector: f"{len(vector['msg']) // 2} B")
def test_published_shake128(vector, monkeypatch):
    """Of the bare message: what XOF adds is the encoding above, and nothing else."""
    message, digest = bytes.fromhex(vector["msg"]), bytes.fromhex(vector["md"])
    monkeypatch.setattr(hashing, "encode", lambda tag, *parts: message)
    assert XOF(len(digest), "tag") == digest
    assert XOF(32, "tag") == digest[:32]


def test_th_rows_is_th_of_every_row():
    data = np.frombuffer(XOF(64 * 128, "test"), np.uint8).reshape(64, 128)
    numbers = np.arange(64, dtype=np.uint8)[:, None]
    expected = [TH("rows", b"head", bytes((r,)), data[r].tobytes()) for r in range(64)]
    assert [row.tobytes() for row in th_rows("rows", b"head", numbers, data)] == expected


LAYOUTS = {
    "a column alone": ("t", np.zeros((3, 2), np.uint8)),
    "head and column": ("t", b"head", np.full((3, 2), 255, np.uint8)),
    "empty head, tail": ("t", b"", np.arange(6, dtype=np.uint8).reshape(3, 2), b"tail"),
    "a column of nothing": ("t", b"head", np.empty((3, 0), np.uint8)),
    "two columns, a part between": ("t", np.eye(3, dtype=np.uint8), b"ab", np.zeros((3, 300), np.uint8)),
    "one row": ("t", np.zeros((1, 33), np.uint8), b""),
    "rows that end with zeros": ("t", np.array([[1, 0], [0, 0], [0, 1]], np.uint8)),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_rows_are_encoded_as_one_by_one(layout):
    tag, *parts = layout
    [rows] = {len(part) for part in parts if isinstance(part, np.ndarray)}
    expected = [encode(tag, *(p[r].tobytes() if isinstance(p, np.ndarray) else p for p in parts)) for r in range(rows)]
    assert encode_rows(tag, *parts) == expected


@pytest.mark.parametrize("parts", [(), (b"head",), (np.zeros((2, 1), np.uint8), np.zeros((3, 1), np.uint8))])
def test_rows_need_columns_of_one_height(parts):
    with pytest.raises(ValueError, match="values to unpack"):
        encode_rows("t", *parts)


@pytest.mark.parametrize("given", [0, 7, 255])
def test_a_counted_xof_is_xof_with_each_counter(given):
    expected = [XOF(33, "t", b"ab", bytes((counter,))) for counter in range(256)]
    assert list(xof_counted(33, encode("t", b"ab", bytes((given,))))) == expected
