"""OT extension: 416 correlated rows per session from the 64 trees (SoftSpokenOT; cryptography.md, section 5).

    Bob   → Alice   u_g for each group ‖ x̃ ‖ H(T̃)                     64·68 + 16 + 32 = 4,400 bytes

Afterwards Bob has rows T_j and Alice W_j = T_j ⊕ β_j·Δ. `psid` is 32 bytes, unique per session and ordered pair: using
one twice gives the counterparty the difference of the inputs.

A Bob who cheats learns bits of Δ from whether the check passes, and Δ is shared by all sessions of the pair. The caller
must check one message of a pair at a time, make a failure durable, and only then let anything computed from it leave.
"""

import hmac
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mpc.errors import CheckFailed, Malformed
from mpc.hashing import TH, XOF, xof_rows
from mpc.ot.bits import masks, pack, parities, product, transpose, unpack
from mpc.ot.state import AliceState, BobState
from mpc.params import (
    BASE_OTS,
    CHECK_BITS,
    CHOICES_LENGTH,
    EXTENDED_LENGTH,
    EXTENSION_LENGTH,
    GROUPS,
    HASH_LENGTH,
    LEAVES,
    XI,
)

Bytes = NDArray[np.uint8]

_CORRECTIONS: Final = GROUPS * EXTENDED_LENGTH
_ALL: Final = np.tile(np.arange(LEAVES, dtype=np.uint8), (GROUPS, 1))
_DISTANCES: Final = np.arange(1, LEAVES, dtype=np.uint8)
_GROUP: Final = np.arange(GROUPS, dtype=np.uint8)


def extend(state: BobState, psid: bytes, choices: bytes) -> tuple[Bytes, bytes]:
    """Bob: (T: uint8 (416, 16), message: 4,400 bytes).

    `choices`, 68 bytes, are β (416 bits) and the tail σ (128 bits), both fresh for this psid.
    """
    seeds = _rows(psid, _ALL, state.leaves)
    corrections = np.bitwise_xor.reduce(seeds, axis=1) ^ np.frombuffer(choices, np.uint8)
    columns = seeds[:, 2:0:-1] ^ seeds[:, 3:]  # the leaves whose bit 0 is set, and those whose bit 1 is
    rows = transpose(columns.reshape(BASE_OTS, EXTENDED_LENGTH))
    sent = corrections.tobytes()
    matrix = _check_matrix(psid, sent)
    tail = unpack(choices[CHOICES_LENGTH:])
    check = pack(parities(matrix, np.frombuffer(choices, np.uint8, CHOICES_LENGTH)) ^ tail)
    return rows[:XI], sent + check + _digest(psid, product(matrix, rows[:XI]) ^ rows[XI:])


def verify(state: AliceState, psid: bytes, message: bytes) -> Bytes:
    """Alice: W, uint8 (416, 16).

    Raises Malformed for a wrong length and CheckFailed("extension") when Bob's columns are inconsistent: ban him. All
    128 columns are compared at once.
    """
    if len(message) != EXTENSION_LENGTH:
        raise Malformed("OT extension: length")
    sent, digest = message[:_CORRECTIONS], message[-HASH_LENGTH:]
    corrections = np.frombuffer(sent, np.uint8).reshape(GROUPS, EXTENDED_LENGTH)
    delta = unpack(state.delta).reshape(GROUPS, 2)
    seeds = _rows(psid, (2 * delta[:, :1] + delta[:, 1:]) ^ _DISTANCES, state.leaves)
    columns = seeds[:, 1::-1] ^ seeds[:, 2:]
    columns ^= masks(delta)[:, :, None] & corrections[:, None, :]
    rows = transpose(columns.reshape(BASE_OTS, EXTENDED_LENGTH))
    matrix = _check_matrix(psid, sent)
    check = masks(unpack(message[_CORRECTIONS:-HASH_LENGTH]))[:, None] & np.frombuffer(state.delta, np.uint8)
    if not hmac.compare_digest(_digest(psid, product(matrix, rows[:XI]) ^ rows[XI:] ^ check), digest):
        raise CheckFailed("extension")
    return rows[:XI]


def _rows(psid: bytes, index: Bytes, leaves: Bytes) -> Bytes:
    """r_{g,y} for the leaves, uint8 (64, n, 16), whose numbers y are in index, uint8 (64, n): uint8 (64, n, 68)."""
    count = index.shape[1]
    groups = _GROUP.repeat(count)[:, None]
    flat = leaves.reshape(GROUPS * count, -1)
    return xof_rows(EXTENDED_LENGTH, "row", psid, groups, index.reshape(-1, 1), flat).reshape(GROUPS, count, -1)


def _check_matrix(psid: bytes, corrections: bytes) -> Bytes:
    """M, uint8 (128, 52): fixed only once all u are, hence Fiat–Shamir."""
    matrix = XOF(CHECK_BITS * CHOICES_LENGTH, "check", psid, corrections)
    return np.frombuffer(matrix, np.uint8).reshape(CHECK_BITS, CHOICES_LENGTH)


def _digest(psid: bytes, check_rows: Bytes) -> bytes:
    """The hash of T̃: row i is check bit i of all 128 columns, 16 bytes."""
    return TH("tt", psid, check_rows.tobytes())
