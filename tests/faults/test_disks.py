"""A disk that is full in truth, one that only seems so where none may be mounted, and that no mount is left behind."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cluster.embedded import Servers
from cluster.process import Child
from cluster.vertex import WORKER
from tests.faults import disks, outages, vertices
from tests.faults.disks import LIMIT, OURS, TMPFS, Disk, clean_stale, mounted, variant
from tests.faults.vertices import FaultyCluster, FaultyVertex

HERE = variant()
FULL = {TMPFS: errno.ENOSPC, LIMIT: errno.EFBIG}
# Writes a file of the keystore whenever it is told to, and tells what the system said.
WRITER = """
import sys
for path in sys.stdin:
    try:
        with open(path.strip(), "wb", buffering=0) as file:
            file.write(b"x")
    except OSError as error:
        print(error.errno, flush=True)
    else:
        print(0, flush=True)
"""


@pytest.fixture(autouse=True)
def nothing_is_left_behind(tmp_path: Path) -> Iterator[None]:
    yield
    assert [path for _, path in mounted() if path.is_relative_to(tmp_path)] == []


def vertex(directory: Path) -> FaultyVertex:
    return FaultyVertex("a", directory, "", "", {}, directory)


@pytest.mark.parametrize("kind", sorted({HERE, LIMIT}))
def test_a_full_disk_refuses_and_heals_when_it_is_freed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(vertices, "variant", lambda: kind)
    with ExitStack() as stack:
        made = vertex(tmp_path / "a")
        assert (made.disk is not None) == (kind == TMPFS)
        if made.disk is not None:
            stack.callback(made.disk.remove)
        writer = stack.enter_context(
            subprocess.Popen([sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        stack.callback(writer.kill)
        made.children[WORKER] = Child("writer", writer, tmp_path / "log")  # type: ignore[arg-type]

        def write(name: str) -> int:
            assert writer.stdin is not None
            assert writer.stdout is not None
            print(made.keystore / name, file=writer.stdin, flush=True)
            return int(writer.stdout.readline())

        assert write("before") == 0
        made.fill_disk()
        assert write("full") == FULL[kind]
        (made.keystore / "before").unlink()
        made.fill_disk()
        assert write("full") == FULL[kind], "what was freed meanwhile is filled too"
        made.free_disk()
        made.free_disk()
        assert write("after") == 0
        assert (made.keystore / "after").read_bytes() == b"x"


def refused(*_: Any) -> None:
    raise subprocess.CalledProcessError(32, "mount")


@pytest.mark.parametrize(
    ("name", "attribute", "value"),
    [("not root", "os.geteuid", lambda: 1000), ("mount refused", "_run", refused), ("no mount", "shutil.which", None)],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_without_the_right_to_mount_files_are_limited(
    monkeypatch: pytest.MonkeyPatch, name: str, attribute: str, value: Any
) -> None:
    monkeypatch.setattr(f"tests.faults.disks.{attribute}", value or (lambda _: None))
    assert disks.variant.__wrapped__() == LIMIT


def test_what_a_killed_run_left_is_unmounted(tmp_path: Path) -> None:
    if HERE == LIMIT:
        assert list(mounted()) == []
        return
    Disk(tmp_path / "left", 1 << 20)
    clean_stale()
    assert (os.getpid(), tmp_path / "left") in mounted(), f"{OURS}{os.getpid()} is alive"
    clean_stale(alive=lambda pid: pid != os.getpid())
    assert (os.getpid(), tmp_path / "left") not in mounted()


def test_a_cluster_that_does_not_come_up_leaves_no_mount(
    fault_servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts: list[bool] = []

    def fails(made: FaultyVertex) -> None:
        mounts.append(made.keystore.parent.is_mount())
        raise RuntimeError("no")

    monkeypatch.setattr(FaultyVertex, "start", fails)
    with pytest.raises(RuntimeError, match="no"), FaultyCluster(1, tmp_path, seed=1, servers=fault_servers):
        pass
    assert mounts == [HERE == TMPFS]


@pytest.mark.parametrize("kind", sorted({HERE, LIMIT}))
def test_a_full_database_fails_and_heals_when_it_is_freed(
    fault_servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if kind != HERE:
        monkeypatch.setattr(outages, "_disk", lambda _: None)
    cluster = FaultyCluster(1, tmp_path, seed=1)
    cluster.servers = fault_servers
    [fault] = [fault for fault in outages.servers() if fault.name == f"database's disk full ({HERE})"]

    def write(table: str) -> None:
        with psycopg.connect(fault_servers.database_url("postgres"), autocommit=True, connect_timeout=5) as connection:
            connection.execute(f"CREATE TABLE {table} AS SELECT generate_series(1, 100000)")
            connection.execute("CHECKPOINT")
            connection.execute(f"DROP TABLE {table}")

    write("before")
    fault.down(cluster)
    try:
        with pytest.raises(psycopg.Error):
            write("refused")
    finally:
        fault.up(cluster)
    write("afterwards")
