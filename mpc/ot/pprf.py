"""From base OTs to punctured trees: 64 groups of 4 leaves (SoftSpokenOT with k = 2; cryptography.md, section 4).

Group g uses transfers 2g and 2g+1. Leaf y = 2·(bit of the first) + (bit of the second): bit b = 0 is the high one.
Bob knows all leaves; Alice, with choices (d_1, d_2), all but leaf y* = (1 − d_1, 1 − d_2). From here on her secret is
Δ, the bits of all y*.

    Bob → Alice     t_0 ‖ t_1 ‖ t̃ ‖ s̃ for each group, 16 + 16 + 32 + 32       64·96 = 6,144 bytes

Alice stores her leaves by distance: slot e − 1 of a group holds leaf y* ⊕ e. No secret ever indexes memory.
"""

import hmac
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mpc.errors import CheckFailed, Malformed
from mpc.hashing import th_rows, xof_rows
from mpc.ot.bits import masks, pack, swap
from mpc.params import GROUPS, HASH_LENGTH, LEAVES, PPRF_GROUP_LENGTH, PPRF_LENGTH, SEED_LENGTH

Bytes = NDArray[np.uint8]

_GROUP: Final = np.arange(GROUPS, dtype=np.uint8)[:, None]


def expand(pair: bytes, pads: Bytes) -> tuple[Bytes, bytes]:
    """Bob: both pads of each transfer, uint8 (128, 2, 16) → (leaves: uint8 (64, 4, 16), message: 6,144 bytes)."""
    tree = pads.reshape(GROUPS, 2, 2, SEED_LENGTH)
    index = np.tile(np.arange(LEAVES, dtype=np.uint8)[:, None, None], (1, GROUPS, 1))
    leaves = np.concatenate([_children(pair, index[v], tree[:, 0, v]) for v in (0, 1)], axis=1)
    corrections = tree[:, 1] ^ leaves[:, :2] ^ leaves[:, 2:]
    hashes = np.stack([_leaf_hashes(pair, index[y], leaves[:, y]) for y in range(LEAVES)], axis=1)
    message = np.empty((GROUPS, PPRF_GROUP_LENGTH), np.uint8)
    message[:, : 2 * SEED_LENGTH] = corrections.reshape(GROUPS, -1)
    message[:, 2 * SEED_LENGTH : -HASH_LENGTH] = np.bitwise_xor.reduce(hashes, axis=1)
    message[:, -HASH_LENGTH:] = np.frombuffer(_seals(pair, hashes), np.uint8).reshape(GROUPS, HASH_LENGTH)
    return leaves, message.tobytes()


def puncture(pair: bytes, choices: Bytes, pads: Bytes, message: bytes) -> tuple[bytes, Bytes]:
    """Alice: choices, uint8 (128,), pads, uint8 (128, 16) → (Δ: 16 bytes, leaves: uint8 (64, 3, 16) by distance).

    Raises Malformed for a wrong length and CheckFailed("pprf") when Bob's leaves are inconsistent: ban him and throw
    the pair's set-up away. All groups are checked before anything is said.
    """
    if len(message) != PPRF_LENGTH:
        raise Malformed("pprf: length")
    rows = np.frombuffer(message, np.uint8).reshape(GROUPS, PPRF_GROUP_LENGTH)
    corrections = rows[:, : 2 * SEED_LENGTH].reshape(GROUPS, 2, SEED_LENGTH)
    known = pads.reshape(GROUPS, 2, SEED_LENGTH)
    first, second = choices[0::2], choices[1::2]
    hidden = np.uint8(3) ^ (np.uint8(2) * first + second)  # y*

    side = _children(pair, first[:, None], known[:, 0])
    near, far = swap(second, side[:, 0], side[:, 1])  # leaves (d_1, d_2) and (d_1, 1 − d_2)
    correction, _ = swap(second, corrections[:, 0], corrections[:, 1])
    leaves = np.stack((correction ^ known[:, 1] ^ near, far, near), axis=1)

    hashes = np.empty((GROUPS, LEAVES, HASH_LENGTH), np.uint8)
    for distance in range(1, LEAVES):
        hashes[:, distance] = _leaf_hashes(pair, (hidden ^ np.uint8(distance))[:, None], leaves[:, distance - 1])
    sum_of_all = rows[:, 2 * SEED_LENGTH : -HASH_LENGTH]
    hashes[:, 0] = sum_of_all ^ np.bitwise_xor.reduce(hashes[:, 1:], axis=1)
    if not hmac.compare_digest(_seals(pair, _by_leaf(hidden, hashes)), rows[:, -HASH_LENGTH:].tobytes()):
        raise CheckFailed("pprf")
    return pack(1 - choices), leaves


def _children(pair: bytes, side: Bytes, nodes: Bytes) -> Bytes:
    """The two leaves under each group's node of the given side, uint8 (64, 1): uint8 (64, 2, 16)."""
    return xof_rows(2 * SEED_LENGTH, "prg", pair, _GROUP, side, nodes).reshape(GROUPS, 2, SEED_LENGTH)


def _leaf_hashes(pair: bytes, index: Bytes, leaves: Bytes) -> Bytes:
    return xof_rows(HASH_LENGTH, "pprf", pair, _GROUP, index, leaves)


def _seals(pair: bytes, hashes: Bytes) -> bytes:
    """s̃ of all groups, 64·32 bytes, from their leaves' hashes in the order of y, uint8 (64, 4, 32)."""
    return th_rows("pprf-s", pair, _GROUP, hashes.reshape(GROUPS, -1)).tobytes()


def _by_leaf(hidden: Bytes, values: Bytes) -> Bytes:
    """Reorders each group's values from distance e to leaf y = e ⊕ y*."""
    high, low = masks(hidden >> np.uint8(1))[:, None, None], masks(hidden & np.uint8(1))[:, None, None]
    values = values ^ ((values ^ values[:, [2, 3, 0, 1]]) & high)
    return values ^ ((values ^ values[:, [1, 0, 3, 2]]) & low)
