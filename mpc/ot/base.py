"""Base oblivious transfer: 128 per ordered pair, once per pair and generation.

MRR21 "BBOT"; cryptography.md, section 3.

    Bob   → Alice   A = a·G                                            33 bytes
    Alice → Bob     (φ_0, φ_1) for each of 128 transfers               33·2·128 = 8,448 bytes

Bob gets both pads of each transfer, Alice the one of her choice; a pad is 16 bytes. `pair` is 32 bytes that name the
set-up and both roles, A included. Everything rests on Hp: points whose discrete logarithm nobody knows.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mpc.errors import Malformed
from mpc.group import SECP256K1, Draw, Point
from mpc.hashing import xof_rows
from mpc.ot.bits import swap, unpack
from mpc.params import BASE_ANSWER_LENGTH, BASE_OTS, HASH_LENGTH, POINT_LENGTH, SEED_LENGTH

Bytes = NDArray[np.uint8]

_GROUP: Final = SECP256K1
_BLIND_LENGTH: Final = 32
_TRANSFERS: Final = np.arange(BASE_OTS, dtype=np.uint8)


def start(draw: Draw) -> tuple[int, bytes]:
    """Bob, step 1: (a, A); A is 33 bytes.

    `a` must be fresh for each Alice: `draw` is one whose labels are this counterparty's own.
    """
    a = _GROUP.random_scalar(draw, "ot/a")
    return a, _GROUP.base_mul(a).to_bytes()


def answer(pair: bytes, sender_key: bytes, draw: Draw) -> tuple[Bytes, bytes, Bytes]:
    """Alice, step 2: (choices: uint8 (128,) of 0 and 1, message: 8,448 bytes, pads: uint8 (128, 16)).

    The choices are drawn here, fresh for each counterparty. Raises Malformed when A is not a point.
    Both hashes to a point are computed whatever the choice, so that their number of tries does not show it.
    """
    key = _GROUP.decode(sender_key)
    choices = unpack(draw(f"ot/{pair.hex()}/choices", BASE_OTS // 8))
    betas = [_GROUP.random_scalar(draw, f"ot/{pair.hex()}/beta/{i}") for i in range(BASE_OTS)]
    seeds = [draw(f"ot/{pair.hex()}/blind/{i}", _BLIND_LENGTH) for i in range(BASE_OTS)]
    other = _encoded(_GROUP.hash_to_points("ot/blind", np.frombuffer(b"".join(seeds), np.uint8).reshape(BASE_OTS, -1)))
    hashes = _hashes(pair, choices, other)
    own = _encoded([_GROUP.subtract(_GROUP.base_mul(b), hashed) for b, hashed in zip(betas, hashes, strict=True)])
    _hashes(pair, 1 - choices, own)
    message = np.stack(swap(choices, own, other), axis=1)
    return choices, message.tobytes(), _pads(pair, choices, [_GROUP.ecdh(key, beta) for beta in betas])


def pads(pair: bytes, a: int, message: bytes) -> Bytes:
    """Bob, step 3: both pads of each transfer, uint8 (128, 2, 16).

    Raises Malformed for a wrong length, a point that is none, or a key P that is the identity.
    """
    if len(message) != BASE_ANSWER_LENGTH:
        raise Malformed("base OT answer: length")
    encoded = np.frombuffer(message, np.uint8).reshape(BASE_OTS, 2, POINT_LENGTH)
    return np.stack([_pads_of_branch(pair, a, j, encoded[:, j], encoded[:, 1 - j]) for j in (0, 1)], axis=1)


def _pads_of_branch(pair: bytes, a: int, j: int, encoded: Bytes, other: Bytes) -> Bytes:
    """The pads of the choice j, uint8 (128, 16), from all φ_j and φ_{1−j}, uint8 (128, 33)."""
    branch = np.full(BASE_OTS, j, np.uint8)
    points = [_GROUP.decode(point.tobytes()) for point in encoded]
    keys = [_GROUP.add(point, hashed) for point, hashed in zip(points, _hashes(pair, branch, other), strict=True)]
    if any(key.is_identity for key in keys):
        raise Malformed("base OT answer: identity")
    return _pads(pair, branch, [_GROUP.ecdh(key, a) for key in keys])


def _encoded(points: list[Point]) -> Bytes:
    """uint8 (128, 33)."""
    return np.frombuffer(b"".join([point.to_bytes() for point in points]), np.uint8).reshape(BASE_OTS, POINT_LENGTH)


def _slots(branches: Bytes) -> Bytes:
    """i ‖ j for each transfer i, uint8 (128, 2), with its j from branches, uint8 (128,)."""
    return np.stack((_TRANSFERS, branches), axis=1)


def _hashes(pair: bytes, branches: Bytes, other: Bytes) -> list[Point]:
    """Hp(pair, i, j, φ_{1−j}) for each transfer i and its branch j; the φ are uint8 (128, 33)."""
    return _GROUP.hash_to_points("ot/Hp", pair, _slots(branches), other)


def _pads(pair: bytes, branches: Bytes, shared: list[bytes]) -> Bytes:
    """KDF(pair, i, j, shared point), uint8 (128, 16)."""
    points = np.frombuffer(b"".join(shared), np.uint8).reshape(BASE_OTS, HASH_LENGTH)
    return xof_rows(SEED_LENGTH, "ot/pad", pair, _slots(branches), points)
