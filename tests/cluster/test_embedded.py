"""The embedded servers: private, configured as the design says, gone with their owner."""

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from cluster import embedded
from cluster.embedded import EmbeddedServers, GivenServers, StartError, open_servers
from cluster.rundir import PREFIX, RunDir, clean_stale, server_user

OWNER = """
import sys
from cluster.embedded import EmbeddedServers
servers = EmbeddedServers(tmpfs=True)
print(servers.run_dir, servers.postgres.child.pid, servers.redis.child.pid, flush=True)
sys.stdin.read()
servers.close()
"""


@pytest.fixture(scope="module")
def servers() -> Iterator[EmbeddedServers]:
    with EmbeddedServers(tmpfs=True) as started:
        yield started


def eventually(holds: Callable[[], bool], timeout: float = 20) -> bool:
    deadline = time.monotonic() + timeout
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


def alive(pid: int) -> bool:
    """Whether it runs; a zombie that nobody reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("max_connections", "200"),
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("listen_addresses", ""),
        ("server_encoding", "UTF8"),
        ("TimeZone", "UTC"),
    ],
)
def test_postgres_setting(servers: EmbeddedServers, setting: str, value: str) -> None:
    with psycopg.connect(servers.database_url("postgres")) as connection:
        assert connection.execute(f"SHOW {setting}").fetchone() == (value,)


def test_data_belongs_to_an_unprivileged_user_and_nobody_else_reads_it(servers: EmbeddedServers) -> None:
    home = (servers.run_dir / "pg").stat()
    assert stat.S_IMODE(home.st_mode) == 0o700
    assert home.st_uid == (server_user() or os.geteuid()) != 0
    # Passed through, not listed: only its owner sees which clusters' files lie there.
    assert stat.S_IMODE(servers.run_dir.stat().st_mode) == 0o711
    assert not (servers.run_dir / "pg" / "password").exists()


@pytest.mark.parametrize("program", ["postgres", "redis"])
def test_child_leads_a_session_and_runs_unprivileged(servers: EmbeddedServers, program: str) -> None:
    child = getattr(servers, program).child
    assert os.getsid(child.pid) == os.getpgid(child.pid) == child.pid
    status = Path(f"/proc/{child.pid}/status").read_text()
    uids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
    assert set(uids) == {str(server_user() or os.geteuid())}


def test_passwords_are_not_in_the_process_list(servers: EmbeddedServers) -> None:
    for child, password in (
        (servers.postgres.child, servers.postgres._password),
        (servers.redis.child, servers.redis._password),
    ):
        assert child is not None
        assert password.encode() not in Path(f"/proc/{child.pid}/cmdline").read_bytes()


def test_wrong_passwords_are_refused(servers: EmbeddedServers) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(servers.database_url("postgres", user="vertex_owner", password="wrong"))
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=servers.redis.port, retry=Retry(NoBackoff(), 0)).ping()


def test_redis_has_a_database_for_each_of_many_vertices(servers: EmbeddedServers) -> None:
    with redis.Redis.from_url(servers.redis_url(63)) as client:
        assert client.set("a", "b")
    with redis.Redis.from_url(servers.redis_url(62)) as client:
        assert client.get("a") is None


def test_postgres_comes_back_from_a_crash_that_one_of_its_processes_has_not_noticed(servers: EmbeddedServers) -> None:
    postgres = servers.postgres
    with psycopg.connect(postgres.url("postgres")) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        assert postgres.child is not None
        postgres.child.kill()
        waking = threading.Timer(0.5, os.kill, (backend, signal.SIGCONT))
        waking.start()
        postgres.start()
        waking.join()
    with psycopg.connect(postgres.url("postgres")) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_redis_comes_back_on_its_port(servers: EmbeddedServers) -> None:
    port = servers.redis.port
    servers.redis.stop()
    servers.redis.start()
    assert servers.redis.port == port
    with redis.Redis.from_url(servers.redis_url(0)) as client:
        assert client.ping()


def test_lost_port_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as winner:
        winner.bind(("127.0.0.1", 0))
        taken, free = winner.getsockname()[1], embedded.free_port()
        ports = iter([taken, free])
        monkeypatch.setattr(embedded, "free_port", lambda: next(ports))
        run_dir = RunDir(tmpfs=True)
        server = embedded.Valkey(run_dir)
        try:
            server.start()
            assert server.port == free
        finally:
            server.stop()
            run_dir.remove()


def test_close_leaves_nothing() -> None:
    with EmbeddedServers(tmpfs=True) as started:
        children = [started.postgres.child, started.redis.child]
    assert not started.run_dir.exists()
    assert not any(alive(child.pid) for child in children if child)


def test_failed_start_stops_what_had_started(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[RunDir] = []

    def fail(_self: object, run_dir: RunDir) -> None:
        seen.append(run_dir)
        raise StartError("no redis")

    monkeypatch.setattr(embedded.Valkey, "__init__", fail)
    with pytest.raises(StartError, match="no redis"):
        EmbeddedServers(tmpfs=True)
    assert not seen[0].path.exists()


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_servers_die_with_their_owner_and_the_next_one_cleans(sig: int) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert owner.stdin is not None
    assert owner.stdout is not None
    with owner.stdin, owner.stdout:
        run_dir, *pids = owner.stdout.readline().split()
        owner.send_signal(sig)
        owner.wait()
    assert eventually(lambda: not any(alive(int(pid)) for pid in pids))
    assert Path(run_dir).exists()
    clean_stale(Path(run_dir).parent)
    assert not Path(run_dir).exists()


def test_cleaning_spares_who_lives(tmp_path: Path, servers: EmbeddedServers) -> None:
    clean_stale(servers.run_dir.parent)
    assert servers.run_dir.exists()
    stranger = tmp_path / f"{PREFIX}link"
    target = tmp_path / "target"
    target.mkdir()
    stranger.symlink_to(target)
    clean_stale(tmp_path)
    assert target.exists()


@pytest.mark.parametrize(
    ("environment", "error"),
    [({"DATABASE_URL": "postgresql://h/d"}, "set both"), ({"REDIS_URL": "redis://h/0"}, "set both")],
)
def test_half_given_servers_are_refused(environment: dict[str, str], error: str) -> None:
    with pytest.raises(StartError, match=error):
        open_servers(environment)


def test_given_servers_are_used() -> None:
    given = open_servers({"DATABASE_URL": "postgresql://me:pw@db:5433/mine?sslmode=require", "REDIS_URL": "rediss://r"})
    assert isinstance(given, GivenServers)
    assert given.database_url("x") == "postgresql://me:pw@db:5433/x?sslmode=require"
    assert given.database_url("x", user="u", password="p") == "postgresql://u:p@db:5433/x?sslmode=require"
    assert given.redis_url(7) == "rediss://r/7"
