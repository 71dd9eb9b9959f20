"""Outages of what all vertices share: PostgreSQL, Redis and the relay, stopped, crashed, full, or without memory."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import redis

from cluster.embedded import Postgres, Valkey
from cluster.process import Child
from tests.faults.struck import Fault, Stage, Times, pause
from tests.faults.vertices import FaultyCluster, limit_files


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


def _postgres_disk_full(cluster: FaultyCluster) -> None:
    """No file of PostgreSQL's may be written: it panics, and can't recover before there is room."""
    child = _postgres(cluster).child
    assert child is not None
    for path in Path("/proc").iterdir():
        try:
            if path.name.isdigit() and os.getsid(int(path.name)) == child.pid:
                limit_files(int(path.name), 0)
        except (ProcessLookupError, PermissionError):
            continue


def _postgres_again(cluster: FaultyCluster) -> None:
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
        Servers("database's disk full", _postgres_disk_full, _postgres_again),
    ]
