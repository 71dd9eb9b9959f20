"""Multiplication of two of Alice's inputs by a random value of Bob's (RVOLE: DKLs23, protocol 5.2;
cryptography.md, section 6).

    Bob   → Alice   message 1: the OT extension                                            4,400 bytes
    Alice → Bob     message 2: ã ‖ η ‖ μ = 416·3·32 + 32 + 32                             40,000 bytes

Result: c_k + d_k = a_k·b mod q for k = 1, 2, with (c_1, c_2) at Alice and (b, d_1, d_2) at Bob.

    bob, message1 = MulReceiver.start(bob_state, psid, draw)
    alice = verify_extension(alice_state, psid, message1)
    (c_1, c_2), message2 = alice.multiply(a_1, a_2, draw)
    d_1, d_2 = bob.finish(message2)

A failed check means that the other party cheated and may have learnt one bit: ban, never a retry with the same set-up.
"""

import hashlib
import hmac
from collections.abc import Sequence
from functools import cache
from typing import Final, Self, final

import numpy as np

from mpc.errors import CheckFailed, Malformed
from mpc.group import SECP256K1, Draw
from mpc.hashing import TH, XOF, xof_rows
from mpc.limbs import (
    Bytes,
    Limbs,
    all_reduced,
    combination,
    inner_products,
    limbs,
    reduce,
    scalar_words,
    subset_sum,
    words,
)
from mpc.ot.bits import unpack
from mpc.ot.extension import extend, verify
from mpc.ot.state import AliceState, BobState
from mpc.params import (
    CHOICES_LENGTH,
    CORRECTIONS_LENGTH,
    EXTENDED_LENGTH,
    HASH_LENGTH,
    INPUTS,
    MULTIPLICATION_LENGTH,
    SCALAR_LENGTH,
    WIDTH,
    XI,
    Q,
)
from mpc.secret import Confidential

_ROW: Final = WIDTH * SCALAR_LENGTH
_INPUT_LIMBS: Final = INPUTS * SCALAR_LENGTH // 2
_INDEX: Final = np.arange(XI, dtype=">u2").view(np.uint8).reshape(XI, 2)


@cache
def gadget() -> Limbs:
    """g: 416 public scalars, float64 (16, 416). Not powers of two: g must hide b when a few bits of β leak."""
    wide = XOF(XI * SCALAR_LENGTH, "gadget")
    scalars = b"".join(
        SECP256K1.encode_scalar(int.from_bytes(wide[at : at + SCALAR_LENGTH], "big"))
        for at in range(0, len(wide), SCALAR_LENGTH)
    )
    return np.ascontiguousarray(limbs(np.frombuffer(scalars, np.uint8).reshape(XI, SCALAR_LENGTH)).T)


@final
class MulReceiver(Confidential):
    """Bob in one multiplication: `start`, then `finish` once. In memory only, never stored."""

    __slots__ = ("_beta", "_psid", "_rows", "b")

    def __init__(self, psid: bytes, beta: Bytes, rows: Bytes) -> None:
        self._psid = psid
        self._beta = beta
        self._rows: Bytes | None = rows
        # b = Σ g_j β_j (χ in signing), secret.
        self.b: Final[int] = subset_sum(gadget(), beta)

    @classmethod
    def start(cls, state: BobState, psid: bytes, draw: Draw) -> tuple[Self, bytes]:
        """(receiver, message 1: 4,400 bytes). `psid` (32 bytes) is used once, for this session and ordered pair."""
        choices = draw(f"mul/{psid.hex()}/beta", EXTENDED_LENGTH)
        rows, message = extend(state, psid, choices)
        return cls(psid, unpack(choices[:CHOICES_LENGTH]), rows), message

    def finish(self, message: bytes) -> tuple[int, int]:
        """(d_1, d_2) from message 2, 40,000 bytes.

        Raises Malformed for a wrong length and for a scalar ≥ q, before β is used; CheckFailed("mu") when Alice's rows
        are inconsistent: ban her. RuntimeError on a second call, whose answer would be another bit of β.
        """
        if len(message) != MULTIPLICATION_LENGTH:
            raise Malformed("multiplication: length")
        if self._rows is None:
            raise RuntimeError("a multiplication is finished once")
        rows, self._rows = self._rows, None
        corrections = np.frombuffer(message, np.uint8, CORRECTIONS_LENGTH).reshape(XI, _ROW)
        scalar, mu = message[CORRECTIONS_LENGTH:-HASH_LENGTH], message[-HASH_LENGTH:]
        if not all_reduced(corrections):
            raise Malformed("multiplication: scalar not reduced")
        eta = SECP256K1.decode_scalar(scalar)

        beta = self._beta[:, None]
        own = xof_rows(_ROW, "rowhash", self._psid, _INDEX, rows)
        own_limbs, sent_limbs = limbs(own), limbs(corrections)
        matrix = _challenge(_theta(self._psid, message[:CORRECTIONS_LENGTH]))
        sent_words = (sent_limbs @ matrix).astype(np.int64) - scalar_words((eta,))
        check = reduce((own_limbs @ matrix).astype(np.int64) + beta * sent_words)
        if not hmac.compare_digest(TH("mu", self._psid, check), mu):
            raise CheckFailed("mu")
        inputs = own_limbs[:, :_INPUT_LIMBS] + beta * sent_limbs[:, :_INPUT_LIMBS]
        d_1, d_2 = inner_products(gadget(), inputs)
        return d_1, d_2


