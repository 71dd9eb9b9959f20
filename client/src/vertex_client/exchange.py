"""One call over HTTP, without doing I/O: what is sent, how often, and what its answer means.

`exchange` is a generator: it yields a request and is sent the response or the httpx error, or yields a Pause; the two
clients differ only in how they do that. A call is repeated only when that does nothing twice: when it never left
(no connection), and, where the call is idempotent or has an Idempotency-Key, when the connection broke or the vertex
asked for patience (429, 503). 400s are answers and never repeated.
"""

import ipaddress
import secrets
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from vertex_client.calls import Call
from vertex_client.errors import BadAnswer, Unreachable, VertexError

T = TypeVar("T")

TIMEOUT = 90.0  # seconds; a vertex answers within VERTEX_SYNC_TIMEOUT, 60 by default
CONNECT_TIMEOUT = 5.0
RETRIES = 3
FIRST_PAUSE = 0.2  # seconds, doubled each time
LONGEST_PAUSE = 30.0  # whatever Retry-After asks for
NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
BUSY = frozenset({429, 503})


@dataclass(frozen=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Access:
    """A vertex and who one is there. ValueError for a URL that would carry tokens in the clear over a network."""

    url: str
    api_key: str | None = field(default=None, repr=False)
    admin_token: str | None = field(default=None, repr=False)
    timeout: float = TIMEOUT
    retries: int = RETRIES
    allow_http: bool = False

    def __post_init__(self) -> None:
        url = httpx.URL(self.url)
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError("a vertex's URL is https://host[:port]")
        if url.userinfo or url.query or url.fragment:
            raise ValueError("a vertex's URL has no user, password, query or fragment")
        if url.scheme == "http" and not self.allow_http and not _loopback(url.host):
            raise ValueError(f"tokens would travel to {url.host} in the clear: use https, or allow_http=True")

    @property
    def timeouts(self) -> httpx.Timeout:
        """For httpx."""
        return httpx.Timeout(self.timeout, connect=min(CONNECT_TIMEOUT, self.timeout))

    def request(self, call: Call[Any]) -> httpx.Request:
        """The request of a call, with a token and, where it creates something, an Idempotency-Key."""
        if not call.path.startswith("/"):
            raise BadAnswer("a path that does not begin with /: it could name another host")
        headers = {"User-Agent": "vertex-client"}
        if token := (self.admin_token or self.api_key) if call.as_admin else (self.api_key or self.admin_token):
            headers["Authorization"] = token
        if call.creates:
            headers["Idempotency-Key"] = call.idempotency_key or secrets.token_urlsafe(18)
        if call.prefer is not None:
            headers["Prefer"] = call.prefer
        return httpx.Request(
            call.method,
            self.url.rstrip("/") + call.path,
            params=dict(call.query) or None,
            json=call.body,
            headers=headers,
            extensions={"timeout": self.timeouts.as_dict()},
        )


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


Exchange = Generator[httpx.Request | Pause, Any, T]


def exchange(access: Access, call: Call[T]) -> Exchange[T]:
    """The answer of a call; is sent a response or an httpx.TransportError for each request. Raises VertexError."""
    request = access.request(call)
    pause = FIRST_PAUSE
    for left in range(access.retries, -1, -1):
        outcome: httpx.Response | httpx.TransportError = yield request
        again = _again(call, outcome)
        if not again or not left:
            break
        asked = _retry_after(outcome)
        yield Pause(min(LONGEST_PAUSE, pause if asked is None else asked))
        pause *= 2
    if isinstance(outcome, httpx.TransportError):
        told = str(outcome) or type(outcome).__name__
        raise Unreachable(f"{call.method} {call.path} at {access.url}: {told}") from outcome
    return _answer(call, outcome)


def _again(call: Call[Any], outcome: httpx.Response | httpx.TransportError) -> bool:
    if isinstance(outcome, httpx.TransportError):
        return isinstance(outcome, NEVER_LEFT) or call.repeatable
    return outcome.status_code in BUSY and call.repeatable


def _retry_after(outcome: httpx.Response | httpx.TransportError) -> float | None:
    text = outcome.headers.get("Retry-After", "") if isinstance(outcome, httpx.Response) else ""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _answer(call: Call[T], response: httpx.Response) -> T:
    if response.is_success and call.plain_text:
        return call.read(response.text)
    try:
        data = response.json()
    except ValueError as error:
        raise BadAnswer(f"{call.method} {call.path}: not JSON", response.status_code) from error
    if response.is_success:
        return call.read(data)
    raise _refusal(call, response, data)


def _refusal(call: Call[Any], response: httpx.Response, data: Any) -> VertexError:
    told = data if isinstance(data, dict) else {}
    err_type, err_msg = told.get("err_type"), told.get("err_msg")
    if not isinstance(err_type, str) or not isinstance(err_msg, str):
        return BadAnswer(f"{call.method} {call.path}: an error without a type", response.status_code)
    return VertexError(err_type, err_msg, response.status_code, request_id=response.headers.get("X-Request-Id"))
