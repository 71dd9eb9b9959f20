"""A Bob who guesses two bits of Δ: an extension that passes Alice's check iff the guess is right."""

from __future__ import annotations

import numpy as np

from mpc.hashing import XOF
from mpc.ot.bits import product, transpose
from mpc.ot.extension import _check_matrix, _digest, _rows
from mpc.ot.state import BobState

# Three for each of the 64 groups: who gets no for all of them knows the fourth.
GUESSES = [(group, value) for group in range(64) for value in (1, 2, 3)]


def cheating(state: BobState, psid: bytes, group: int, value: int) -> bytes:
    """An extension with x' wrong by its first bit in one group, whose check holds iff Δ is ``value`` there."""
    choices = XOF(68, "test/choices", psid)
    index = np.broadcast_to(np.arange(4, dtype=np.uint8), (64, 4))
    seeds = _rows(psid, index, state.leaves)
    corrections = np.bitwise_xor.reduce(seeds, axis=1) ^ np.frombuffer(choices, np.uint8)
    corrections[group, 0] ^= 1
    columns = np.stack((seeds[:, 2] ^ seeds[:, 3], seeds[:, 1] ^ seeds[:, 3]), axis=1)
    columns[group, 0, 0] ^= value >> 1  # what Alice will have too much where her bit is 1, if the guess is right
    columns[group, 1, 0] ^= value & 1
    rows = transpose(columns.reshape(128, 68))
    sent = corrections.tobytes()
    matrix = _check_matrix(psid, sent)
    honest = np.unpackbits(np.frombuffer(choices, np.uint8), bitorder="little")
    bits = np.unpackbits(matrix, axis=1, bitorder="little")
    check = np.packbits((bits @ honest[:416] + honest[416:]) % 2, bitorder="little")
    return sent + check.tobytes() + _digest(psid, product(matrix, rows[:416]) ^ rows[416:])
