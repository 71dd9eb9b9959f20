"""The client against relays that are gone, slow, or make things up."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest

from relay import client
from relay.client import Message, Relay, RelayRefused, RelayUnavailable

ROOM = "3f2b8a10-0d5e-4c7a-9b1f-6e8d7c5b4a39"
ME, OTHER = "a1" * 32, "b2" * 32
CURSOR = "0123456789abcdef:1-1"


class Liar(ThreadingHTTPServer):
    """Answers every request with `status` and `body`; counts them, and hangs up on the first `hang_ups`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.status, self.body, self.requests, self.hang_ups = 200, b"", 0, 0

    def says(self, status: int, body: bytes) -> Relay:
        self.status, self.body = status, body
        return Relay(f"http://127.0.0.1:{self.server_address[1]}", "key")


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Liar

    def do_POST(self) -> None:
        self.server.requests += 1
        self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.server.requests <= self.server.hang_ups:
            self.close_connection = True
            return
        self.send_response(self.server.status)
        self.send_header("content-length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    do_GET = do_PUT = do_POST

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def liar() -> Iterator[Liar]:
    with Liar() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def exchange(relay: Relay) -> object:
    return relay.exchange(ROOM, party=ME)


def create(relay: Relay) -> object:
    return relay.create_room(2)


def join(relay: Relay) -> object:
    until = int(time.time()) + 60
    return relay.join(ROOM, party=ME, inbox=ME, kind="sign", until=until, min_size=1, max_size=9)


def inbox(relay: Relay) -> object:
    return relay.inbox(ME)


def exchanged(*messages: list[object], **other: object) -> bytes:
    return msgspec.msgpack.encode({"messages": messages, "cursor": CURSOR, "refused": None} | other)


def joined(**other: object) -> bytes:
    good = {"full": True, "room_size": 2, "joined": 2, "refused": None, "filled": 7}
    return msgspec.json.encode(good | other)


GOOD = ["s", 1, OTHER, ME, b"x"]


@pytest.mark.parametrize(
    ("call", "body"),
    [
        (exchange, b""),
        (exchange, b"\xc1"),
        (exchange, b"\x91" * 5000),
        (exchange, exchanged(GOOD[:4])),
        (exchange, exchanged(["s", -1, OTHER, ME, b"x"])),
        (exchange, exchanged(["s", 1, "zz" * 32, ME, b"x"])),
        (exchange, exchanged(["s", 1, OTHER[:-2], ME, b"x"])),
        (exchange, exchanged(["s", 1, OTHER, "me", b"x"])),
        (exchange, exchanged(["s", 1, OTHER, ME, "text"])),
        (exchange, exchanged(cursor="x" * 1000)),
        (exchange, exchanged(cursor=None)),
        (exchange, exchanged(refused="<script>")),
        (create, b"{}"),
        (create, b'{"room_uuid":"../../console"}'),
        (create, b"[" * 100_000),
        (create, b'{"room_uuid":"\xff"}'),
        (join, joined(full="yes")),
        (join, joined(room_size=0)),
        (join, joined(filled="first")),
        (join, joined(refused="x" * 100)),
        (inbox, b'{"news":[{"room":"x","event":"full"}],"cursor":"","epoch":"e"}'),
        (inbox, b'{"news":[{"room":"%s","event":"boom"}],"cursor":"","epoch":"e"}' % ROOM.encode()),
    ],
)
def test_nonsense_is_no_answer(liar: Liar, call: Callable[[Relay], object], body: bytes) -> None:
    with pytest.raises(RelayUnavailable, match="can't be read"):
        call(liar.says(200, body))


def test_what_makes_sense_is_one(liar: Liar) -> None:
    assert exchange(liar.says(200, exchanged(GOOD))) == client.Exchanged((Message(*GOOD),), CURSOR, None)
    assert join(liar.says(200, joined())) == client.Joined(True, 2, 2, None, 7)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (404, b'{"err_msg":"gone","err_type":"room_not_found"}', ("room_not_found", "gone")),
        (401, b'{"err_msg":"no","err_type":"access_denied"}', ("access_denied", "no")),
        (409, b'{"err_msg":"%s","err_type":"room_full"}' % (b"x" * 9999), ("room_full", "x" * 500)),
        (409, b'{"err_msg":"no","err_type":"Room Full"}', None),
        (404, b"<html>not a relay</html>", None),
        (429, b'{"err_msg":"later","err_type":"too_many_requests"}', None),
        (503, b'{"err_msg":"later","err_type":"not_ready"}', None),
        (500, b"", None),
        (302, b"", None),
    ],
)
def test_which_errors_are_final(liar: Liar, status: int, body: bytes, expected: tuple[str, str] | None) -> None:
    with pytest.raises(RelayRefused if expected else RelayUnavailable) as raised:
        create(liar.says(status, body))
    if isinstance(raised.value, RelayRefused):
        assert (raised.value.err_type, raised.value.message) == expected


def test_an_answer_without_end_is_cut_off(liar: Liar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_ANSWER", 1000)
    with pytest.raises(RelayUnavailable, match="too long"):
        exchange(liar.says(200, exchanged(["s", 1, OTHER, ME, bytes(1000)])))


def test_an_answer_that_drips_is_cut_off(liar: Liar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TOTAL_TIMEOUT", 0.0)
    with pytest.raises(RelayUnavailable, match="too long"):
        exchange(liar.says(200, exchanged(GOOD)))


@pytest.mark.parametrize(("hang_ups", "answered"), [(1, True), (2, False)])
def test_a_broken_connection_is_tried_once_more(liar: Liar, hang_ups: int, answered: bool) -> None:
    relay = liar.says(200, exchanged(GOOD))
    liar.hang_ups = hang_ups
    if answered:
        assert exchange(relay)
    else:
        with pytest.raises(RelayUnavailable, match="RemoteProtocolError"):
            exchange(relay)
    assert liar.requests == 2


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://", "no url", "http://[:::1", "ftp://x"])
def test_nobody_there(url: str) -> None:
    relay = Relay(url, "key")
    for call in (create, exchange, inbox):
        with pytest.raises(RelayUnavailable):
            call(relay)
