"""Kept connections, over a real socket: what an answer says of its connection is so."""

import os
import socket
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import pytest

from cluster.process import base_env, python, spawn

HOUSE = Path(__file__).resolve().parent.parent.parent
LIMIT = 100_000  # bytes of a body
PROBE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Of a `web` process as operators run it. No call here gets as far as its back ends."""
    log = tmp_path_factory.mktemp("serving") / "web.log"
    env = base_env() | {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "VERTEX_SECRET_KEY": os.environ["VERTEX_SECRET_KEY"],
        "VERTEX_INSECURE_HTTP": "1",
        "VERTEX_MAX_BODY": str(LIMIT),
    }
    with socket.create_server(("127.0.0.1", 0)) as listener:
        bound = [
            "--bind",
            f"fd://{listener.fileno()}",
            "--worker-class",
            "gthread",
            "--threads",
            "4",
            "--no-control-socket",
        ]
        argv = python("-m", "gunicorn", "vertex.wsgi", "--config", "python:vertex.serving", *bound)
        child = spawn("web", argv, log=log, env=env, cwd=HOUSE, pass_fds=[listener.fileno()])
        yield listener.getsockname()
        child.terminate()
        child.wait(20)


def answered(connection: socket.socket, request: bytes) -> tuple[int, str | None]:
    """Status and `Connection` of an answer, read to its end."""
    connection.sendall(request)
    response = HTTPResponse(connection)
    response.begin()
    response.read()
    return response.status, response.getheader("Connection")


def post(length: int, *headers: bytes) -> bytes:
    return (
        b"POST /create-room HTTP/1.1\r\nHost: localhost\r\n"
        + b"".join(line + b"\r\n" for line in headers)
        + (b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % length)
    )


CASES = {
    "over the limit": (post(LIMIT + 1) + b"x" * (LIMIT + 1), 413, "close"),
    "over the limit, not sent": (post(10**17), 413, "close"),
    "more than anybody counts": (post(10**30), 413, "close"),
    "within the limit, refused unread": (post(LIMIT) + b"x" * LIMIT, 401, "close"),
    "short, refused unread": (post(1000) + b"x" * 1000, 401, "keep-alive"),
    "no body": (PROBE, 200, "keep-alive"),
    "of unknown length": (
        b"POST /create-room HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        401,
        "close",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_connection_goes_on_or_ends_as_its_answer_says(address: tuple[str, int], case: str) -> None:
    request, status, said = CASES[case]
    with socket.create_connection(address, timeout=60) as connection:
        assert answered(connection, request) == (status, said)
        if said == "keep-alive":
            assert answered(connection, PROBE) == (200, "keep-alive")
        else:
            assert connection.recv(1) == b""


@pytest.mark.parametrize("name", ["Dockerfile", "cluster/vertex.py"])
def test_it_is_run_so(name: str) -> None:
    assert '"--config", "python:vertex.serving"' in (HOUSE / name).read_text()
