"""Runs the parties of one session in one process, one after the other, and counts what each costs.

What the channels cost (cryptography.md, section 2: hello, direction keys, envelopes, their encoding) is counted in the
same run: the functions of `CHANNEL` are timed while it lasts, and opening frames is channel altogether. What is left is
the protocol: dealing, proofs, oblivious transfers, multiplication, checks, and the cost of looking at the clock.
"""

import inspect
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any
from unittest.mock import patch

from mpc import channel, reshare
from mpc.channel import Received, Session
from mpc.envelope import HEADER_BYTES, SEAL_BYTES
from mpc.hello import HELLO_ROUND
from mpc.identity import SIGNATURE_BYTES
from mpc.protocol import BROADCAST, Checkpoint, Frame, Protocol, Step
from mpc.reshare import HelloComplete
from mpc.sign import PairCheck

# Who calls what of the channel. None of these calls another: it would be counted twice.
CHANNEL: tuple[tuple[Any, str], ...] = (
    (channel, "greet"),
    (reshare, "greet"),
    (Session, "__init__"),
    (Session, "exchange"),
    (Received, "broadcasts"),
    (Received, "privates"),
)


@dataclass
class Run:
    """By party: the result; seconds of CPU, and those of them that its channels took; bytes posted (envelopes included,
    a broadcast counted once). By (sender, receiver): bytes of payload after the hello, broadcasts included.
    """

    results: dict[bytes, Any] = field(default_factory=dict)
    cpu: dict[bytes, float] = field(default_factory=dict)
    channel: dict[bytes, float] = field(default_factory=dict)
    posted: dict[bytes, int] = field(default_factory=dict)
    payload: dict[tuple[bytes, bytes], int] = field(default_factory=dict)
    running: bytes = b""

    @property
    def protocol(self) -> list[float]:
        """Seconds of CPU of each party without its channels."""
        return [seconds - self.channel[party] for party, seconds in self.cpu.items()]


def run(protocols: Mapping[bytes, Protocol[Any]]) -> Run:
    """Until all have ended; a party that sits a round out is ahead of the others. Raises a protocol's first error."""
    done = Run(channel=dict.fromkeys(protocols, 0.0))
    with _channels_timed(done):
        sent = _run(done, protocols)
    for frame in sent:
        _count_payload(done, frame)
    return done


def _run(done: Run, protocols: Mapping[bytes, Protocol[Any]]) -> list[Frame]:
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
    return sent


def _complete_round(done: Run, party: bytes, step: Step, sent: list[Frame]) -> list[Frame] | None:
    """The frames of the party's round once all of them are there."""
    round_ = [frame for frame in sent if frame.round == step.round and frame.sender != party]
    with _timed(done.cpu, party), _timed(done.channel, party):
        frames = [frame for frame in round_ if frame.receiver in (BROADCAST, party) and step.accept(frame)]
        complete = step.complete(frames)
    return frames if complete else None


def _advance(done: Run, party: bytes, protocol: Protocol[Any], answer: Any) -> Step | None:
    """To the next round, or to the end."""
    done.running = party
    with _timed(done.cpu, party):
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


def _count_payload(done: Run, frame: Frame) -> None:
    if frame.round == HELLO_ROUND:
        return
    size = len(frame.body) - HEADER_BYTES - SIGNATURE_BYTES - (SEAL_BYTES if frame.receiver else 0)
    for receiver in [frame.receiver] if frame.receiver else [each for each in done.cpu if each != frame.sender]:
        pair = frame.sender, receiver
        done.payload[pair] = done.payload.get(pair, 0) + size


@contextmanager
def _timed(seconds: dict[bytes, float], party: bytes) -> Iterator[None]:
    begun = time.process_time()
    yield
    seconds[party] = seconds.get(party, 0.0) + time.process_time() - begun


@contextmanager
def _channels_timed(done: Run) -> Iterator[None]:
    """Counts what the functions of the channel take as the running party's."""
    with ExitStack() as stack:
        for owner, name in CHANNEL:
            function = getattr(owner, name)
            timed = _timed_generator if inspect.isgeneratorfunction(function) else _timed_call
            stack.enter_context(patch.object(owner, name, timed(function, done)))
        yield


def _timed_call(function: Callable[..., Any], done: Run) -> Callable[..., Any]:
    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        begun = time.process_time()
        result = function(*arguments, **named)
        done.channel[done.running] += time.process_time() - begun
        return result

    return call


def _timed_generator(function: Callable[..., Any], done: Run) -> Callable[..., Any]:
    @wraps(function)
    def generate(*arguments: Any, **named: Any) -> Any:
        generator, answer = function(*arguments, **named), None
        while True:
            begun = time.process_time()
            try:
                item = generator.send(answer)
            except StopIteration as stop:
                return stop.value
            finally:
                done.channel[done.running] += time.process_time() - begun
            answer = yield item

    return generate
