"""The kinds of faults. Each strikes one vertex, or the servers, during one phase of a scenario, and is mended."""

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

from cluster.vertex import LISTEN, WORKER
from tests.faults.arming import Order, arm
from tests.faults.disks import variant
from tests.faults.points import Point
from tests.faults.proxy import HONEST, Mischief
from tests.faults.supervisor import Supervisor
from tests.faults.vertices import LEASE, SECOND, FaultyCluster, freeze, thaw


class NotReached(Exception):
    """The fault did not strike: the point that it waits for is not in the code any more, or not on this way."""


@dataclass(slots=True)
class Stage:
    """Where a fault strikes: `party` is the identity (hex) of the target, `over` says whether the phase has ended."""

    supervisor: Supervisor
    vertex: str
    party: str
    rng: random.Random
    over: Callable[[], bool]
    patience: float

    @property
    def cluster(self) -> FaultyCluster:
        return self.supervisor.cluster


@dataclass(slots=True)
class Times:
    """Unix seconds: when the fault struck, and when what it took away was back."""

    struck: float
    back: float


class Fault(ABC):
    """`prepare` before the phase, `strike` while it runs (returns when all is mended), `withdraw` whatever happened."""

    name: str
    exclusive = False  # strikes the servers of all vertices

    def prepare(self, stage: Stage) -> None:
        pass

    @abstractmethod
    def strike(self, stage: Stage) -> Times: ...

    def withdraw(self, stage: Stage) -> None:
        pass


def pause(stage: Stage, longest: float) -> None:
    """Up to so many seconds, drawn."""
    time.sleep(stage.rng.random() * longest)


class AtPoint(Fault):
    """The worker kills itself at a point; a new one is started at once."""

    def __init__(self, point: Point) -> None:
        self.point = point
        self.name = f"kill {point.name}"
        self._order: Order | None = None

    def prepare(self, stage: Stage) -> None:
        folder = stage.cluster.faulty(stage.vertex).orders
        self._order = arm(folder, self.point, party=stage.party)

    def strike(self, stage: Stage) -> Times:
        fired = self.await_fired(stage)
        back = stage.supervisor.back_at(stage.vertex, WORKER, fired - 1)
        return Times(fired, back or time.time())

    def await_fired(self, stage: Stage) -> float:
        assert self._order is not None
        ended: float | None = None
        deadline = time.monotonic() + stage.patience
        while (fired := self._order.fired_at) is None:
            if ended is None and stage.over():
                ended = time.monotonic()
            if ended is not None and time.monotonic() > ended + 2:  # what follows the phase's end may pass it too
                raise NotReached(self.point.name)
            if time.monotonic() > deadline:  # the phase is stuck before the point: its end is not awaited here for ever
                raise NotReached(self.point.name)
            time.sleep(0.03)
        return fired

    def withdraw(self, stage: Stage) -> None:
        if self._order is not None:
            self._order.take_back()


class KilledAtRandom(Fault):
    """SIGKILL to a process some time into the phase."""

    def __init__(self, process: str) -> None:
        self.process = process
        self.name = f"kill {process} at random"

    def strike(self, stage: Stage) -> Times:
        pause(stage, 1.5)
        struck = stage.supervisor.kill(stage.vertex, self.process)
        back = stage.supervisor.back_at(stage.vertex, self.process, struck - 1)
        return Times(struck, back or time.time())


class Frozen(AtPoint):
    """A worker stops at a point past its lease while a second one works; then it goes on, and both hold the session."""

    def __init__(self, point: Point) -> None:
        super().__init__(point)
        self.name = f"stop {point.name}"

    def prepare(self, stage: Stage) -> None:
        vertex = stage.cluster.faulty(stage.vertex)
        stage.supervisor.ask(vertex.start_second_worker)
        deadline = time.monotonic() + stage.patience
        while not vertex.works(SECOND) and time.monotonic() < deadline:
            time.sleep(0.05)
        self._order = arm(vertex.orders, self.point, party=stage.party, action="stop")

    def strike(self, stage: Stage) -> Times:
        struck = self.await_fired(stage)
        time.sleep(2 * LEASE)
        for process in (WORKER, SECOND):
            child = stage.cluster.vertex(stage.vertex).children.get(process)
            if child is not None:
                thaw(child)
        return Times(struck, time.time())

    def withdraw(self, stage: Stage) -> None:
        super().withdraw(stage)
        for process in (WORKER, SECOND):
            child = stage.cluster.vertex(stage.vertex).children.get(process)
            if child is not None:
                thaw(child)
        stage.supervisor.kill(stage.vertex, SECOND)
        while SECOND in stage.cluster.vertex(stage.vertex).children:
            time.sleep(0.05)


