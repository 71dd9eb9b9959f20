"""`python -m tests.faults.soak --minutes n`: random operations under random faults, the invariants checked throughout.

Several keys live at once; each lane draws an operation (sign, reshare, refresh, abort, a new key) for its key while a
gremlin draws faults for the cluster. Exit code 0 only if nothing was violated and nothing got stuck.
"""

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from cluster.vertex import LISTEN, WEB, WORKER
from tests.faults.arming import arm
from tests.faults.harness import Harness
from tests.faults.invariants import violations
from tests.faults.life import Life, Member, Refused
from tests.faults.outages import servers
from tests.faults.points import POINTS
from tests.faults.points import Path as Way
from tests.faults.proxy import HONEST
from tests.faults.struck import MISCHIEF, DiskFull
from tests.faults.vertices import LEASE, freeze, thaw

OPERATIONS = ("sign", "sign", "reshare", "reshare", "refresh", "abort", "keygen")
CALM = 4.0  # seconds between two faults, on average


@dataclass
class Tally:
    """What happened, counted by several threads."""

    operations: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    recoveries: int = 0
    wrong: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def operation(self, name: str) -> None:
        with self._lock:
            self.operations[name] += 1

    def fault(self, name: str) -> None:
        with self._lock:
            self.faults[name] += 1

    def violated(self, what: list[str]) -> None:
        with self._lock:
            self.wrong += what
        for each in what:
            print(f"VIOLATION {each}", file=sys.stderr, flush=True)

    def __str__(self) -> str:
        def counted(of: Counter[str]) -> str:
            return f"{sum(of.values())} ({', '.join(f'{name} {number}' for name, number in sorted(of.items()))})"

        return (
            f"operations {counted(self.operations)}\nfaults {counted(self.faults)}\n"
            f"recoveries {self.recoveries}\nviolations {len(self.wrong)}"
        )


