"""Real vertices for the tests: on the servers that the user gave, else on embedded ones of their own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.cluster import Cluster
from cluster.embedded import EmbeddedServers, Servers, open_servers
from tests.servers import OURS


@pytest.fixture(scope="session")
def cluster_servers() -> Iterator[Servers]:
    """Not those of the other tests: a vertex needs a Redis database of its own, and tests flush theirs."""
    servers = EmbeddedServers(tmpfs=True) if OURS in os.environ else open_servers(os.environ)
    yield servers
    servers.close()


@pytest.fixture(scope="session")
def cluster(cluster_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Six vertices, ready. Shared by all tests of a run, so each test makes keys of its own."""
    run_dir: Path = tmp_path_factory.mktemp("cluster")
    with Cluster(6, run_dir, servers=cluster_servers, say=print) as started:
        yield started