class FrozenListen(Fault):
    """`listen` is stopped for longer than its relay waits, then goes on."""

    name = "stop listen"

    def strike(self, stage: Stage) -> Times:
        pause(stage, 1.0)
        vertex = stage.cluster.vertex(stage.vertex)
        while (child := vertex.children.get(LISTEN)) is None:
            time.sleep(0.05)
        struck = time.time()
        freeze(child)
        time.sleep(LEASE)
        thaw(child)
        return Times(struck, time.time())


class LyingRelay(Fault):
    """The target's relay does its mischief for some seconds."""

    def __init__(self, name: str, mischief: Mischief, seconds: float = 4.0) -> None:
        self.name, self._mischief, self._seconds = f"relay {name}", mischief, seconds
        self._before = 0

    def prepare(self, stage: Stage) -> None:
        proxy = stage.cluster.proxies[stage.vertex]
        self._before = proxy.struck
        proxy.mischief = self._mischief

    def strike(self, stage: Stage) -> Times:
        struck, proxy = time.time(), stage.cluster.proxies[stage.vertex]
        deadline = time.monotonic() + stage.patience
        time.sleep(self._seconds)
        while proxy.struck == self._before and time.monotonic() < deadline:
            time.sleep(0.1)
        if proxy.struck == self._before:
            raise NotReached(self.name)
        self.withdraw(stage)
        return Times(struck, time.time())

    def withdraw(self, stage: Stage) -> None:
        stage.cluster.proxies[stage.vertex].mischief = HONEST


class DiskFull(Fault):
    """Nothing goes into the keystore for a few seconds; where a limit is all, nor into the worker's log."""

    seconds = 3.0

    def __init__(self) -> None:
        self.name = f"keystore's disk full ({variant()})"

    def prepare(self, stage: Stage) -> None:
        stage.supervisor.ask(stage.cluster.faulty(stage.vertex).fill_disk)

    def strike(self, stage: Stage) -> Times:
        struck = time.time()
        while time.time() < struck + self.seconds:
            self.prepare(stage)  # what is erased meanwhile gives no room to others
            time.sleep(0.05)
        if stage.over():
            raise NotReached(self.name)  # nothing had to be written
        self.withdraw(stage)
        return Times(struck, time.time())

    def withdraw(self, stage: Stage) -> None:
        stage.supervisor.ask(stage.cluster.faulty(stage.vertex).free_disk)


class ClockJump(Fault):
    """A process whose clock is elsewhere (Debian's faketime), until the end of the phase."""

    def __init__(self, process: str, offset: str, program: str) -> None:
        self.process, self._offset, self._program = process, offset, program
        self.name = f"clock of {process} {offset}"

    def prepare(self, stage: Stage) -> None:
        vertex = stage.cluster.faulty(stage.vertex)
        vertex.prefix[self.process] = [self._program, "-f", self._offset]
        struck = stage.supervisor.kill(stage.vertex, self.process)
        stage.supervisor.back_at(stage.vertex, self.process, struck - 1)

    def strike(self, stage: Stage) -> Times:
        now = time.time()
        return Times(now, now)

    def withdraw(self, stage: Stage) -> None:
        stage.cluster.faulty(stage.vertex).prefix.pop(self.process, None)
        struck = stage.supervisor.kill(stage.vertex, self.process)
        stage.supervisor.back_at(stage.vertex, self.process, struck - 1)


MISCHIEF = {
    "loses": Mischief(lose_request=0.3, lose_answer=0.3),
    "delays": Mischief(delay=1.0),
    "repeats": Mischief(repeat=0.7),
    "reorders": Mischief(reorder=1.0, delay=0.3),
    "corrupts": Mischief(corrupt=0.5),
    "partitions": Mischief(partition=True),
    "does it all": replace(HONEST, lose_request=0.1, lose_answer=0.1, repeat=0.2, corrupt=0.2, reorder=0.3, delay=0.3),
}