class Soak:
    """Lanes and a gremlin over one harness."""

    def __init__(self, harness: Harness, tally: Tally, deadline: float) -> None:
        self.harness, self.tally, self._deadline = harness, tally, deadline
        self.world, self.supervisor = harness.world, harness.supervisor

    @property
    def over(self) -> bool:
        return time.monotonic() > self._deadline

    # Operations ----------------------------------------------------------------------------------------------------

    def lane(self, number: int) -> None:
        rng = random.Random(f"{self.harness.seed}/lane/{number}")
        life: Life | None = None
        while not self.over:
            try:
                if life is None:
                    life = self.harness.new_life(rng)
                    self.tally.operation("keygen")
                name = rng.choice(OPERATIONS)
                life = self._operate(rng, life, name)
                if life is not None:
                    self.tally.violated(violations(self.world.witness.gather(life.public_key)))
            except Refused:
                continue  # a room that a flush took away, or another hint that did not hold
            except psycopg.OperationalError:
                time.sleep(0.5)  # the judge needs the databases too
            except Exception as error:  # stuck, unanswered, or the harness itself: the run goes on, and says so
                self.tally.violated([f"lane {number}: {type(error).__name__}: {error}"])
                life = None

    def _operate(self, rng: random.Random, life: Life, name: str) -> Life | None:
        """One operation to its end; the life to go on with, None for a new one."""
        if name == "keygen":
            return None
        if name == "sign":
            if (refused := life.sign(rng.sample(life.members, life.threshold), patient=True)) is not None:
                self.tally.violated([f"a live quorum does not sign: {refused}"])
        elif name == "refresh":
            self._vote(rng, life, life.refresh_begin(), life.members, life.threshold, "confirm-deletion", asked=False)
        else:
            self._reshare(rng, life, "abort" if name == "abort" else "confirm-deletion")
        self.tally.operation(name)
        return life if len(life.past) < 8 else None

    def _reshare(self, rng: random.Random, life: Life, word: str) -> None:
        order = rng.sample(life.members, len(life.members))
        n = rng.randint(2, 4)
        t = rng.randint(2, n)
        staying = order[: rng.randint(1, min(n, len(order)))]
        leaving = order[len(staying) :]
        free = [name for name in self.world.names if name not in life.vertices]
        joining = [self.world.member(name) for name in rng.sample(free, min(len(free), n - len(staying)))]
        new = [*staying, *joining]
        if len(new) < t:
            return
        operations = life.reshare_begin(staying, joining, leaving, t)
        self._vote(rng, life, operations, new, t, word)

    def _vote(
        self,
        rng: random.Random,
        life: Life,
        operations: list[tuple[Member, str]],
        new: list[Member],
        t: int,
        word: str,
        *,
        asked: bool = True,
    ) -> None:
        """From the calls to the outcome; a protocol that a fault ended must have ended as an abort."""
        begun = time.monotonic()
        life.await_operations(operations)
        of = {member.keygen_id: operation for member, operation in operations}
        through = all(life.operation(*each)[0] == "done" for each in operations)
        if through and asked:
            voters = (
                life.members if word == "abort" else rng.sample(life.members, len(life.members) - life.threshold + 1)
            )
            for voter in voters:
                life.vote(voter, of[voter.keygen_id], word)
                if word != "abort":
                    self.tally.operation("confirm")
        wanted = {"clean"} if through and word != "abort" else {"aborted", "failed"}

        def states() -> set[str]:
            return {life.attempt_of(*each)[1] for each in operations}

        def ended() -> bool:
            if not through:
                life.give_up(operations)
            return states() <= wanted or life.late(operations, begun)

        def told() -> str:
            return f"{wanted}: " + ", ".join(f"{m.vertex} {life.attempt_of(m, o)[1]}" for m, o in operations)

        self.world.until(ended, told)
        if states() == {"clean"}:
            life.move_on(life.renewed(new, operations), t)

    # Faults --------------------------------------------------------------------------------------------------------

    def gremlin(self) -> None:
        rng = random.Random(f"{self.harness.seed}/gremlin")
        while not self.over:
            time.sleep(rng.expovariate(1 / CALM))
            vertex = rng.choice(self.world.names)
            kinds = [self._kill, self._kill, self._at_point, self._at_point, self._lie, self._freeze, self._disk]
            if self.harness.cluster.embedded is not None:
                kinds.append(self._servers)
            try:
                rng.choice(kinds)(rng, vertex)
            except Exception as error:  # a vertex that can't be struck or mended is no reason to stop looking
                self.tally.violated([f"a fault at {vertex}: {type(error).__name__}: {error}"])

    def _kill(self, rng: random.Random, vertex: str) -> None:
        process = rng.choice((WEB, WORKER, LISTEN))
        at = self.supervisor.kill(vertex, process)
        self.tally.fault(f"kill {process}")
        self._back(vertex, process, at)

    def _at_point(self, rng: random.Random, vertex: str) -> None:
        point = rng.choice([point for point in POINTS if point.path in (Way.RESHARE, Way.CONFIRM, Way.ABORT)])
        order = arm(self.harness.cluster.faulty(vertex).orders, point)
        deadline = time.monotonic() + 5
        while order.fired_at is None and time.monotonic() < deadline:
            time.sleep(0.1)
        order.take_back()
        if (fired := order.fired_at) is not None:
            self.tally.fault("kill at a point")
            self._back(vertex, WORKER, fired)

    def _back(self, vertex: str, process: str, since: float) -> None:
        if self.supervisor.back_at(vertex, process, since - 1, self.world.patience) is None:
            self.tally.violated([f"{process} of {vertex} did not come back"])
        else:
            self.tally.recoveries += 1

    def _lie(self, rng: random.Random, vertex: str) -> None:
        name = rng.choice(sorted(MISCHIEF))
        proxy = self.harness.cluster.proxies[vertex]
        proxy.mischief = MISCHIEF[name]
        try:
            time.sleep(3)
        finally:
            proxy.mischief = HONEST
        self.tally.fault(f"relay {name}")

    def _freeze(self, rng: random.Random, vertex: str) -> None:
        process = rng.choice((WORKER, LISTEN))
        child = self.harness.cluster.vertex(vertex).children.get(process)
        if child is None:
            return  # it is just being started again
        freeze(child)
        time.sleep(1.5 * LEASE)
        thaw(child)
        self.tally.fault(f"stop {process}")

    def _disk(self, rng: random.Random, vertex: str) -> None:
        faulty = self.harness.cluster.faulty(vertex)
        self.supervisor.ask(faulty.fill_disk)
        time.sleep(2)
        self.supervisor.ask(faulty.free_disk)
        self.tally.fault(DiskFull().name)

    def _servers(self, rng: random.Random, vertex: str) -> None:
        fault = rng.choice(servers())
        self.supervisor.hold("", "relay")
        try:
            self.supervisor.ask(lambda: fault.down(self.harness.cluster))
            time.sleep(fault.seconds)
            self.supervisor.ask(lambda: fault.up(self.harness.cluster))
        finally:
            self.supervisor.release("", "relay")
        self.tally.fault(fault.name)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--lanes", type=int, default=3)
    parser.add_argument("--run-dir", type=Path, help="of the cluster; kept, with its logs (by default a temporary one)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    tally = Tally()
    with (
        tempfile.TemporaryDirectory(prefix="vertex-soak-") as temporary,
        Harness(arguments.run_dir or Path(temporary), seed=arguments.seed, say=say) as harness,
    ):
        print(f"seed {arguments.seed}", flush=True)
        soak = Soak(harness, tally, time.monotonic() + 60 * arguments.minutes)

        def report() -> None:
            while not soak.over:
                time.sleep(min(60.0, 20 * arguments.minutes))
                say(str(tally))

        lanes = [lambda number=number: soak.lane(number) for number in range(arguments.lanes)]
        harness.supervisor.run([*lanes, soak.gremlin, report])
        tally.wrong += harness.chains()
    print(tally)
    print(*tally.wrong, sep="\n")
    return int(bool(tally.wrong))


if __name__ == "__main__":
    sys.exit(main())
