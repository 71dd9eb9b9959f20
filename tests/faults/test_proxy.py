"""The relay's liar: honest until told otherwise, and each mischief does what it says."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import msgspec
import pytest

from relay.client import Message, Relay, RelayUnavailable
from relay.wire import Exchanged
from tests.faults.proxy import HONEST, Mischief, Proxy

ME, YOU = "aa" * 32, "bb" * 32
ROOM = "00000000-0000-4000-8000-000000000000"
MESSAGES = tuple(Message("protocol", 1, YOU, ME, bytes([number]) * 50) for number in range(8))


class Upstream(BaseHTTPRequestHandler):
    """A relay that always answers the same exchange, and counts."""

    asked: list[str]

    def log_message(self, format: str, *args: Any) -> None:
        return

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(self.path)
        answer = msgspec.msgpack.encode(Exchanged(MESSAGES, "", None))
        self.send_response(200)
        self.send_header("Content-Type", "application/msgpack")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def proxy(asked: list[str]) -> Iterator[Proxy]:
    handler = type("Counting", (Upstream,), {"asked": asked})
    upstream = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=upstream.serve_forever, args=(0.05,), daemon=True).start()
    made = Proxy(lambda: upstream.server_address[1], seed=1)
    made.start()
    yield made
    made.stop()
    upstream.shutdown()
    upstream.server_close()


def exchange(proxy: Proxy) -> tuple[Message, ...]:
    return Relay(proxy.url, "key", timeout=2).exchange(ROOM, party=ME).messages


def test_honest(proxy: Proxy, asked: list[str]) -> None:
    assert exchange(proxy) == MESSAGES
    assert len(asked) == 1
    assert proxy.struck == 0


# How often the relay is asked: the client repeats a call whose connection broke, once.
@pytest.mark.parametrize(
    ("mischief", "times"),
    [(Mischief(lose_request=1.0), 0), (Mischief(lose_answer=1.0), 2), (Mischief(partition=True), 0)],
    ids=["lose request", "lose answer", "partition"],
)
def test_what_is_lost_is_not_answered(proxy: Proxy, asked: list[str], mischief: Mischief, times: int) -> None:
    proxy.mischief = mischief
    with pytest.raises(RelayUnavailable):
        exchange(proxy)
    assert len(asked) == times
    assert proxy.struck == 2
    proxy.mischief = HONEST
    assert exchange(proxy) == MESSAGES


def test_repeated(proxy: Proxy, asked: list[str]) -> None:
    proxy.mischief = Mischief(repeat=1.0)
    assert exchange(proxy) == MESSAGES
    assert len(asked) == 2


def test_reordered(proxy: Proxy) -> None:
    proxy.mischief = Mischief(reorder=1.0)
    found = exchange(proxy)
    assert found != MESSAGES
    assert sorted(message.body for message in found) == sorted(message.body for message in MESSAGES)


def test_corrupted_in_one_bit(proxy: Proxy) -> None:
    proxy.mischief = Mischief(corrupt=1.0)
    pairs = [(bad, good) for bad, good in zip(exchange(proxy), MESSAGES, strict=True) if bad != good]
    [(bad, good)] = pairs
    assert sum((x ^ y).bit_count() for x, y in zip(bad.body, good.body, strict=True)) == 1
