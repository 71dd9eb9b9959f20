"""Servers, a relay and n vertices: started together, described in one file, stopped in order."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import redis

from cluster.database import Databases
from cluster.embedded import EmbeddedServers, Servers, open_servers
from cluster.process import Child, StartError, base_env, python, run
from cluster.relay import Relay
from cluster.vertex import Vertex

CHECKOUT = Path(__file__).resolve().parent.parent
READY_TIMEOUT = 120.0
MIGRATE_TIMEOUT = 120.0
MAX_PARTIES = 32
# The servers' 200 connections, less some for tests and migrations, shared by each vertex's web and worker.
CONNECTIONS = 160


class Cluster:
    """A context manager. Use it from the main thread: its children die with the thread that started them.

    `run_dir` gets one directory a vertex (keystore, logs); what an earlier cluster left there is removed first.
    `settings` are environment variables for all vertices. `say` is told of progress.
    """

    vertex_type: type[Vertex] = Vertex
    servers_type: type[EmbeddedServers] = EmbeddedServers

    def __init__(
        self,
        parties: int,
        run_dir: Path,
        *,
        servers: Servers | None = None,
        settings: Mapping[str, str] | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        if not 1 <= parties <= MAX_PARTIES:
            raise ValueError(f"parties must be 1 to {MAX_PARTIES}")
        self.run_dir = run_dir.resolve()
        self.vertices: list[Vertex] = []
        self._parties = parties
        self._given_servers = servers
        self._extra = dict(settings or {})
        self._say = say
        self._made = 0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack:
            self._start()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        begun = time.monotonic()
        shutil.rmtree(self.run_dir / "vertices", ignore_errors=True)
        self.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.servers = self._given_servers or open_servers(os.environ, embedded=self.servers_type)
        self.databases = Databases(self.servers)
        if self._given_servers is None:
            self._stack.callback(self.servers.close)
        if self._given_servers is not None or not self.servers.ephemeral:
            self._stack.callback(self.databases.drop_all)
        self.databases.prepare()
        self.relay = Relay(self.servers.redis_url(0), self.run_dir, CHECKOUT)
        self._stack.callback(self.relay.stop)
        self.relay.start()
        self._say(f"{time.monotonic() - begun:5.1f} s  servers and relay are up")
        self._migrate()
        self._say(f"{time.monotonic() - begun:5.1f} s  database migrated")
        self._stack.callback(self._stop_vertices)
        for _ in range(self._parties):
            self._new_vertex()
        self.wait_ready()
        self._say(f"{time.monotonic() - begun:5.1f} s  {self._parties} vertices are ready")

    def _migrate(self) -> None:
        run(
            "migrate",
            python("manage.py", "migrate", "--no-input"),
            timeout=MIGRATE_TIMEOUT,
            log=self.run_dir / "migrate.log",
            env=base_env()
            | {
                "DATABASE_URL": self.databases.template_url,
                "REDIS_URL": self.servers.redis_url(0),
                "VERTEX_SECRET_KEY": "unused by migrations",
                "VERTEX_APP_ROLE": self.databases.role,
                "VERTEX_DB_POOL": "0",
            },
            cwd=CHECKOUT,
        )

    def _new_vertex(self) -> Vertex:
        number, index = divmod(self._made, 26)
        name = chr(ord("a") + index) + (str(number + 1) if number else "")
        self._made += 1
        vertex = self.vertex_type(
            name=name,
            directory=self.run_dir / "vertices" / name,
            database_url=self.databases.create(name),
            redis_url=self.servers.redis_url(self._made),
            settings=self._settings() | self.settings_of(name),
            checkout=CHECKOUT,
        )
        self.vertices.append(vertex)
        vertex.start()
        return vertex

    def settings_of(self, name: str) -> dict[str, str]:
        """What one vertex is told that the others are not."""
        return {}

    def _settings(self) -> dict[str, str]:
        return {
            "VERTEX_RELAY_URL": self.relay.url,
            "VERTEX_RELAY_API_KEY": self.relay.api_key,
            "VERTEX_APP_ROLE": self.databases.role,
            "VERTEX_ALLOWED_HOSTS": "127.0.0.1,localhost",
            "VERTEX_INSECURE_HTTP": "1",
            "VERTEX_TWO_PERSON": "0",
            "VERTEX_DEBUG": "0",
            # Counted as elsewhere, and out of reach of what measures or tests a vertex.
            "VERTEX_RATE": "100000000/min",
            "VERTEX_GUESS_RATE": "100000000/min",
            "VERTEX_DB_POOL": str(max(2, min(8, CONNECTIONS // (2 * self._parties)))),
            **self._extra,
        }

    def wait_ready(self, timeout: float = READY_TIMEOUT) -> None:
        """Until every vertex is ready and has its operators; `StartError` names what died or is late."""
        deadline = time.monotonic() + timeout
        waiting = list(self.vertices)
        while waiting:
            for vertex in list(waiting):
                for child in vertex.dead:
                    raise StartError(f"{child.name} ended with {child.popen.returncode}:\n{child.tail()}")
                if vertex.operators_made and vertex.ready:
                    waiting.remove(vertex)
            if waiting and time.monotonic() > deadline:
                raise StartError(f"not ready after {timeout:.0f} s: {', '.join(vertex.name for vertex in waiting)}")
            time.sleep(0.1 if waiting else 0)

    def vertex(self, name: str) -> Vertex:
        return next(vertex for vertex in self.vertices if vertex.name == name)

    def add_vertex(self) -> Vertex:
        """One more vertex, with a new name; returns once it is ready."""
        vertex = self._new_vertex()
        self.wait_ready()
        return vertex

    def destroy_vertex(self, name: str) -> None:
        """Kills its processes and destroys its database, Redis database and keystore."""
        vertex = self.vertex(name)
        self.vertices.remove(vertex)
        vertex.destroy()
        self.databases.drop(name)
        with redis.Redis.from_url(vertex.redis_url) as client:
            client.flushdb()

    def owner_url(self, name: str) -> str:
        """A vertex's database as its owner; the vertex itself connects as the application role."""
        return self.databases.owner_url(name)

    @property
    def dead(self) -> list[Child]:
        """Every process that ended without having been told to."""
        relay = [self.relay.child] if self.relay.child and not self.relay.child.running else []
        return relay + [child for vertex in self.vertices for child in vertex.dead]

    def _stop_vertices(self) -> None:
        for vertex in self.vertices:
            vertex.terminate()
        for vertex in self.vertices:
            vertex.stop()
            # Without its database a keystore is of no use, and what lies in it is secret.
            shutil.rmtree(vertex.keystore, ignore_errors=True)

    def write_description(self) -> Path:
        """Writes `cluster.json` (mode 600), all at once: who sees it sees all of it."""
        assert self.relay.child is not None
        description = {
            "relay": self.relay.url,
            "relay_api_key": self.relay.api_key,
            "relay_pid": self.relay.child.pid,
            "vertices": [vertex.describe() for vertex in self.vertices],
        }
        descriptor, temporary = tempfile.mkstemp(dir=self.run_dir)  # mode 600
        with os.fdopen(descriptor, "w") as file:
            json.dump(description, file, indent=2)
            file.write("\n")
        path = self.run_dir / "cluster.json"
        Path(temporary).replace(path)
        self._stack.callback(path.unlink, missing_ok=True)
        return path
