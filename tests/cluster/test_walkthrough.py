"""The README's walk through a reshare with curl, run as pasted."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from cluster.cluster import CHECKOUT, Cluster

SECTION = re.compile(r"^## A reshare with curl\n(.*?)^## ", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BETWEEN = "--- next block ---"


def blocks() -> list[str]:
    section = SECTION.search((CHECKOUT / "README.md").read_text())
    assert section is not None
    return BLOCK.findall(section[1])


@pytest.fixture
def folder(cluster: Cluster, tmp_path: Path) -> Path:
    """A folder in which `make cluster` seems to have been called."""
    (tmp_path / ".cluster").symlink_to(cluster.write_description().parent)
    return tmp_path


def test_the_walk_works_as_pasted(folder: Path) -> None:
    walk = f"\necho '{BETWEEN}'\n".join(blocks())
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    ran = subprocess.run(
        ["sh"], input=walk, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.stderr == ""
    said = [part.strip() for part in ran.stdout.split(BETWEEN)]
    created, generated, signed, reshared, consoles, confirmed, after = said

    assert re.findall(r"^(.) has key", created, re.MULTILINE) == list("abcde")
    keys = dict(re.findall(r"^(.): ([0-9a-f]{66})$", generated, re.MULTILINE))
    assert sorted(keys) == list("abc")
    assert len(set(keys.values())) == 1
    signatures = signed.splitlines()
    assert len(signatures) == 2
    assert '"der"' in signatures[0]
    assert signatures[0] == signatures[1]

    assert re.findall(r"^(.): quarantined$", reshared, re.MULTILINE) == list("abde")
    assert reshared.endswith('"err_type":"reshare_not_complete"}')
    assert consoles.count("/console/ as operator, password ") == 2
    assert confirmed.startswith("a has confirmed\nc has confirmed\n")
    assert '"complete":true' in confirmed

    *new_signatures, refused, before, now = after.splitlines()
    assert len(new_signatures) == 3
    assert len(set(new_signatures)) == 1
    assert '"der"' in new_signatures[0]
    assert refused.endswith('"err_type":"share_erased"}')
    assert before.split() == ["before:", keys["a"]]
    assert now.split() == ["after:", keys["a"]]
