"""A cluster under faults for as long as there are scenarios: lanes, each with a key of its own, play them at once."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from cluster.embedded import Servers
from tests.faults.invariants import broken_chain
from tests.faults.kept import Kept
from tests.faults.life import Life, World
from tests.faults.result import Result
from tests.faults.scenario import Run, Scenario
from tests.faults.supervisor import Supervisor
from tests.faults.table import line
from tests.faults.vertices import FaultyCluster

VERTICES = 6  # 2-of-3 → 3-of-5 with one leaver needs them all
PATIENCE = 90.0  # seconds that anything may take on a machine where a key is generated in `USUAL` seconds
USUAL = 3.0
MOST_PATIENCE = 600.0
TRIES = 3  # for a lane's new key: another lane's fault may end its generation
AFRESH = 8  # a life is retired after so many generations: its evidence grows


class Harness:
    """A context manager, from the main thread; `seed` decides who is struck and when. Results go to `kept` as well."""

    def __init__(
        self,
        run_dir: Path,
        *,
        seed: int,
        say: Callable[[str], None],
        servers: Servers | None = None,
        kept: Kept | None = None,
    ) -> None:
        self.seed, self.say, self._kept = seed, say, kept
        self._run_dir, self._servers = run_dir, servers
        self._stack = ExitStack()
        self.results: list[Result] = []
        self.errors: list[str] = []  # lanes that could not go on; each is a failure of the run
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            cluster = FaultyCluster(VERTICES, self._run_dir, seed=self.seed, servers=self._servers, say=self.say)
            self.cluster = stack.enter_context(cluster)
            self.supervisor = Supervisor(self.cluster, self.say)
            self.world = World(self.cluster, PATIENCE)
            self.supervisor.run([self._measure])
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _measure(self) -> None:
        self.new_life(random.Random(self.seed))
        self.say(f"nothing may take longer than {self.world.patience:.0f} s here")

    def new_life(self, rng: random.Random, t: int = 2, n: int = 3) -> Life:
        """A new key of n vertices. The slower it comes, the more patience with everything: the machine may be busy."""
        begun = time.monotonic()
        life = Life(self.world, [self.world.member(name) for name in rng.sample(self.world.names, n)], t)
        life.keygen()
        slowness = (time.monotonic() - begun) / USUAL
        self.world.patience = min(MOST_PATIENCE, max(self.world.patience, PATIENCE * slowness))
        return life

    def _prepared(self, rng: random.Random, t: int = 2, n: int = 3) -> Life:
        """A new key for a lane. After `TRIES` in vain the last error is raised, which ends the lane."""
        for _ in range(TRIES - 1):
            try:
                return self.new_life(rng, t, n)
            except Exception as error:
                self.say(f"a new key, tried again: {type(error).__name__}: {error}")
        return self.new_life(rng, t, n)

    def play(self, scenarios: Sequence[Scenario], *, lanes: int, deadline: float | None = None) -> list[Result]:
        """All scenarios, or as many as begin before `deadline` (monotonic); their results."""
        waiting = list(scenarios)
        played: list[Result] = []

        def take(life: Life) -> Scenario | None:
            """The next one that this key's quorum fits; a quorum that fits none is given up by the caller."""
            with self._lock:
                if deadline is not None and time.monotonic() > deadline:
                    return None
                for index, scenario in enumerate(waiting):
                    if (scenario.shape.t, scenario.shape.n) == (life.threshold, len(life.members)):
                        return waiting.pop(index)
            return None

        def first() -> Scenario | None:
            """What is to be played next; None when the run is over."""
            with self._lock:
                return None if not waiting or (deadline is not None and time.monotonic() > deadline) else waiting[0]

        def lane(number: int) -> None:
            rng = random.Random(f"{self.seed}/{number}")
            life: Life | None = None
            while True:
                scenario = take(life) if life is not None else None
                if scenario is None or life is None:
                    if (left := first()) is None:  # no key is made for nothing
                        return
                    life = self._prepared(rng, left.shape.t, left.shape.n)
                    continue
                seed = f"{self.seed}/{scenario.name}/{scenario.role}/{scenario.path}/{scenario.shape.name}"
                result = (scenario.run or Run)(self.world, self.supervisor, life, scenario, seed).play()
                with self._lock:
                    played.append(result)
                    self.results.append(result)
                    if self._kept is not None:
                        self._kept.add(result)
                    self.say(f"{len(self.results):4} {line(result)}")
                if not result.ok or (scenario.run or Run).spoils or len(life.past) >= AFRESH:
                    life = None

        def guarded(number: int) -> None:
            """What ends a lane ends no other one, nor loses the table."""
            try:
                lane(number)
            except Exception as error:
                with self._lock:
                    self.errors.append(f"lane {number}: {type(error).__name__}: {error}")
                    self.say(self.errors[-1])

        self.supervisor.run([lambda number=number: guarded(number) for number in range(lanes)])
        return played

    def chains(self) -> list[str]:
        """Audit logs that do not hold."""
        found = []
        for name in self.world.names:
            broken = broken_chain(self.world.witness.events(name))
            if broken is not None:
                found.append(f"audit log of {name}: {broken}")
        return found
