"""A browser and a small cluster of real vertices."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from cluster.cluster import Cluster
from cluster.embedded import Servers
from tests.cluster.conftest import cluster_servers

__all__ = ["cluster_servers"]

# Nothing but the pages under test: no background connections, no first-run pages.
HOST = "vertex.test"  # a name that leads here
QUIET = (
    f"--host-resolver-rules=MAP {HOST} 127.0.0.1",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def cluster(cluster_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three vertices, ready."""
    settings = {"VERTEX_ALLOWED_HOSTS": f"127.0.0.1,localhost,{HOST}"}
    run_dir = tmp_path_factory.mktemp("cluster")
    with Cluster(3, run_dir, servers=cluster_servers, settings=settings, say=print) as started:
        yield started


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    chromium = shutil.which("chromium")
    assert chromium is not None, "install chromium: the browser tests need it"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=list(QUIET))
        yield started
        started.close()


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """Where a test puts its screenshots."""
    return tmp_path
