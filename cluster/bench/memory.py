"""Runs the parties of one session in one process, one after the other, and counts what each costs."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mpc.protocol import BROADCAST, Checkpoint, Frame, Protocol, Step
from mpc.reshare import HelloComplete
from mpc.sign import PairCheck


@dataclass
class Run:
    """By party: the result, seconds of CPU, and bytes posted (envelopes included, a broadcast counted once)."""

    results: dict[bytes, Any] = field(default_factory=dict)
    cpu: dict[bytes, float] = field(default_factory=dict)
    posted: dict[bytes, int] = field(default_factory=dict)

    @contextmanager
    def timed(self, party: bytes) -> Iterator[None]:
        begun = time.process_time()
        yield
        self.cpu[party] = self.cpu.get(party, 0.0) + time.process_time() - begun


def run(protocols: Mapping[bytes, Protocol[Any]]) -> Run:
    """Until all have ended; a party that sits a round out is ahead of the others. Raises a protocol's first error."""
    done = Run()
    steps = {party: _advance(done, party, protocol, None) for party, protocol in protocols.items()}
    sent = [frame for step in steps.values() if step for frame in step.frames]
    while any(steps.values()):
        before = len(done.results), len(sent)
        for party, step in steps.items():
            if step is not None and (frames := _complete_round(done, party, step, sent)) is not None:
                steps[party] = following = _advance(done, party, protocols[party], frames)
                sent += following.frames if following else ()
        if before == (len(done.results), len(sent)):
            raise RuntimeError("every party waits for another")
    return done


def _complete_round(done: Run, party: bytes, step: Step, sent: list[Frame]) -> list[Frame] | None:
    """The frames of the party's round once all of them are there."""
    round_ = [frame for frame in sent if frame.round == step.round and frame.sender != party]
    with done.timed(party):
        frames = [frame for frame in round_ if frame.receiver in (BROADCAST, party) and step.accept(frame)]
        return frames if step.complete(frames) else None


def _advance(done: Run, party: bytes, protocol: Protocol[Any], answer: Any) -> Step | None:
    """To the next round, or to the end."""
    with done.timed(party):
        try:
            item = protocol.send(answer)
            while isinstance(item, Checkpoint):
                item = protocol.send(_agreed(item))
        except StopIteration as stop:
            done.results[party] = stop.value
            return None
    done.posted[party] = done.posted.get(party, 0) + sum(len(frame.body) for frame in item.frames)
    return item


def _agreed(checkpoint: Checkpoint) -> Any:
    """What a driver that has nothing against anything answers."""
    if isinstance(checkpoint, PairCheck):
        return checkpoint.verify()
    return b"" if isinstance(checkpoint, HelloComplete) else None
