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
from mpc.hashing import XOF
from mpc.ot.bits import unpack
from mpc.params import BASE_ANSWER_LENGTH, BASE_OTS, POINT_LENGTH, SEED_LENGTH

Bytes = NDArray[np.uint8]

_GROUP: Final = SECP256K1


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
    message: list[bytes] = []
    pads: list[bytes] = []
    for i, choice in enumerate(choices.tolist()):
        beta = _GROUP.random_scalar(draw, f"ot/{pair.hex()}/beta/{i}")
        other = _GROUP.hash_to_point("ot/blind", draw(f"ot/{pair.hex()}/blind/{i}", 32))
        other_bytes = other.to_bytes()
        own_bytes = _GROUP.subtract(_GROUP.base_mul(beta), _hash(pair, i, choice, other_bytes)).to_bytes()
        _hash(pair, i, 1 - choice, own_bytes)
        message += (other_bytes, own_bytes) if choice else (own_bytes, other_bytes)
        pads.append(_pad(pair, i, choice, _GROUP.ecdh(key, beta)))
    return choices, b"".join(message), np.frombuffer(b"".join(pads), np.uint8).reshape(BASE_OTS, SEED_LENGTH)


def pads(pair: bytes, a: int, message: bytes) -> Bytes:
    """Bob, step 3: both pads of each transfer, uint8 (128, 2, 16).

    Raises Malformed for a wrong length, a point that is none, or a key P that is the identity.
    """
    if len(message) != BASE_ANSWER_LENGTH:
        raise Malformed("base OT answer: length")
    encoded = [message[at : at + POINT_LENGTH] for at in range(0, len(message), POINT_LENGTH)]
    points = [_GROUP.decode(data) for data in encoded]
    result = []
    for i in range(BASE_OTS):
        for j in (0, 1):
            key = _GROUP.add(points[2 * i + j], _hash(pair, i, j, encoded[2 * i + 1 - j]))
            if key.is_identity:
                raise Malformed("base OT answer: identity")
            result.append(_pad(pair, i, j, _GROUP.ecdh(key, a)))
    return np.frombuffer(b"".join(result), np.uint8).reshape(BASE_OTS, 2, SEED_LENGTH)


def _hash(pair: bytes, i: int, j: int, other: bytes) -> Point:
    return _GROUP.hash_to_point("ot/Hp", pair, bytes((i, j)), other)


def _pad(pair: bytes, i: int, j: int, shared: bytes) -> bytes:
    return XOF(SEED_LENGTH, "ot/pad", pair, bytes((i, j)), shared)
