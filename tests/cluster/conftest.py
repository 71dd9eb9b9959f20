"""Real vertices for the tests: on the servers that the user gave, else on embedded ones of their own."""

import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from cluster.cluster import Cluster
from cluster.embedded import EmbeddedServers, Servers, open_servers
from tests.cluster.listener import Listener
from tests.cluster.outside import Party, at_once, keygen, new_party
from tests.servers import OURS

Key = list[Party]


@pytest.fixture(scope="session")
def cluster_servers() -> Iterator[Servers]:
    """Not those of the other tests: a vertex needs a Redis database of its own, and tests flush theirs."""
    servers = EmbeddedServers(tmpfs=True) if OURS in os.environ else open_servers(os.environ)
    yield servers
    servers.close()


@pytest.fixture(scope="session")
def listener() -> Iterator[Listener]:
    """Where vertices may call."""
    with Listener() as started:
        yield started


class Ours(Cluster):
    """At the last vertex two people decide; the last two let single shares out and in."""

    def settings_of(self, name: str) -> dict[str, str]:
        settings = {"VERTEX_TWO_PERSON": "1"} if name == "f" else {}
        return settings | ({"VERTEX_BACKUP": "plaintext"} if name in "ef" else {})


@pytest.fixture(scope="session")
def cluster(
    cluster_servers: Servers, listener: Listener, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Six vertices, ready. Shared by all tests of a run, so each test that changes a key makes its own."""
    run_dir: Path = tmp_path_factory.mktemp("cluster")
    settings = {"VERTEX_WEBHOOK_HOSTS": listener.host}
    with Ours(6, run_dir, servers=cluster_servers, settings=settings, say=print) as started:
        yield started


@pytest.fixture(scope="session")
def new_parties(cluster: Cluster) -> Callable[..., list[Party]]:
    """`new_parties(3, "ecdsa")`: users with keys that were only created, one at each of the first vertices."""

    def made(count: int, scheme: str = "ecdsa") -> list[Party]:
        vertices = [(vertex.url, vertex.admin_token) for vertex in cluster.vertices[:count]]
        return at_once(*(lambda at=at: new_party(*at, scheme) for at in vertices))

    return made


@pytest.fixture(scope="session")
def key_of(new_parties: Callable[..., list[Party]]) -> Callable[[str], Key]:
    """The run's one active 2-of-3 key of a scheme; what changes a key makes its own."""

    @cache
    def made(scheme: str) -> Key:
        parties = new_parties(3, scheme)
        keygen(parties, 2)
        return parties

    return made


@pytest.fixture(scope="session")
def key(key_of: Callable[[str], Key]) -> Key:
    return key_of("ecdsa")


@pytest.fixture(scope="session")
def unused(new_parties: Callable[..., list[Party]]) -> list[Party]:
    """Three parties with keys that stay as they were created."""
    return new_parties(3)


@pytest.fixture
def parties(new_parties: Callable[..., list[Party]]) -> list[Party]:
    """Three parties with keys of their own that were only created."""
    return new_parties(3)
