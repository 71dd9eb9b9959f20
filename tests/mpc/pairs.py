"""Ordered pairs of parties with a finished set-up, from fixed draws that refuse to give one label twice."""

from dataclasses import dataclass
from functools import cache

from mpc.hashing import TH, XOF
from mpc.ot import base, pprf
from mpc.ot.state import AliceState, BobState


class Draws:
    """A `Draw` over a seed; `fixed` overrides what single labels give (by their last path component)."""

    def __init__(self, seed: str, fixed: dict[str, bytes] | None = None) -> None:
        self.seed = seed.encode()
        self.fixed = fixed or {}
        self.labels: list[str] = []

    def __call__(self, label: str, size: int) -> bytes:
        assert label not in self.labels, f"drawn twice: {label}"
        self.labels.append(label)
        return self.fixed.get(label.rsplit("/", 1)[-1], XOF(size, "test/draw", self.seed, label.encode()))


@dataclass(frozen=True)
class Pair:
    name: bytes
    alice: AliceState
    bob: BobState


@cache
def set_up(name: str) -> Pair:
    a, key = base.start(Draws(f"{name}/bob"))
    pair = TH("test/pair", name.encode(), key)
    choices, answer, alice_pads = base.answer(pair, key, Draws(f"{name}/alice"))
    leaves, message = pprf.expand(pair, base.pads(pair, a, answer))
    return Pair(pair, AliceState(*pprf.puncture(pair, choices, alice_pads, message)), BobState(leaves))


def flip(message: bytes, at: int, bit: int = 0) -> bytes:
    """The message with one bit of the byte at `at` flipped."""
    position = at % len(message)
    return message[:position] + bytes((message[position] ^ 1 << bit,)) + message[position + 1 :]
