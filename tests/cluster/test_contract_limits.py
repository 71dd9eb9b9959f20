"""A running vertex whose surroundings fail, and one that is called too often."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from cluster.cluster import Cluster
from cluster.vertex import Vertex
from tests.cluster.outside import Caller, new_user


@contextmanager
def with_settings(vertex: Vertex, **settings: str) -> Iterator[None]:
    """The vertex's web process under other settings; afterwards under its own again."""
    own = vertex.settings
    try:
        vertex.settings = {**own, **settings}
        vertex.restart("web")
        answering(vertex)
        yield
    finally:
        vertex.settings = own
        vertex.restart("web")
        answering(vertex)


def answering(vertex: Vertex, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            assert httpx.get(f"{vertex.url}/health/live").status_code == 200
            return
        except httpx.TransportError:
            assert time.monotonic() < deadline, "it does not come up"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def narrow(cluster: Cluster) -> Iterator[Vertex]:
    """The last vertex, for a while without its relay and with few calls of a token."""
    last = cluster.vertices[-1]
    with with_settings(last, VERTEX_RELAY_URL="http://127.0.0.1:1", VERTEX_RATE="5/hour", VERTEX_GUESS_RATE="3/hour"):
        yield last


def test_a_vertex_without_its_relay(narrow: Vertex) -> None:
    """It says that it is not ready, and names the relay where one is needed."""
    probe = Caller(narrow.url, None).call("GET /health/ready")
    assert probe.error == (503, "not_ready")
    assert int(probe.headers["Retry-After"]) >= 1
    assert "relay" in probe.body["err_msg"]
    user, _ = new_user(narrow.url, narrow.admin_token)
    assert user.refused("POST /create-room", {"room_size": 2}) == "room_creation_problem"


def test_who_calls_too_often_is_asked_to_wait(narrow: Vertex) -> None:
    often, seldom = (new_user(narrow.url, narrow.admin_token)[0] for _ in range(2))
    answers = [often.call("GET /keys") for _ in range(7)]
    assert [answer.status for answer in answers] == [200] * 5 + [429] * 2
    assert answers[-1].error == (429, "too_many_requests")
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 3600 / 5
    assert seldom.call("GET /keys").status == 200, "each token is counted by itself"
    guesses = [Caller(narrow.url, f"guess-{number}").call("GET /keys").status for number in range(5)]
    assert guesses == [401] * 3 + [429] * 2
    assert seldom.call("GET /keys").status == 200, "who knows a token goes on"
