"""Arithmetic modulo q against Python's integers, at the edges: a carry that is wrong once in 2^32 is wrong."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc.hashing import XOF
from mpc.limbs import all_reduced, combination, inner_products, limbs, reduce, scalar_words, subset_sum
from mpc.params import XI, Q

FOLD = 2**256 - Q
ONES = 2**256 - 1
EDGES = [
    *(0, 1, 2, Q - 2, Q - 1, Q, Q + 1, ONES - 1, ONES, FOLD - 1, FOLD, FOLD + 1, Q - FOLD, Q - FOLD - 1, Q // 2),
    *(2**16 - 1, 2**16, 2**32 - 1, 2**32, 2**128 - 1, 2**128, 2**224 - 1, 2**224, 2**255 - 1, 2**255),
    *((2**32 - 1) << 224, ((2**32 - 1) << 224) - 1, ((2**32 - 2) << 224) + 2**224 - 1, ONES ^ 2**128, ONES ^ 2**224),
    int.from_bytes(b"\xff\xff\x00\x00" * 8, "big"),
    int.from_bytes(b"\x00\x00\xff\xff" * 8, "big"),
]
SCALARS = st.one_of(st.sampled_from(EDGES), st.integers(0, ONES))


def encoded(rows):
    return np.frombuffer(b"".join(s.to_bytes(32, "big") for row in rows for s in row), np.uint8).reshape(len(rows), -1)


def decoded(data):
    return [int.from_bytes(data[at : at + 32], "big") for at in range(0, len(data), 32)]


def value(words):
    return sum(int(word) << (32 * (7 - i)) for i, word in enumerate(words))


def assert_reduces(rows):
    rows = np.array(rows, np.int64)
    assert decoded(reduce(rows.copy())) == [value(row) % Q for row in rows]


@pytest.mark.parametrize("multiple", [0, 1, -1, 2, -2, 2**20, -(2**20)])
@pytest.mark.parametrize("shift", [0, 1, -1, 2**20, -(2**20)])
def test_reduce_at_the_edges(multiple, shift):
    """Each edge, plus a multiple of q, with `shift` moved between each two neighbouring words: the value stays."""
    moved = [np.zeros(8, np.int64)]
    for i in range(7):
        moved.append(np.zeros(8, np.int64))
        moved[-1][i], moved[-1][i + 1] = -shift, shift << 32
    assert_reduces([scalar_words([e]) + multiple * scalar_words([Q]) + m for e in EDGES for m in moved])


def test_reduce_with_every_combination_of_extreme_words():
    extremes = [0, -1, 2**32 - 2, 2**32 - 1, 2**32, 2**54 - 1, 1 - 2**54]
    assert_reduces([(a, b, c, d, d, d, d, e) for a, b, c, d, e in product(extremes, repeat=5)])


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.integers(1 - 2**54, 2**54 - 1), min_size=8, max_size=8), min_size=1, max_size=40))
def test_reduce_anything(rows):
    assert_reduces(rows)


def test_reduce_takes_the_exact_path_for_no_ordinary_value(monkeypatch):
    """It is slow and its time depends on the value: tolerable once in 2^31, not once in a signature."""
    rows = np.frombuffer(XOF(96 * 20000, "test"), np.uint8).reshape(-1, 96)
    unnormalised = (limbs(rows) @ combination((Q // 3, Q - FOLD, 1))).astype(np.int64)
    monkeypatch.setattr("mpc.limbs.scalar_words", None)
    assert len(reduce(unnormalised)) == 32 * 20000


def test_reduce_leaves_its_argument_alone_and_takes_no_rows():
    row = scalar_words([ONES]).reshape(1, 8)
    reduce(row)
    assert value(row[0]) == ONES
    assert reduce(np.empty((0, 8), np.int64)) == b""


COEFFICIENTS = [(0, 0), (1, 1), (Q - 1, Q - 1), (Q - 1, 1), (2**255, FOLD), (Q // 2, Q // 3), (FOLD - 1, Q - FOLD)]


@pytest.mark.parametrize("coefficients", COEFFICIENTS)
def test_combination_at_the_edges(coefficients):
    rows = list(product(EDGES, [ONES, Q - 1, 0], [ONES, FOLD, 1]))
    result = limbs(encoded(rows)) @ combination((*coefficients, 1))
    expected = [(coefficients[0] * x + coefficients[1] * y + z) % Q for x, y, z in rows]
    assert decoded(reduce(result.astype(np.int64))) == expected


def test_a_combination_is_exact_whatever_the_coefficients():
    """No column can sum to 2^53, where float64 stops counting, even if all limbs and words were ones."""
    third = combination((1,))
    assert 32 * (2**16 - 1) * (2**32 - 1) + (2**16 - 1) * int(third.sum(axis=0).max()) < 2**53


@settings(deadline=None, max_examples=50)
@given(st.tuples(SCALARS, SCALARS), st.lists(st.tuples(SCALARS, SCALARS, SCALARS), min_size=1, max_size=20))
def test_combination_of_anything(coefficients, rows):
    theta = [c % Q for c in coefficients]
    result = reduce((limbs(encoded(rows)) @ combination((*theta, 1))).astype(np.int64))
    assert decoded(result) == [(theta[0] * x + theta[1] * y + z) % Q for x, y, z in rows]


@pytest.mark.parametrize("weight", [0, 1, Q - 1, ONES])
@pytest.mark.parametrize("scalar", [0, 1, Q - 1, ONES])
def test_inner_products_of_one_value_in_all_rows(weight, scalar):
    weights = limbs(encoded([(weight,)] * XI)).T
    doubled = 2 * limbs(encoded([(scalar, ONES)] * XI))  # limbs up to 2^17 − 2
    assert inner_products(weights, doubled) == [2 * XI * weight * scalar % Q, 2 * XI * weight * ONES % Q]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(SCALARS, SCALARS, SCALARS, st.integers(0, 1)), min_size=1, max_size=30))
def test_inner_products_and_subset_sums_of_anything(rows):
    weights = limbs(encoded([(w,) for w, *_ in rows])).T
    columns = limbs(encoded([(x, y) for _, x, y, _ in rows]))
    expected = [sum(w * x for w, x, _, _ in rows) % Q, sum(w * y for w, _, y, _ in rows) % Q]
    assert inner_products(weights, columns) == expected
    bits = np.array([bit for *_, bit in rows], np.uint8)
    assert subset_sum(weights, bits) == sum(w for w, _, _, bit in rows if bit) % Q


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("at", [0, 4, 11])
def test_all_reduced_finds_one_scalar_in_any_place(edge, at):
    scalars = [Q - 1, 0, 1] * 4
    scalars[at] = edge
    assert all_reduced(encoded([scalars[:6], scalars[6:]])) == (edge < Q)
