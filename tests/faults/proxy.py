"""A relay's liar in front: one listener a vertex, which loses, delays, repeats, reorders, corrupts and cuts off.

It runs as threads of the harness and speaks HTTP/1.1 as far as relay.client does. What it does to a call is drawn from
its own generator, so a seed repeats the draws (not the interleaving).
"""

import http.client
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from relay.wire import Exchanged

HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host"})
TIMEOUT = 30.0  # seconds; more than the longest poll


@dataclass(frozen=True, slots=True)
class Mischief:
    """Shares of all calls (0 to 1), and seconds. `partition`: every call is cut."""

    lose_request: float = 0.0
    lose_answer: float = 0.0
    repeat: float = 0.0
    corrupt: float = 0.0
    reorder: float = 0.0
    delay: float = 0.0  # up to so many seconds, drawn for each call: later calls overtake earlier ones
    partition: bool = False


HONEST = Mischief()


class Proxy:
    """Listens on a loopback port of its own from `start` to `stop`; `mischief` may be changed at any time."""

    def __init__(self, target_port: Callable[[], int], seed: int) -> None:
        self._target = target_port
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self.mischief = HONEST
        self.struck = 0  # calls that something was done to
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def draw(self) -> Mischief:
        """What happens to one call: every share drawn to 0 or 1."""
        wanted = self.mischief
        if wanted == HONEST:
            return HONEST
        with self._lock:
            drawn = {
                name: float(self._random.random() < getattr(wanted, name))
                for name in ("lose_request", "lose_answer", "repeat", "corrupt", "reorder")
            }
            drawn["delay"] = self._random.random() * wanted.delay
            if wanted.partition or any(drawn.values()):
                self.struck += 1
        return replace(HONEST, partition=wanted.partition, **drawn)

    def forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        """The relay's answer: status, content type, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self._target(), timeout=TIMEOUT)
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            return response.status, response.getheader("Content-Type") or "", response.read()
        finally:
            connection.close()

    def altered(self, answer: bytes, drawn: Mischief) -> bytes:
        """An exchange's answer with its messages in another order, or a bit of one of them flipped."""
        try:
            exchanged = msgspec.msgpack.decode(answer, type=Exchanged)
        except msgspec.MsgspecError:
            return answer
        messages = list(exchanged.messages)
        with self._lock:
            if drawn.reorder:
                self._random.shuffle(messages)
            if drawn.corrupt and messages:
                place = self._random.randrange(len(messages))
                bad = bytearray(messages[place].body)
                if bad:
                    bad[self._random.randrange(len(bad))] ^= 1 << self._random.randrange(8)
                messages[place] = msgspec.structs.replace(messages[place], body=bytes(bad))
        return msgspec.msgpack.encode(msgspec.structs.replace(exchanged, messages=tuple(messages)))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is what this server is for."""


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the paths name rooms."""

        def _any(self) -> None:
            drawn = proxy.draw()
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
            time.sleep(drawn.delay)
            if drawn.partition or drawn.lose_request:
                self._hang_up()
                return
            try:
                if drawn.repeat:
                    proxy.forward(self.command, self.path, headers, body)
                status, kind, answer = proxy.forward(self.command, self.path, headers, body)
            except (OSError, http.client.HTTPException):
                self._hang_up()
                return
            if drawn.lose_answer or proxy.mischief.partition:
                self._hang_up()
                return
            if status == 200 and "msgpack" in kind and (drawn.corrupt or drawn.reorder):
                answer = proxy.altered(answer, drawn)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def _hang_up(self) -> None:
            self.close_connection = True

        do_GET = do_POST = do_PUT = _any

    return Handler