@final
class MulSender(Confidential):
    """Alice in one multiplication, after Bob's extension has passed its check: `multiply` once. In memory only."""

    __slots__ = ("_delta", "_psid", "_rows")

    def __init__(self, psid: bytes, delta: bytes, rows: Bytes) -> None:
        self._psid = psid
        self._delta = delta
        self._rows: Bytes | None = rows

    def multiply(self, a_1: int, a_2: int, draw: Draw) -> tuple[tuple[int, int], bytes]:
        """((c_1, c_2), message 2: 40,000 bytes) for inputs modulo q.

        RuntimeError on a second call: two messages under one psid give Bob the difference of the inputs.
        """
        if self._rows is None:
            raise RuntimeError("a multiplication is done once")
        rows, self._rows = self._rows, None
        a_hat = SECP256K1.random_scalar(draw, f"mul/{self._psid.hex()}/hat")
        zero = xof_rows(_ROW, "rowhash", self._psid, _INDEX, rows)
        one = xof_rows(_ROW, "rowhash", self._psid, _INDEX, rows ^ np.frombuffer(self._delta, np.uint8))
        zero_limbs = limbs(zero)
        c_1, c_2 = inner_products(gadget(), zero_limbs[:, :_INPUT_LIMBS])

        differences = words(zero) - words(one) + scalar_words((a_1 % Q, a_2 % Q, a_hat))
        corrections = reduce(differences.reshape(XI * WIDTH, -1))
        theta = _theta(self._psid, corrections)
        eta = SECP256K1.encode_scalar(a_hat + theta[0] * a_1 + theta[1] * a_2)
        check = reduce((zero_limbs @ _challenge(theta)).astype(np.int64))
        return (-c_1 % Q, -c_2 % Q), corrections + eta + TH("mu", self._psid, check)


def verify_extension(state: AliceState, psid: bytes, message: bytes) -> MulSender:
    """Alice: checks message 1, 4,400 bytes.

    Raises Malformed for a wrong length, CheckFailed("extension") when Bob cheated: ban him. One check of a pair at a
    time, its verdict durable before anything of the result leaves (see `mpc.ot.extension`).
    """
    return MulSender(psid, state.delta, verify(state, psid, message))


def _theta(psid: bytes, corrections: bytes) -> tuple[int, int]:
    """(θ_1, θ_2), fixed only once ã is. SHA-256 first: SHAKE over 40 kB costs four times as much."""
    wide = XOF(INPUTS * SCALAR_LENGTH, "theta", psid, hashlib.sha256(corrections).digest())
    return int.from_bytes(wide[:SCALAR_LENGTH], "big") % Q, int.from_bytes(wide[SCALAR_LENGTH:], "big") % Q


def _challenge(theta: Sequence[int]) -> Limbs:
    """Turns the limbs of a row of three scalars into words of θ_1·first + θ_2·second + third."""
    return combination((*theta, 1))
