"""A cluster whose processes obey orders to die, behind a proxy a vertex that lies when told to."""

import resource
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cluster.cluster import Cluster
from cluster.embedded import EmbeddedServers, Servers
from cluster.process import Child, python
from cluster.vertex import LISTEN, WEB, WORKER, Vertex
from tests.faults.arming import ready
from tests.faults.disks import KEYSTORE_SIZE, TMPFS, Disk, DiskServers, unmount, variant
from tests.faults.proxy import Proxy

SECOND = "second worker"
SWEEP, LEASE, STORE_BY = 0.5, 3.0, 60  # seconds
SETTINGS = {
    "VERTEX_SWEEP": str(SWEEP),
    "VERTEX_LEASE": str(LEASE),
    "VERTEX_STORE_BY": str(STORE_BY),
    "VERTEX_LOG_LEVEL": "INFO",
    "VERTEX_DB_POOL": "4",
}


@dataclass(slots=True)
class FaultyVertex(Vertex):
    """`prefix` is put in front of a process's command line when it is started next (faketime); `disk` is what its
    keystore lies on, where that is a file system of its own."""

    prefix: dict[str, list[str]] = field(default_factory=dict, repr=False)
    disk: Disk | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if variant() == TMPFS:
            self.disk = Disk(self.keystore.parent, KEYSTORE_SIZE)
        Vertex.__post_init__(self)  # no super(): a dataclass with slots is another class than the one written here

    @property
    def keystore(self) -> Path:
        """The only thing on its disk, besides what fills that."""
        return self.directory / "disk" / "keystore"

    @property
    def orders(self) -> Path:
        """Where its processes look for orders."""
        return self.directory / "orders"

    def command(self, process: str, argv: list[str | Path]) -> list[str | Path]:
        if process in (WORKER, SECOND, LISTEN):
            self.orders.mkdir(exist_ok=True)
            argv = python("-m", "tests.faults.armed", self.orders, *argv[1:])
        return [*self.prefix.get(process, []), *argv]

    def start_second_worker(self) -> None:
        """Another worker on the same queues, database and keystore."""
        first = self.children.pop(WORKER, None)
        try:
            self.restart(WORKER)
            self.children[SECOND] = self.children[WORKER]
        finally:
            if first is not None:
                self.children[WORKER] = first

    def works(self, process: str) -> bool:
        """Whether a process runs and has said so; `web` is ready when it listens."""
        child = self.children.get(process)
        if child is None or not child.running:
            return False
        return process == WEB or ready(self.orders, child.pid)

    def fill_disk(self) -> None:
        """Nothing more goes into the keystore; where it has no disk of its own, into no file of the workers that run
        now. Again, where something was freed, or a worker started, meanwhile."""
        if self.disk is not None:
            self.disk.fill()
        else:
            self._limit_workers(0)

    def free_disk(self) -> None:
        """There is room again."""
        if self.disk is not None:
            self.disk.free()
        else:
            self._limit_workers(None)

    def _limit_workers(self, bytes_: int | None) -> None:
        for process in (WORKER, SECOND):
            if process in self.children:
                limit_files(self.children[process].pid, bytes_)


def limit_files(pid: int, bytes_: int | None) -> None:
    """Sets RLIMIT_FSIZE of a running process: writes beyond fail with EFBIG, as they would with ENOSPC."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if bytes_ is None else bytes_, hard))


class FaultyCluster(Cluster):
    """n vertices, each with its proxy. `seed` is that of the proxies' draws."""

    vertex_type = FaultyVertex
    servers_type = DiskServers

    def __init__(
        self,
        parties: int,
        run_dir: Path,
        *,
        seed: int,
        servers: Servers | None = None,
        settings: Mapping[str, str] = SETTINGS,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(parties, run_dir, servers=servers, settings=settings, say=say)
        self._seed = seed
        self.proxies: dict[str, Proxy] = {}

    def _start(self) -> None:
        self._stack.callback(self._unmount)  # at last: when the vertices are stopped
        super()._start()

    def _unmount(self) -> None:
        for disk in (self.run_dir / "vertices").glob("*/disk"):
            unmount(disk)

    def settings_of(self, name: str) -> dict[str, str]:
        proxy = Proxy(lambda: self.relay.port, self._seed + len(self.proxies))
        proxy.start()
        self._stack.callback(proxy.stop)
        self.proxies[name] = proxy
        return {"VERTEX_RELAY_URL": proxy.url}

    def faulty(self, name: str) -> FaultyVertex:
        vertex = self.vertex(name)
        assert isinstance(vertex, FaultyVertex)
        return vertex

    @property
    def embedded(self) -> EmbeddedServers | None:
        """The servers, where they are ours to stop."""
        return self.servers if isinstance(self.servers, EmbeddedServers) else None

    def snapshot(self, name: str, label: str) -> "Snapshot":
        """A copy of a vertex's database and keystore as they are now; no worker of it runs."""
        keystore = self.vertex(name).directory / f"keystore-{label}"
        shutil.copytree(self.vertex(name).keystore, keystore)
        return Snapshot(self.databases.copy(name, label), keystore)

    def restore(self, name: str, snapshot: "Snapshot", *, keystore: bool) -> None:
        """Put a snapshot's database, and its keystore where asked for, in place of today's; no process of it runs."""
        self.databases.put_back(name, snapshot.database)
        if keystore:
            target = self.vertex(name).keystore
            shutil.rmtree(target)
            shutil.copytree(snapshot.keystore, target)

    def forget(self, snapshot: "Snapshot") -> None:
        self.databases.drop_copy(snapshot.database)
        shutil.rmtree(snapshot.keystore, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A database's name, and a copy of a keystore."""

    database: str
    keystore: Path


def freeze(child: Child) -> None:
    child.send(signal.SIGSTOP)


def thaw(child: Child) -> None:
    child.send(signal.SIGCONT)


def faketime() -> str | None:
    """Debian's faketime, where it is installed."""
    return shutil.which("faketime")
