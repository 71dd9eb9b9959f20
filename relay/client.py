"""The relay's client: what a vertex imports of this package. Thread-safe; connections are kept and shared per process.

The relay is not trusted: answers are bounded in size and time and validated before they are used, and what they say of
rooms and messages is a hint until signatures have been checked.
"""

import os
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeVar

import httpx
import msgspec

from relay.wire import INBOX, MAX_WAIT, ROOM, Error, Exchanged, Inbox, Joined, Message, News, Room

__all__ = ["Exchanged", "Inbox", "Joined", "Message", "News", "Relay", "RelayRefused", "RelayUnavailable"]

TIMEOUT = 5.0  # seconds to connect, and between two pieces of an answer, besides the wait that was asked for
TOTAL_TIMEOUT = 60.0  # seconds for a whole answer, likewise
MAX_ANSWER = 32 << 20  # bytes; the relay's default is 16 MiB and one message
MAX_ERR_MSG = 500  # characters
# Connections are given up before the relay does (75 s), so none breaks under a request.
LIMITS = httpx.Limits(max_connections=512, max_keepalive_connections=512, keepalive_expiry=60.0)
T = TypeVar("T")


class RelayUnavailable(Exception):
    """No answer, or none that makes sense, or the relay is at its limit: the same call may be made again."""


class RelayRefused(Exception):
    """The relay answered no; the same call would get the same answer."""

    def __init__(self, err_type: str, message: str) -> None:
        super().__init__(f"{err_type}: {message}")
        self.err_type, self.message = err_type, message


@lru_cache(maxsize=16)
def _connections(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, limits=LIMITS)


# A forked worker must not talk on its parent's connections.
os.register_at_fork(after_in_child=_connections.cache_clear)


