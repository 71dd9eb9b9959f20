"""A server of the tests' own that vertices call: it keeps what it was sent, and answers as it is told."""

from __future__ import annotations

import queue
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple, Self


class Received(NamedTuple):
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes


class Listener:
    """A context manager; `answer` gives the body of each 200."""

    def __init__(self) -> None:
        self.received: queue.Queue[Received] = queue.Queue()
        self.answer: Callable[[Received], bytes] = lambda _: b""
        handler = type("Handler", (_Handler,), {"listener": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def next(self, path: str, seconds: float = 20) -> Received:
        """What comes next at this path; what came elsewhere is dropped. queue.Empty where nothing comes."""
        while (received := self.received.get(timeout=seconds)).path != path:
            pass
        return received

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    listener: Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        received = Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        self.listener.received.put(received)
        answer = self.listener.answer(received)
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Quiet."""
