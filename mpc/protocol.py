"""What a protocol says to whoever drives it: frames to send, rounds to wait for, durable things to do in between.

A protocol is a generator without I/O and without a clock.  It yields

* a ``Step``: send its frames, collect what ``accept`` lets through until ``complete``, send the list back;
* a ``Checkpoint``: do something durable and send the answer back, or throw an exception in to stop.

It returns its result, or raises an error of ``mpc.errors``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass
from typing import Any, TypeVar
from typing import Protocol as Interface

from mpc.hashing import TH, XOF
from mpc.secret import Confidential

T = TypeVar("T")
Draw = Callable[[str, int], bytes]
Slot = tuple[bytes, bytes]

BROADCAST = b""
IDENTITY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Frame:
    """A message as it travels. ``sender`` and ``receiver`` are identities (32 B; ``b""`` = everybody)."""

    round: int
    sender: bytes
    receiver: bytes
    body: bytes

    @property
    def slot(self) -> Slot:
        """What one round of one session has room for once: (sender, receiver)."""
        return self.sender, self.receiver


class Step:
    """One exchange of a session: what leaves, and which messages must be there before the protocol goes on.

    ``open_frame`` returns the payload of a frame that is authentic and belongs here, else None.  A frame that it
    refuses is dropped and never a reason to blame: anybody can post garbage under another's name.  ``missing``: how
    many slots are open when these are filled.
    """

    def __init__(
        self,
        number: int,
        frames: tuple[Frame, ...],
        open_frame: Callable[[Frame], Any | None],
        missing: Callable[[frozenset[Slot]], int],
    ) -> None:
        self.round = number
        self.frames = frames
        self._open_frame = open_frame
        self._missing = missing
        self._opened: dict[Frame, Any] = {}

    def accept(self, frame: Frame) -> bool:
        """True if the frame is authentic and this round expects it."""
        if frame in self._opened:
            return True
        if frame.round != self.round:
            return False
        payload = self._open_frame(frame)
        if payload is None:
            return False
        self._opened[frame] = payload
        return True

    def missing(self, frames: Collection[Frame]) -> int:
        """How many slots that the round waits for the accepted ones among ``frames`` leave open."""
        return self._missing(frozenset(frame.slot for frame in frames if self.accept(frame)))

    def complete(self, frames: Collection[Frame]) -> bool:
        """True once none is open."""
        return self.missing(frames) == 0

    def payloads(self, frames: Collection[Frame]) -> dict[Slot, tuple[Frame, Any]]:
        """The round's accepted messages, the first of each slot, in order of (sender, receiver)."""
        first: dict[Slot, tuple[Frame, Any]] = {}
        for frame in frames:
            if frame.slot not in first and self.accept(frame):
                first[frame.slot] = (frame, self._opened[frame])
        if self._missing(frozenset(first)):
            raise RuntimeError(f"round {self.round} was handed back before it was complete")
        return dict(sorted(first.items()))


class Checkpoint:
    """Yielded where the driver must make something durable before the protocol may go on."""


@dataclass(frozen=True)
class Release(Checkpoint):
    """Before a signature share, or in an export the share itself, leaves: the driver re-reads the share's state under
    lock, looks whether one of the other participants, ``peers``, was banned meanwhile, and throws to stop. ``items``:
    which requests of a batch, by index.
    """

    peers: tuple[bytes, ...]
    items: tuple[int, ...] = (0,)


Protocol = Generator[Step | Checkpoint, Any, T]


class Rng(Interface):
    """The randomness of one session of one party."""

    def draw(self, label: str, size: int) -> bytes:
        """``size`` random bytes. A label is used once in a session."""

    def absorb(self, *parts: bytes) -> None:
        """Takes in what later draws must depend on: the own configuration, then each completed round."""


class SystemRng:
    """The operating system's randomness. Signing uses nothing else."""

    def draw(self, label: str, size: int) -> bytes:
        return os.urandom(size)

    def absorb(self, *parts: bytes) -> None:
        return None


class SeededRng(Confidential):
    """Durable by replay: the same seed and the same inbound messages draw the same bytes, any other message others.

    ``draw`` = XOF(size, "draw", seed, view, label); ``view`` is the running hash of all that was absorbed.  A session
    that was rolled back and hears another peer nonce therefore never repeats a draw in another context.
    """

    def __init__(self, seed: bytes) -> None:
        if len(seed) != 32:
            raise ValueError("a session seed is 32 bytes")
        self._seed = seed
        self._view = TH("view/start")
        self._labels: set[str] = set()

    def draw(self, label: str, size: int) -> bytes:
        if label in self._labels:
            raise RuntimeError(f"the label {label!r} was drawn before in this session")
        self._labels.add(label)
        return XOF(size, "draw", self._seed, self._view, label.encode())

    def absorb(self, *parts: bytes) -> None:
        self._view = TH("view", self._view, *parts)


def scoped(rng: Rng, scope: str) -> Draw:
    """The draws of one part of a session (a counterparty, a polynomial): its labels are told apart by ``scope``."""
    return lambda label, size: rng.draw(f"{scope}/{label}", size)
