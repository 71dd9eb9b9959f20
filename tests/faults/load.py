"""`python -m tests.faults.load`: progress under load. Prints figures with their bars; exit code 1 if one is missed.

Sessions that wait hold no worker, opposite queues don't deadlock, a slow party delays only its own sessions.

Ratios are of the same machine at nearly the same time; the absolute bars are for two idle cores.
"""

import argparse
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cluster.bench.figures import Figure
from cluster.vertex import WORKER
from tests.faults.life import Life, Member, World
from tests.faults.proxy import HONEST, Mischief
from tests.faults.supervisor import Supervisor
from tests.faults.vertices import FaultyCluster

WAITING_KEYGENS, WAITING_RESHARES, OPPOSITE, SIGNATURES, SLOW = 1000, 20, 200, 30, 10
CALLERS = 16  # threads that call at once
PATIENCE = 900.0


class Load:
    """The figures, in the order in which the load grows."""

    def __init__(self, world: World, say: Callable[[str], None], scale: float) -> None:
        self.world, self._say = world, say
        self._pool = ThreadPoolExecutor(CALLERS)
        self.keygens, self.reshares = max(1, int(WAITING_KEYGENS * scale)), max(1, int(WAITING_RESHARES * scale))
        self.opposite, self.signatures = max(2, int(OPPOSITE * scale)), max(5, int(SIGNATURES * scale))
        self.figures: list[Figure] = []

    def run(self) -> None:
        a, b, c = self.world.names
        key = self._key([a, b, c], 2)
        self._signing(key.members[:2])  # the first ones warm the processes up
        idle = self._signing(key.members[:2])
        self._note("sign p50 idle", idle * 1000, "ms")
        self._waiting(a, b)
        loaded = self._signing(key.members[:2])
        self._note("sign p50 while others wait", loaded * 1000, "ms")
        self._note("sign p50, waiting to idle", loaded / idle, "ratio", 1.5)
        self._slow(key, c)
        self._opposite(a, b)

    def _key(self, names: Sequence[str], t: int) -> Life:
        life = Life(self.world, [self.world.member(name) for name in names], t)
        life.keygen()
        return life

    def _signing(self, signers: Sequence[Member]) -> float:
        """Median seconds of a signature."""
        life = Life(self.world, list(signers), 2)
        times = []
        [(public,)] = self.world.witness.query(
            signers[0].vertex, "SELECT public_key FROM keys_keyshare WHERE id = %s", signers[0].key_id
        )
        life.public_key = bytes(public)
        for _ in range(self.signatures):
            begun = time.perf_counter()
            refused = life.sign(signers)
            times.append(time.perf_counter() - begun)
            if refused is not None:
                raise RuntimeError(f"a signature failed: {refused}")
        return statistics.median(times)

    def _waiting(self, here: str, absent: str) -> None:
        """Keygens and reshares at one vertex that wait for a party which never comes."""
        self._say(f"{self.keygens} keys created, then as many keygens that wait for {absent}")
        other = self.world.member(absent)
        mine = self._each([lambda: self.world.member(here)] * self.keygens)
        rooms = self._each([lambda: self.world.room(other, 2)] * self.keygens)

        def ask(member: Member, room: str) -> str:
            body = {
                "key_id": member.key_id,
                "num_parties": 2,
                "threshold": 2,
                "others_keygen_ids": [other.keygen_id],
                "room_uuid": room,
            }
            return Life(self.world, [member], 2).begin(member, "POST /ecdsa/keygen", body)

        begun = time.perf_counter()
        self._each([lambda pair=pair: ask(*pair) for pair in zip(mine, rooms, strict=True)])
        self._note(f"{self.keygens} waiting keygens made", time.perf_counter() - begun, "s", 60.0)
        keys = [self._key([here, absent], 2) for _ in range(self.reshares)]
        for key in keys:
            member = key.members[0]
            body = {
                "key_id": member.key_id,
                "keygen_ids": [each.keygen_id for each in key.members],
                "new_threshold": 2,
                "room_uuid": self.world.room(member, 2),
            }
            key.begin(member, "POST /ecdsa/reshare/existing-party", body)
        time.sleep(5)
        pid = self.world.cluster.vertex(here).children[WORKER].pid
        self._note("worker PSS", pss(pid) / 1e6, "MB", 300.0)

    def _slow(self, key: Life, slow: str) -> None:
        """A party whose relay takes a second for every call, in sessions of its own, while others sign."""
        alone = self._signing(key.members[:2])
        self.world.cluster.proxies[slow].mischief = Mischief(delay=1.0)
        slowed = [self._pool.submit(lambda: key.sign([key.members[0], key.members[2]])) for _ in range(SLOW)]
        beside = self._signing(key.members[:2])
        for each in slowed:
            each.result()
        self.world.cluster.proxies[slow].mischief = HONEST
        self._note("sign p50, beside a slow party to alone", beside / alone, "ratio", 1.5)

    def _opposite(self, a: str, b: str) -> None:
        """Key generations that two vertices are asked for in opposite order."""
        self._say(f"{self.opposite} keygens in opposite order")
        lives = [
            Life(self.world, pair, 2)
            for pair in self._each([lambda: [self.world.member(a), self.world.member(b)]] * self.opposite)
        ]
        rooms = self._each([lambda life=life: self.world.room(life.members[0], 2) for life in lives])
        asked: list[tuple[Member, str]] = []

        def ask(life: Life, room: str, member: Member) -> None:
            others = [each.keygen_id for each in life.members if each is not member]
            body = {"key_id": member.key_id, "num_parties": 2, "threshold": 2}
            body |= {"others_keygen_ids": others, "room_uuid": room}
            asked.append((member, life.begin(member, "POST /ecdsa/keygen", body)))

        def queue(index: int) -> None:
            order = list(zip(lives, rooms, strict=True))
            for life, room in order if index == 0 else reversed(order):
                ask(life, room, life.members[index])

        begun = time.perf_counter()
        self.world.together([lambda: queue(0), lambda: queue(1)])
        lives[0].await_operations(asked)
        done = sum(lives[0].operation(*each)[0] == "done" for each in asked)
        self._note(f"{self.opposite} keygens in opposite order", time.perf_counter() - begun, "s")
        self._note("of them not done", (len(asked) - done) / 2, "keygens", 0.0)

    def _each(self, calls: Sequence[Callable[[], Any]]) -> list[Any]:
        return [future.result() for future in [self._pool.submit(call) for call in calls]]

    def _note(self, name: str, value: float, unit: str, bar: float | None = None) -> None:
        figure = Figure(name, round(value, 2), unit, bar=bar)
        figure.show()
        self.figures.append(figure)

    @property
    def missed(self) -> list[str]:
        return [each.name for each in self.figures if each.bar is not None and each.value > each.bar]


def pss(leader: int) -> float:
    """Bytes of a process group's proportional share of memory."""
    total = 0.0
    for path in Path("/proc").iterdir():
        try:
            if path.name.isdigit() and int((path / "stat").read_text().rpartition(")")[2].split()[2]) == leader:
                rollup = (path / "smaps_rollup").read_text()
                total += 1024 * sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.load", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of all numbers, for a quick look")
    parser.add_argument("--run-dir", type=Path, help="of the cluster; kept, with its logs (by default a temporary one)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    with (
        tempfile.TemporaryDirectory(prefix="vertex-load-") as temporary,
        FaultyCluster(3, arguments.run_dir or Path(temporary), seed=0, settings={}, say=say) as cluster,
    ):
        load = Load(World(cluster, PATIENCE), say, arguments.scale)
        Supervisor(cluster, say).run([load.run])
        for name in load.missed:
            say(f"missed: {name}")
        return int(bool(load.missed))


if __name__ == "__main__":
    sys.exit(main())
