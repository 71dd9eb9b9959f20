"""Outages of what all vertices share: PostgreSQL, Redis and the relay, stopped, crashed, full, or without memory."""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import redis

from cluster.embedded import Postgres, Valkey
from cluster.process import Child
from cluster.vertex import WORKER
from tests.faults.disks import Disk, DiskServers, variant
from tests.faults.struck import Fault, Stage, Times, pause
from tests.faults.supervisor import Supervisor
from tests.faults.vertices import FaultyCluster

LOG_FILES = 200  # of 16 MiB: more than PostgreSQL may have made before


@dataclass
class Servers(Fault):
    """A server of all vertices is stopped for a while, or loses its memory."""

    name: str
    down: Callable[[FaultyCluster], None]
    up: Callable[[FaultyCluster], None]
    seconds: float = 1.5
    exclusive: bool = field(default=True)
    _away: bool = field(default=False, init=False, repr=False)

    def strike(self, stage: Stage) -> Times:
        pause(stage, 1.5)
        struck = time.time()
        supervisor = stage.supervisor
        supervisor.hold("", "relay")
        try:
            self._away = True
            supervisor.ask(lambda: self.down(stage.cluster))
            time.sleep(self.seconds)
            self._bring_back(stage)
        finally:
            supervisor.release("", "relay")
        return Times(struck, time.time())

    def withdraw(self, stage: Stage) -> None:
        """Once more where it did not come: every later scenario needs it."""
        if self._away:
            self._bring_back(stage)

    def _bring_back(self, stage: Stage) -> None:
        stage.supervisor.ask(lambda: self.up(stage.cluster))
        self._away = False


class ForgottenMeanwhile(Fault):
    """A worker is away until all others have ended and Redis has forgotten what they had told it."""

    name = "redis flushed behind a worker"
    exclusive = True

    def __init__(self) -> None:
        self.others_ended = threading.Event()

    def strike(self, stage: Stage) -> Times:
        with away(stage.supervisor, stage.vertex):
            self.others_ended.wait(stage.patience)
            struck = time.time()
            _flush(stage.cluster)
        return Times(struck, time.time())


@contextmanager
def away(supervisor: Supervisor, vertex: str) -> Iterator[None]:
    """A worker is killed, and another one started only afterwards."""
    supervisor.hold(vertex, WORKER)
    try:
        supervisor.kill(vertex, WORKER)
        yield
    finally:
        supervisor.release(vertex, WORKER)


def _postgres(cluster: FaultyCluster) -> Postgres:
    assert cluster.embedded is not None
    return cluster.embedded.postgres


def _redis(cluster: FaultyCluster) -> Valkey:
    assert cluster.embedded is not None
    return cluster.embedded.redis


def _kill(child: Child | None) -> None:
    assert child is not None
    child.kill()


def _flush(cluster: FaultyCluster) -> None:
    with redis.Redis.from_url(cluster.servers.redis_url(0)) as client:
        client.flushall()


def _disk(cluster: FaultyCluster) -> Disk | None:
    return cluster.servers.disk if isinstance(cluster.servers, DiskServers) else None


def _postgres_disk_full(cluster: FaultyCluster) -> None:
    """PostgreSQL panics, and can't recover before there is room."""
    if (disk := _disk(cluster)) is None:
        _limit_postgres(cluster)
        return
    url = cluster.servers.database_url("postgres")
    with suppress(psycopg.OperationalError), psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        for _ in range(LOG_FILES):  # as a busy database does, it uses up the log files that it had made before
            disk.fill()
            connection.execute("SELECT pg_logical_emit_message(true, 'full', ''), pg_switch_wal()")
        raise RuntimeError("PostgreSQL has not noticed that its disk is full")


def _limit_postgres(cluster: FaultyCluster) -> None:
    """No file of PostgreSQL's may be written by any of its processes: each leads a session, all have one parent."""
    server = _postgres(cluster)
    assert server.child is not None
    first = server.child.pid
    _limit(first, server.user, check=True)  # whatever it starts from now on inherits that
    for path in Path("/proc").iterdir():
        with suppress(OSError):
            if path.name.isdigit() and int((path / "stat").read_text().rpartition(")")[2].split()[1]) == first:
                _limit(int(path.name), server.user, check=False)  # it may have ended by itself


def _limit(pid: int, user: int | None, *, check: bool) -> None:
    """As the servers' user: root without CAP_SYS_RESOURCE may not limit the processes of others."""
    program = shutil.which("prlimit") or "prlimit"
    groups: list[int] | None = None if user is None else []
    subprocess.run(
        [program, f"--pid={pid}", "--fsize=0:"], check=check, user=user, group=user, extra_groups=groups, cwd="/"
    )


def _postgres_again(cluster: FaultyCluster) -> None:
    if (disk := _disk(cluster)) is not None:
        disk.free()
    _kill(_postgres(cluster).child)
    _postgres(cluster).start()


def servers() -> list[Servers]:
    """Faults of PostgreSQL, Redis and the relay; of servers that were started here only."""
    return [
        Servers("postgres stopped", lambda c: _postgres(c).stop(), lambda c: _postgres(c).start()),
        Servers("postgres crashed", lambda c: _kill(_postgres(c).child), lambda c: _postgres(c).start(), seconds=0.5),
        Servers("redis stopped", lambda c: _redis(c).stop(), lambda c: _redis(c).start()),
        Servers("redis flushed", _flush, lambda c: None, seconds=0.0),
        Servers("relay killed", lambda c: _kill(c.relay.child), lambda c: c.relay.start()),
        Servers(f"database's disk full ({variant()})", _postgres_disk_full, _postgres_again),
    ]
