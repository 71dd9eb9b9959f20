"""What an operator's service manager does: whatever dies is started again; and the main thread's hands for the lanes.

Children are started by the main thread only (they die with the thread that started them), so lanes `ask`.
"""

import queue
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from cluster.process import StartError
from cluster.vertex import PROCESSES
from tests.faults.vertices import SECOND, FaultyCluster, FaultyVertex

T = TypeVar("T")
TURN = 0.03  # seconds between two looks at the processes
START_PATIENCE = 120.0  # seconds that a process may take to say that it works


@dataclass(slots=True)
class Death:
    """A process that ended, and its successor."""

    vertex: str
    process: str
    code: int | None
    at: float  # Unix seconds when it was seen
    back_at: float | None = None  # when its successor worked


class Supervisor:
    """Runs lanes in threads and looks after the processes meanwhile."""

    def __init__(self, cluster: FaultyCluster, say: Callable[[str], None]) -> None:
        self.cluster = cluster
        self.deaths: list[Death] = []
        self._say = say
        self._asked: queue.Queue[tuple[Callable[[], Any], Future[Any]]] = queue.Queue()
        self._held: set[tuple[str, str]] = set()  # not started again until released
        self._coming: list[Death] = []
        # One fault at a time at a vertex: what is measured is this one's.
        self.locks = {vertex.name: threading.Lock() for vertex in cluster.vertices}

    # For lanes -----------------------------------------------------------------------------------------------------

    def ask(self, call: Callable[[], T]) -> T:
        """Run something in the main thread; its result or error."""
        future: Future[T] = Future()
        self._asked.put((call, future))
        return future.result()

    def kill(self, vertex: str, process: str) -> float:
        """SIGKILL to a process; it is started again at once. When it was killed (Unix seconds)."""

        def strike() -> float:
            child = self.cluster.vertex(vertex).children.get(process)
            if child is not None:
                child.kill()
            return time.time()

        return self.ask(strike)

    def hold(self, vertex: str, *processes: str) -> None:
        """Don't start these again when they die, until `release`."""
        self._held |= {(vertex, process) for process in processes}

    def release(self, vertex: str, *processes: str) -> None:
        self._held -= {(vertex, process) for process in processes}

    def back_at(self, vertex: str, process: str, since: float, patience: float = START_PATIENCE) -> float | None:
        """When the successor of a process that died after `since` worked; waits for it. None if it did not come."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            for death in list(self.deaths):
                if (death.vertex, death.process) == (vertex, process) and death.at >= since and death.back_at:
                    return death.back_at
            time.sleep(0.05)
        return None

    # In the main thread --------------------------------------------------------------------------------------------

    def run(self, lanes: Sequence[Callable[[], None]]) -> None:
        """Until every lane has ended; the first lane's error is raised when all have."""
        errors: list[BaseException] = []

        def guarded(lane: Callable[[], None]) -> None:
            try:
                lane()
            except BaseException as error:  # it is raised again below
                errors.append(error)

        threads = [threading.Thread(target=guarded, args=(lane,), daemon=True) for lane in lanes]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            self.turn()
        if errors:
            raise errors[0]

    def turn(self) -> None:
        """One look at everything."""
        try:
            call, future = self._asked.get(timeout=TURN)
        except queue.Empty:
            pass
        else:
            try:
                future.set_result(call())
            except BaseException as error:  # it belongs to the one who asked
                future.set_exception(error)
        for vertex in self.cluster.vertices:
            assert isinstance(vertex, FaultyVertex)
            self._mend(vertex)
        relay = self.cluster.relay
        if ("", "relay") not in self._held and relay.child is not None and not relay.child.running:
            with suppress(OSError, StartError):  # the next turn tries again
                relay.start()

    def _mend(self, vertex: FaultyVertex) -> None:
        for process in (*PROCESSES, SECOND):
            child = vertex.children.get(process)
            if (vertex.name, process) in self._held or (child is not None and child.running):
                continue
            if child is not None:
                death = Death(vertex.name, process, child.popen.returncode, time.time())
                self.deaths.append(death)
                vertex.children.pop(process)
                child.kill()  # whatever is left of its group
                if process != SECOND:
                    self._coming.append(death)
            if process != SECOND:
                # A port may stay taken for a moment: the next turn tries again.
                with suppress(OSError, StartError):
                    vertex.restart(process)
        for death in list(self._coming):
            if death.vertex == vertex.name and vertex.works(death.process):
                death.back_at = time.time()
                self._coming.remove(death)

    @property
    def unexpected(self) -> list[Death]:
        """Processes that ended otherwise than by SIGKILL: by themselves."""
        return [death for death in self.deaths if death.code != -signal.SIGKILL]
