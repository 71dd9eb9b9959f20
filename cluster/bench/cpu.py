"""CPU time and bytes of a party in key generation, signing and resharing, without network and storage.

Each run stands between two measurements of its floor, as both change together on a shared machine. The ratio of a
party's time to their mean is taken without what its channels cost (see `cluster.bench.memory`), the figure itself with.
"""

import gc
import hashlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from cluster.bench import bare, floor
from cluster.bench.figures import Figure, of_times, say
from cluster.bench.memory import Run, run
from mpc.hashing import TH
from mpc.identity import Identity
from mpc.keygen import KeygenConfig, KeygenResult, keygen
from mpc.protocol import SystemRng
from mpc.reshare import ReshareConfig, reshare
from mpc.sign import SignRequest, sign

QUORUMS = ((2, 2), (2, 3), (3, 5), (5, 9), (11, 20))
MANY, FEWER = 5, 25  # with more parties than that, a 25th of the runs do: each is long and shows many parties
SIGN_BAR, SETUP_BAR = 6.0, 45.0  # milliseconds for each counterparty
SIGN_RATIO_BAR, SETUP_RATIO_BAR = 2.0, 1.4
PAYLOAD_BARS = {"sign": 45_000, "setup": 15_500}  # bytes, of 2-of-3
Results = dict[bytes, KeygenResult]


@dataclass(frozen=True)
class Measured:
    """A run, and the mean of its floor before and after, in seconds."""

    run: Run
    floor: float

    @property
    def ratios(self) -> list[float]:
        """Of each party, without channel."""
        return [seconds / self.floor for seconds in self.run.protocol]


def measure(*, runs: int) -> Iterator[Figure]:
    """Figures of every quorum: `runs` signatures, a tenth as many key generations and reshares, fewer of large quorums.

    The yardstick comes first and last: compare figures of two machines, or of two hours of a shared one, by it.
    """
    yield yardstick()
    for t, n in QUORUMS:
        quorum, share = f"{t}-of-{n}", FEWER if n > MANY else 1
        parties = sorted((Identity(TH("bench", bytes((number,)))) for number in range(n)), key=lambda one: one.public)
        say(f"in memory: {quorum}")
        keys = run_keygen(parties, t).results
        signatures, set_ups = max(1, runs // share), max(1, runs // 10 // share)
        signed = _measured(signatures, floor.sign(t), partial(run_sign, parties[:t], keys))
        yield from _figures("sign", quorum, signed, t - 1, SIGN_BAR, SIGN_RATIO_BAR)
        made = _measured(set_ups, floor.keygen(t, n), partial(run_keygen, parties, t))
        yield from _figures("keygen", quorum, made, n - 1, SETUP_BAR, SETUP_RATIO_BAR)
        reshared = _measured(set_ups, floor.reshare(t, n), partial(run_refresh, parties, keys, t))
        yield from _figures("reshare", quorum, reshared, n - 1, SETUP_BAR, SETUP_RATIO_BAR)
        if (t, n) == (2, 3):
            yield _payload("sign", signed)
            yield _payload("setup", [*made, *reshared])
    yield yardstick()


def yardstick() -> Figure:
    """A fixed piece of work that resembles signing's (row hashes), to compare machines and hours by."""
    times = []
    for _ in range(20):
        begun = time.process_time()
        for number in range(1248):
            hashlib.shake_128(number.to_bytes(80, "big")).digest(96)
        times.append(time.process_time() - begun)
    return of_times("cpu yardstick", times)


def run_keygen(parties: list[Identity], t: int) -> Run:
    """A key generation of all parties."""
    config = KeygenConfig(room="bench", scheme="ecdsa", t=t, identities=tuple(one.public for one in parties))
    return run({one.public: keygen(one, config, SystemRng()) for one in parties})


def run_sign(signers: list[Identity], keys: Results) -> Run:
    """A signature of these signers."""
    request = SignRequest(room="bench", size=len(signers), digest=bytes(range(32)))
    return run(
        {one.public: sign(one, keys[one.public].share, keys[one.public].pairs, request, SystemRng()) for one in signers}
    )


def run_refresh(parties: list[Identity], keys: Results, t: int) -> Run:
    """A reshare to the same quorum, in which everybody deals and receives: the most that a party has to do."""
    config = ReshareConfig(
        room="bench",
        size=len(parties),
        scheme="ecdsa",
        new_identities=tuple(one.public for one in parties),
        new_t=t,
        store_by=120,
        vote_by=604_800,
        role="existing",
        deals=True,
    )
    return run({one.public: reshare(one, config, keys[one.public].share, SystemRng()) for one in parties})


def _measured(count: int, operations: Sequence[bare.Operation], once: Callable[[], Run]) -> list[Measured]:
    """Runs, each between two floors. As in a worker, what is loaded already is no business of the collector's."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        measured = []
        for _ in range(count):
            before = bare.seconds(operations)
            done = once()
            measured.append(Measured(done, (before + bare.seconds(operations)) / 2))
        return measured
    finally:
        gc.enable()
        gc.unfreeze()


def _figures(
    what: str, quorum: str, measured: list[Measured], peers: int, bar: float, ratio_bar: float
) -> Iterator[Figure]:
    cpu = [seconds for each in measured for seconds in each.run.cpu.values()]
    yield of_times(f"{what} cpu {quorum}", cpu, bar=bar * peers)
    yield of_times(f"{what} cpu per counterparty {quorum}", [seconds / peers for seconds in cpu], bar=bar)
    yield of_times(f"{what} channel {quorum}", [seconds for each in measured for seconds in each.run.channel.values()])
    yield of_times(f"{what} floor {quorum}", [each.floor for each in measured])
    yield _of_numbers(f"{what} ratio {quorum}", [ratio for each in measured for ratio in each.ratios], "", ratio_bar)
    yield _of_numbers(f"{what} bytes {quorum}", [size for each in measured for size in each.run.posted.values()], "B")


def _payload(what: str, measured: list[Measured]) -> Figure:
    """What one party sends to one other, broadcasts included, without hello, headers, seals and signatures."""
    sizes = [size for each in measured for size in each.run.payload.values()]
    return _of_numbers(f"{what} payload per pair", sizes, "B", PAYLOAD_BARS[what])


def _of_numbers(name: str, values: Sequence[float], unit: str, bar: float | None = None) -> Figure:
    more: dict[str, Any] = {"n": len(values), "min": min(values), "max": max(values)}
    return Figure(name, statistics.median(values), unit, bar, more)
