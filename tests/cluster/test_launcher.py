"""The launcher over a stand-in checkout: what every process gets, what the file says, in which order things end."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from cluster import cluster as launcher
from cluster.cluster import Cluster
from cluster.embedded import Servers
from cluster.process import StartError
from tests.cluster import standin
from tests.cluster.test_embedded import alive, eventually

VERTEX_KEYS = {
    *("name", "url", "admin_token", "admin_user", "admin_password", "approver_user", "approver_password"),
    *("database_url", "redis_url", "keystore", "log_dir", "pids"),
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("checkout")
    standin.write(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launcher, "CHECKOUT", path)
        yield path


@pytest.fixture(scope="module")
def pair(checkout: Path, cluster_servers: Servers) -> Iterator[Cluster]:
    settings = {"VERTEX_NOTES": str(checkout / "notes"), "VERTEX_SWEEP": "0.5"}
    with Cluster(2, checkout / "run", servers=cluster_servers, settings=settings) as started:
        yield started


def test_description_has_all_that_was_promised(pair: Cluster) -> None:
    path = pair.write_description()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    description = json.loads(path.read_text())
    assert description.keys() == {"relay", "relay_api_key", "relay_pid", "vertices"}
    assert [vertex.keys() for vertex in description["vertices"]] == [VERTEX_KEYS] * 2
    for vertex in description["vertices"]:
        assert httpx.get(vertex["url"]).text == vertex["name"]
        assert stat.S_IMODE(Path(vertex["keystore"]).stat().st_mode) == 0o700
        assert vertex["pids"].keys() == {"web", "worker", "listen"}
        assert all(os.getpgid(pid) == pid for pid in vertex["pids"].values())
    assert os.getpgid(description["relay_pid"]) == description["relay_pid"]


def test_vertices_share_nothing(pair: Cluster) -> None:
    first, second = (vertex.describe() for vertex in pair.vertices)
    same = {key for key in VERTEX_KEYS if first[key] == second[key]}
    assert same == {"admin_user", "approver_user"}
    assert pair.vertices[0].master_key != pair.vertices[1].master_key
    assert pair.vertices[0].secret_key != pair.vertices[1].secret_key


def test_only_the_worker_can_open_the_keystore(pair: Cluster, checkout: Path) -> None:
    for process in ("worker", "listen"):
        assert eventually(lambda process=process: len(standin.notes(checkout / "notes", process)) >= 2)
    workers, listeners = (standin.notes(checkout / "notes", name) for name in ("worker", "listen"))
    for vertex in pair.vertices:
        worker, listen = workers[vertex.name], listeners[vertex.name]
        assert isinstance(worker, dict)
        assert isinstance(listen, dict)
        assert worker["VERTEX_MASTER_KEY"] == vertex.master_key
        assert worker["VERTEX_KEYSTORE"] == str(vertex.keystore)
        assert not listen.keys() & {"VERTEX_MASTER_KEY", "VERTEX_KEYSTORE"}
        assert listen["DATABASE_URL"] == vertex.database_url
        assert listen["VERTEX_RELAY_API_KEY"] == pair.relay.api_key
        assert listen["VERTEX_SWEEP"] == "0.5"


def test_operators_are_made_with_their_groups(pair: Cluster, checkout: Path) -> None:
    made = standin.notes(checkout / "notes", "operators")
    for vertex in pair.vertices:
        assert made[vertex.name] == [
            {"username": "operator", "password": vertex.admin_password, "groups": ["operator"]},
            {"username": "approver", "password": vertex.approver_password, "groups": ["approver"]},
        ]


def test_vertices_connect_as_a_role_that_owns_nothing(pair: Cluster) -> None:
    with psycopg.connect(pair.vertices[0].database_url) as connection:
        assert connection.execute("SELECT * FROM migrated").fetchall() == []
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DROP TABLE migrated")
    with psycopg.connect(pair.vertices[0].database_url) as connection:
        roles = connection.execute("SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = user")
        assert roles.fetchone() == (False, False, False)


def test_dead_process_is_reported_and_comes_back_at_its_port(pair: Cluster) -> None:
    vertex = pair.vertices[0]
    url, child = vertex.url, vertex.children["web"]
    os.killpg(vertex.pids["web"], signal.SIGKILL)
    assert eventually(lambda: [dead.name for dead in pair.dead] == ["a web"])
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
    with pytest.raises(StartError, match=f"a web ended with {-signal.SIGKILL}"):
        pair.wait_ready()
    vertex.restart("web")
    pair.wait_ready()
    assert vertex.url == url
    assert vertex.pids["web"] != child.pid
    assert pair.dead == []


def test_vertex_joins_and_is_destroyed(pair: Cluster) -> None:
    vertex = pair.add_vertex()
    assert vertex.name == "c"
    assert vertex.keystore.is_dir()
    pids = list(vertex.pids.values())
    pair.destroy_vertex("c")
    assert not any(alive(pid) for pid in pids)
    assert not vertex.directory.exists()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(vertex.database_url)
    assert [vertex.name for vertex in pair.vertices] == ["a", "b"]


def test_start_fails_with_the_reason(cluster_servers: Servers, checkout: Path, tmp_path: Path) -> None:
    failing = Cluster(1, tmp_path, servers=cluster_servers, settings={"VERTEX_NOTES": "/nonexistent/notes"})
    with pytest.raises(StartError, match=r"(?s)a (listen|operators|worker) ended with [12]:.*No such file"):
        failing.__enter__()
    assert not (tmp_path / "vertices" / "a" / "keystore").exists()


COMMAND = """
import sys
from pathlib import Path
from cluster import __main__ as main, cluster
cluster.CHECKOUT = Path(sys.argv.pop(1))
main.TUNABLE += ("VERTEX_NOTES",)
sys.exit(main.main(cluster.CHECKOUT / ".cluster"))
"""


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_command_runs_until_interrupted_and_stops_in_order(tmp_path: Path, sig: int) -> None:
    notes = standin.write(tmp_path)
    given = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    command = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(tmp_path), "--parties", "1"],
        env=given | {"VERTEX_NOTES": str(notes)},
        stderr=subprocess.PIPE,
        text=True,
    )
    description = tmp_path / ".cluster" / "cluster.json"
    try:
        assert eventually(lambda: description.exists() or command.poll() is not None, 60)
        vertex = json.loads(description.read_text())["vertices"][0]
        command.send_signal(sig)
        _, said = command.communicate(timeout=30)
    finally:
        command.kill()
    assert command.returncode == 0
    assert "1 vertices are ready" in said
    assert said.endswith("stopped\n")
    assert standin.notes(notes, "stopped") == {"a": [True, []]}
    assert not any(alive(pid) for pid in vertex["pids"].values())
    assert not description.exists()
    assert not Path(vertex["keystore"]).exists()
