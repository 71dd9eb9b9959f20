"""An HTTP server that takes webhooks as a receiver would: it keeps what came and answers what it is told to."""

import base64
import hmac
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Got:
    """A request that came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """`answers`: statuses in turn, the last one for ever; 0: no answer until `close`. `moved`: where 3xx lead."""

    answers: list[int] = field(default_factory=lambda: [200])
    got: list[Got] = field(default_factory=list)
    moved: str = ""
    meanwhile: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self._ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, self._ended))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/hooks"

    def close(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(receiver: Receiver, ended: threading.Event) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.got.append(Got(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            receiver.meanwhile()
            status = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
            if not status:
                ended.wait(30)
                return
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", receiver.moved)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Not to standard error."""

    return Handler


def signature_holds(got: Got, secret: str) -> bool:
    """By the text of the standard alone: any of the space-separated ``v1,<base64>`` over ``id.timestamp.body``."""
    key = base64.b64decode(secret.partition("_")[2], validate=True)
    content = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.{got.body.decode()}"
    mac = hmac.digest(key, content.encode(), "sha256")
    signatures = [each.split(",", 1) for each in got.headers["webhook-signature"].split(" ")]
    return any(version == "v1" and base64.b64decode(text) == mac for version, text in signatures)
