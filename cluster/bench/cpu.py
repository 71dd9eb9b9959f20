"""CPU time and bytes of a party in key generation, signing and resharing, without network and storage."""

import gc
import hashlib
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from cluster.bench.figures import Figure, of_times, say
from cluster.bench.memory import Run, run
from mpc.hashing import TH
from mpc.identity import Identity
from mpc.keygen import KeygenConfig, KeygenResult, keygen
from mpc.protocol import SystemRng
from mpc.reshare import ReshareConfig, reshare
from mpc.sign import SignRequest, sign

QUORUMS = ((2, 2), (2, 3), (3, 5))
Results = dict[bytes, KeygenResult]


def measure(*, runs: int) -> Iterator[Figure]:
    """Figures of every quorum: `runs` signatures, a tenth as many key generations and reshares.

    The yardstick comes first and last: compare figures of two machines, or of two hours of a shared one, by it.
    """
    yield yardstick()
    few = max(1, runs // 10)
    for t, n in QUORUMS:
        parties = sorted((Identity(TH("bench", bytes((number,)))) for number in range(n)), key=lambda one: one.public)
        say(f"in memory: {t}-of-{n}")
        keys = run_keygen(parties, t).results
        for what, count, once in (
            ("keygen", few, lambda parties=parties, t=t: run_keygen(parties, t)),
            ("sign", runs, lambda signers=parties[:t], keys=keys: run_sign(signers, keys)),
            ("reshare", few, lambda parties=parties, keys=keys, t=t: run_refresh(parties, keys, t)),
        ):
            yield from _figures(what, f"{t}-of-{n}", [_once(once) for _ in range(count)])
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


def _once(once: Callable[[], Run]) -> Run:
    """One run in which nothing else is collected."""
    gc.collect()
    gc.disable()
    try:
        return once()
    finally:
        gc.enable()


def _figures(what: str, quorum: str, done: list[Run]) -> Iterator[Figure]:
    yield of_times(f"{what} cpu {quorum}", [seconds for each in done for seconds in each.cpu.values()])
    posted: list[Any] = [size for each in done for size in each.posted.values()]
    more = {"n": len(posted), "min": min(posted), "max": max(posted)}
    yield Figure(f"{what} bytes {quorum}", int(statistics.median(posted)), "B", more=more)
