"""Arithmetic modulo q on many scalars at once, in numpy.

A scalar is 32 bytes big-endian and never parsed: it is seen as 16 limbs of 16 bits (float64, the input of matrix
products) or as 8 words of 32 bits (int64, for sums and reduction), most significant first. A matrix product is exact
because every partial sum is an integer below 2^53. Python integers, one per row, would take twice as long as a whole
signature.

Nothing here branches on the values, except where a word came out as 2^32 − 1 (once in 2^31): see `reduce`.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mpc.params import SCALAR_LENGTH, Q

Bytes = NDArray[np.uint8]
Limbs = NDArray[np.float64]
Words = NDArray[np.int64]

_LIMBS: Final = SCALAR_LENGTH // 2
_WORDS: Final = SCALAR_LENGTH // 4
_WORD_MAX: Final = 2**32 - 1

# Freed, this block teaches glibc's allocator to keep blocks of this size: else it maps temporaries of 128 kB and more
# from the kernel each time, up to 0.3 ms of a signature. Nothing is ever written to it.
_KEPT_BY_ALLOCATOR: Final = 2**24
np.empty(_KEPT_BY_ALLOCATOR, np.uint8)

# 2^256 ≡ 2^256 − q, five words: what a multiple of 2^256 is folded into.
_FOLD_WORDS: Final = 5
_FOLD: Final = np.frombuffer((2**256 - Q).to_bytes(4 * _FOLD_WORDS, "big"), ">u4").astype(np.int64)[:, None]


def limbs(scalars: Bytes) -> Limbs:
    """uint8 (rows, 32·k) → float64 (rows, 16·k), each below 2^16."""
    return scalars.view(">u2").astype(np.float64)


def words(scalars: Bytes) -> Words:
    """uint8 (…, 32·k) → int64 (…, 8·k), each below 2^32."""
    return scalars.view(">u4").astype(np.int64)


def scalar_words(scalars: Sequence[int]) -> Words:
    """Integers in 0 … 2^256 − 1 → int64 (8·k,)."""
    return words(np.frombuffer(b"".join([s.to_bytes(SCALAR_LENGTH, "big") for s in scalars]), np.uint8))


def all_reduced(scalars: Bytes) -> bool:
    """Whether each 32-byte scalar of a uint8 array (rows, 32·k) is below q. For public values."""
    high = scalars.view(np.uint32).reshape(-1, _WORDS)  # only compared with all ones, the same in any order of bytes
    suspects = high[high[:, 0] == _WORD_MAX]
    return all(int.from_bytes(row.tobytes(), "big") < Q for row in suspects)


def reduce(values: Words) -> bytes:
    """Values of 8 unnormalised words, int64 (rows, 8), each |word| < 2^54, modulo q: 32 bytes a row.

    The quotient by 2^256 is estimated from the two highest words and folded. Then all words carry at once, twice: into
    −2^23 … 2^32 + 2^23, and by −1, 0 or 1 into normal ones, unless such a carry meets a word of all ones or zeros. What
    is not normal then, or has a highest word of 2^32 − 1 (every value ≥ q has), is reduced as a Python integer.
    """
    word = values.T.copy()
    quotient = (word[0] + (word[1] >> 32)) >> 32
    word[0] -= quotient << 32
    word[-_FOLD_WORDS:] += quotient * _FOLD
    for _ in range(2):
        carry = word[1:] >> 32
        word[1:] &= _WORD_MAX
        word[:-1] += carry
    abnormal = (word >> 32).any(axis=0) | (word[0] >= _WORD_MAX)
    for row in np.flatnonzero(abnormal):
        value = sum(int(digit) << (32 * i) for i, digit in enumerate(word[::-1, row])) % Q
        word[:, row] = scalar_words([value])
    return word.T.astype(">u4").tobytes()


def combination(coefficients: Sequence[int]) -> Limbs:
    """The matrix, float64 (16·k, 8), that turns limbs of k scalars a row into words of Σ coefficient_k · scalar_k.

    `limbs(rows) @ combination(c)` is unnormalised, congruent modulo q, input for `reduce`. Exact for two coefficients
    below 2^256, 32·(2^16 − 1)·(2^32 − 1) < 2^53 − 2^36, and one more that is 1: it adds less than 2^33.
    """
    shifted: list[int] = []
    for c in reversed(coefficients):
        power = c
        for _ in range(_LIMBS):
            shifted.append(power)
            power = (power << 16) % Q
    return scalar_words(shifted[::-1]).astype(np.float64).reshape(-1, _WORDS)


def inner_products(weights: Limbs, scalars: Limbs) -> list[int]:
    """Σ_row weight_row · scalar_row mod q for each column of scalars.

    `weights`: limbs of one scalar a row, transposed: float64 (16, rows). `scalars`: float64 (rows, 16·k), each limb
    below 2^17, rows ≤ 2^16. Returns k integers.
    """
    products = (weights @ scalars).reshape(_LIMBS, -1, _LIMBS).swapaxes(0, 1)
    # Laid out with rows of 32 and read with rows of 31, the product of limbs a and b lands in column a + b.
    skewed = np.zeros((len(products), _LIMBS, 2 * _LIMBS))
    skewed[:, :, :_LIMBS] = products
    columns = 2 * _LIMBS - 1
    diagonals = skewed.reshape(len(products), -1)[:, : _LIMBS * columns].reshape(-1, _LIMBS, columns).sum(axis=1)
    return [_evaluate(diagonal) for diagonal in diagonals.astype(np.int64).tolist()]


def subset_sum(weights: Limbs, bits: Bytes) -> int:
    """Σ_row bit_row · weight_row mod q. `weights` as in `inner_products`, bits: uint8 (rows,) of 0 and 1."""
    return _evaluate((weights @ bits.astype(np.float64)).astype(np.int64).tolist())


def _evaluate(terms: Sequence[int]) -> int:
    """The value mod q of unnormalised 16-bit limbs, most significant first."""
    value = 0
    for term in terms:
        value = (value << 16) + term
    return value % Q
