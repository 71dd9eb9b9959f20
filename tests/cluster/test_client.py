"""The Python client on real vertices: its README's examples as pasted, and what only several vertices show."""

import ast
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from vertex_client import AsyncQuorum, Quorum, QuorumError, Vertex
from vertex_client.config import load

from cluster.cluster import CHECKOUT, Cluster

README = CHECKOUT / "client" / "README.md"
CLIENT = CHECKOUT / "client" / "src"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(cluster: Cluster, tmp_path: Path) -> Path:
    """A folder in which `make cluster` seems to have been called and the client seems to be installed."""
    (tmp_path / ".cluster").symlink_to(cluster.write_description().parent)
    command = tmp_path / "bin" / "vertex-client"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vertex_client "$@"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    return tmp_path


def run(folder: Path, *command: str, stdin: str) -> str:
    environment = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(CLIENT), "HOME": str(folder)}
    ran = subprocess.run(
        command, input=stdin, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def test_the_commands_of_the_readme(folder: Path) -> None:
    [walk] = blocks("sh")
    said = run(folder, "sh", "-e", stdin=walk)
    assert len(re.findall(r"^der 30[0-9a-f]+$", said, re.MULTILINE)) == 2
    shown, _, keys = said.rpartition("der ")
    assert re.search(r"^reshare [0-9a-f]{64}  (complete|clean)  confirmed [23] of 2, erased [23] of 2$", shown, re.M)
    assert re.search(r"^ e  joining +✓ +· +· +[✓–] +$", shown, re.MULTILINE)
    *_, before, after = keys.rstrip().splitlines()
    assert before.split()[1] == after.split()[1]
    assert re.search(r"2 of 3 +1 +a \w+, b \w+, c \w+$", before.rstrip())
    assert re.search(r"3 of 4 +2 +a active, b active, d active, e active$", after.rstrip())
    tokens = list((folder / ".cluster").glob("client-*.token"))
    assert len(tokens) == 6
    assert {token.stat().st_mode & 0o777 for token in tokens} == {0o600}


def test_the_programs_of_the_readme(folder: Path) -> None:
    one, several = blocks("python")
    *_, states, refused = run(folder, sys.executable, "-", stdin=one).splitlines()
    assert "'created'" in states
    assert refused == "key_id_not_exists 400"
    first, quarantined, *steps, last = run(folder, sys.executable, "-", stdin=several).splitlines()
    assert re.fullmatch("30[0-9a-f]+", first)
    assert re.fullmatch("30[0-9a-f]+", last)
    assert set(ast.literal_eval(quarantined).values()) == {"reshare_not_complete"}
    assert steps[-1].startswith(("complete 2", "complete 3", "clean "))


def test_a_vertex_that_can_not_be_reached_fails_the_others_soon(folder: Path) -> None:
    vertices = load(cluster=folder / ".cluster")
    with Quorum({"a": vertices["a"], "gone": Vertex("http://127.0.0.1:9", "k", retries=0)}) as quorum:
        with pytest.raises(QuorumError, match="create ed25519: gone: unreachable") as caught:
            quorum.keygen("ed25519", 2)
        assert caught.value.err_types == {"gone": "unreachable"}
        assert set(caught.value.answers) == {"a"}


def test_a_refresh_completes_by_itself_and_derived_keys_stay(folder: Path) -> None:
    vertices = load(cluster=folder / ".cluster")
    with Quorum({name: vertices[name] for name in "abc"}) as quorum:
        key = quorum.keygen("bip340", 2)
        tweaked = quorum.derive(key, [1, 2], tweak=b"")
        moved = quorum.refresh(key)
        assert moved.new.names == ("a", "b", "c")
        *_, last = quorum.watch(moved.rid, timeout=60, clean=True)
        assert (last.complete, last.clean, last.waits) == (True, True, "")
        now = quorum.find(key.public_key)
        assert (now.generation, now.states) == (2, {"a": "active", "b": "active", "c": "active"})
        assert quorum.derive(now, [1, 2], tweak=b"") == tweaked
        assert set(quorum.carry_receipts(moved.rid).all("carry")) == {"a", "b", "c"}
        assert moved.rid not in quorum.unfinished()
        with pytest.raises(QuorumError) as caught:
            quorum.sign(moved.old, b"", by=["a", "b"])
        assert caught.value.err_types == {"a": "share_erased", "b": "share_erased"}


def test_an_aborted_reshare_ends_the_watch(folder: Path) -> None:
    vertices = load(cluster=folder / ".cluster")
    with Quorum({name: vertices[name] for name in "abcd"}) as quorum:
        key = quorum.keygen("ed25519", 2, ["a", "b", "c"])
        moved = quorum.reshare(key, ["a", "b", "d"], 2)
        assert isinstance(quorum.asynchronous, AsyncQuorum)
        quorum.abort(moved.rid, ["a", "b", "c"], reason="not wanted").all("abort")
        *_, last = quorum.watch(moved.rid, timeout=60)
        assert (last.state, last.complete, last.ended) == ("aborted", False, True)
        assert quorum.look(moved.old).usable == ("a", "b", "c")