class _Answer:
    """Collects an answer within its bounds."""

    def __init__(self, seconds: float) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self._deadline = time.monotonic() + seconds

    def add(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > MAX_ANSWER or time.monotonic() > self._deadline:
            raise RelayUnavailable("the relay's answer is too long")
        self._chunks.append(chunk)

    def read(self, status: int, decoder: "_Decoder[T]") -> T:
        body = b"".join(self._chunks)
        try:
            if status == httpx.codes.OK:
                return decoder.decode(body)
            error = msgspec.json.decode(body, type=Error)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise RelayUnavailable(f"the relay answered {status} with what can't be read") from None
        message = error.err_msg[:MAX_ERR_MSG]
        if 400 <= status < 500 and status != httpx.codes.TOO_MANY_REQUESTS:
            raise RelayRefused(error.err_type, message)
        raise RelayUnavailable(f"the relay answered {status}: {message}")


_Decoder = msgspec.json.Decoder[T] | msgspec.msgpack.Decoder[T]
_ROOM = msgspec.json.Decoder(Room)
_JOINED = msgspec.json.Decoder(Joined)
_EXCHANGED = msgspec.msgpack.Decoder(Exchanged)
_INBOX = msgspec.json.Decoder(Inbox)
_EMPTY = msgspec.json.Decoder(dict[str, Any])


class Relay:
    """One relay, spoken to with one API key. Every method raises RelayRefused and RelayUnavailable.

    Parties are hex identities. All calls but `create_room` are idempotent: repeat them when in doubt.
    """

    def __init__(self, base_url: str, api_key: str, *, timeout: float = TIMEOUT) -> None:
        self._url, self._timeout = base_url.rstrip("/"), timeout
        # Uncompressed, so that the bound on the answer is one on memory.
        self._headers = {"Authorization": api_key, "Accept-Encoding": "identity"}
        self._async: httpx.AsyncClient | None = None

    def create_room(self, room_size: int) -> str:
        """A new room for that many parties: its uuid."""
        return self._json("POST", "/relay/rooms", {"room_size": room_size}, _ROOM).room_uuid

    def put_room(self, room: str, *, room_size: int) -> None:
        """The same room again, after the relay lost its memory; nothing happens when it stands."""
        self._json("PUT", _room(room), {"room_size": room_size}, _ROOM)

    def join(self, room: str, *, party: str, inbox: str, kind: str, until: int, min_size: int, max_size: int) -> Joined:
        """Take the party's place; the inbox gets the room's news. `until`: Unix seconds, by when it must be full."""
        body = {
            "party": party,
            "inbox": inbox,
            "kind": kind,
            "until": until,
            "min_size": min_size,
            "max_size": max_size,
        }
        return self._json("POST", f"{_room(room)}/join", body, _JOINED)

    def exchange(
        self,
        room: str,
        *,
        party: str,
        after: str = "",
        wait: int = 0,
        want: int = 1,
        messages: Sequence[Message] = (),
    ) -> Exchanged:
        """Post mine, get the others' newer than the cursor `after`; waits ≤ `wait` ms (≤ 10 s) for `want` of them."""
        wait = min(wait, MAX_WAIT)
        return self._call(
            "POST",
            f"{_room(room)}/exchange",
            _EXCHANGED,
            wait,
            params={"party": party, "after": after, "wait": wait, "want": want},
            content=msgspec.msgpack.encode(messages),
            headers={"Content-Type": "application/msgpack"},
        )

    def refuse(self, room: str, *, party: str, err_type: str) -> None:
        """Hint to the others that this party will not take part; unsigned, blames nobody."""
        self._json("POST", f"{_room(room)}/refuse", {"party": party, "err_type": err_type}, _EMPTY)

    def done(self, room: str, *, party: str) -> None:
        """This party needs the room no more; when all who joined say so it ends."""
        self._json("POST", f"{_room(room)}/done", {"party": party}, _EMPTY)

    def inbox(self, inbox: str, *, after: str = "", wait: int = 0) -> Inbox:
        """News of all rooms that this inbox joined, newer than the cursor; waits up to `wait` ms (≤ 10 s) for some."""
        return self._call("GET", _inbox(inbox), _INBOX, min(wait, MAX_WAIT), params=_after(after, wait))

    async def inbox_async(self, inbox: str, *, after: str = "", wait: int = 0) -> Inbox:
        """As `inbox`, on a connection of the running event loop: always call it from that one, `aclose` at last."""
        if self._async is None:
            self._async = httpx.AsyncClient(base_url=self._url, headers=self._headers)
        seconds = min(wait, MAX_WAIT) / 1000
        answer = _Answer(seconds + TOTAL_TIMEOUT)
        path, params, timeout = _inbox(inbox), _after(after, wait), self._patience(seconds)
        try:
            async with self._async.stream("GET", path, params=params, timeout=timeout) as response:
                async for chunk in response.aiter_raw():
                    answer.add(chunk)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RelayUnavailable(_named(error)) from error
        return answer.read(response.status_code, _INBOX)

    async def aclose(self) -> None:
        if self._async is not None:
            await self._async.aclose()
            self._async = None

    def _json(self, method: str, path: str, body: object, decoder: _Decoder[T]) -> T:
        headers = {"Content-Type": "application/json"}
        return self._call(method, path, decoder, 0, content=msgspec.json.encode(body), headers=headers)

    def _call(self, method: str, path: str, decoder: _Decoder[T], wait: int, **request: Any) -> T:
        """One call, made once more when a kept connection turns out to be dead."""
        request["headers"] = self._headers | request.get("headers", {})
        request["timeout"] = self._patience(wait / 1000)
        try:
            return self._send(method, path, decoder, wait, request)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            pass
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RelayUnavailable(_named(error)) from error
        try:
            return self._send(method, path, decoder, wait, request)
        except httpx.HTTPError as error:
            raise RelayUnavailable(_named(error)) from error

    def _send(self, method: str, path: str, decoder: _Decoder[T], wait: int, request: dict[str, Any]) -> T:
        answer = _Answer(wait / 1000 + TOTAL_TIMEOUT)
        with _connections(self._url).stream(method, path, **request) as response:
            for chunk in response.iter_raw():
                answer.add(chunk)
        return answer.read(response.status_code, decoder)

    def _patience(self, seconds: float) -> httpx.Timeout:
        return httpx.Timeout(self._timeout, read=self._timeout + seconds)


def _room(room: str) -> str:
    """The path of a room; what is no room's id must not choose another path."""
    if not ROOM.fullmatch(room):
        raise RelayRefused("room_not_found", "that is not the id of a room")
    return f"/relay/rooms/{room}"


def _inbox(inbox: str) -> str:
    if not INBOX.fullmatch(inbox):
        raise RelayRefused("not_found", "that is not the id of an inbox")
    return f"/relay/inboxes/{inbox}"


def _after(after: str, wait: int) -> dict[str, str | int]:
    return {"after": after, "wait": min(wait, MAX_WAIT)}


def _named(error: Exception) -> str:
    return f"the relay does not answer: {type(error).__name__}"
