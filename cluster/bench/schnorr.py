"""CPU time and bytes of a party with Ed25519 and BIP340 keys, without network and storage."""

import statistics
from collections.abc import Iterator

from cluster.bench.figures import Figure, of_times, say
from cluster.bench.memory import Run, run
from mpc.frost.signing import FrostRequest, frost_sign
from mpc.hashing import TH
from mpc.identity import Identity
from mpc.keygen import KeygenConfig, KeygenResult, keygen
from mpc.protocol import SystemRng

SCHEMES = ("ed25519", "bip340")
QUORUMS = ((2, 3), (3, 5))
Results = dict[bytes, KeygenResult]


def measure(*, runs: int) -> Iterator[Figure]:
    """Figures of either scheme: `runs` signatures, a tenth as many key generations."""
    for scheme in SCHEMES:
        for t, n in QUORUMS:
            say(f"in memory: {scheme}, {t}-of-{n}")
            named = [Identity(TH("bench", bytes((number,)))) for number in range(n)]
            parties = sorted(named, key=lambda one: one.public)
            generated = [run_keygen(scheme, parties, t) for _ in range(max(1, runs // 10))]
            keys = generated[0].results
            signed = [run_sign(parties[:t], keys) for _ in range(runs)]
            for what, done in (("keygen", generated), ("sign", signed)):
                times = [seconds for each in done for seconds in each.cpu.values()]
                yield of_times(f"{what} cpu {scheme} {t}-of-{n}", times)
                posted = [size for each in done for size in each.posted.values()]
                yield Figure(f"{what} bytes {scheme} {t}-of-{n}", int(statistics.median(posted)), "B")


def run_keygen(scheme: str, parties: list[Identity], t: int) -> Run:
    """A key generation of all parties."""
    config = KeygenConfig(room="bench", scheme=scheme, t=t, identities=tuple(one.public for one in parties))
    return run({one.public: keygen(one, config, SystemRng()) for one in parties})


def run_sign(signers: list[Identity], keys: Results) -> Run:
    """A signature of these signers."""
    request = FrostRequest(room="bench", size=len(signers), message=bytes(range(32)))
    return run({one.public: frost_sign(one, keys[one.public].share, request, SystemRng()) for one in signers})
