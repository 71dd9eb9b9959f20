"""One vertex: every route of its API as a method, blocking or asynchronous."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TypedDict, TypeVar, Unpack

import httpx

from vertex_client.answers import Begun, Operation, Page
from vertex_client.calls import Asynchronous, Blocking, Call
from vertex_client.decoding import read
from vertex_client.errors import VertexError
from vertex_client.exchange import TIMEOUT, Access, Pause, exchange
from vertex_client.routes import Routes

T = TypeVar("T")

POLL = 0.5  # seconds between two looks at an operation


class Options(TypedDict, total=False):
    """`timeout` in seconds, of a whole answer; `retries` of calls that may be repeated; `allow_http` lets tokens travel
    in the clear to another machine."""

    timeout: float
    retries: int
    allow_http: bool


class _Client(Routes):
    """What both kinds share: an access, and a repr without tokens."""

    def __init__(self, access: Access) -> None:
        self.access = access

    @property
    def url(self) -> str:
        """Where the vertex is."""
        return self.access.url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"


def _begins(call: Call[Any], seconds: int | None) -> Call[Begun]:
    prefer = "respond-async" if seconds is None else f"respond-async, wait={seconds}"
    return replace(call, prefer=prefer, read=read(Begun))


def _following(call: Call[Page[T]], page: Page[T]) -> Call[Page[T]] | None:
    """The call of the next page, if there is one: `next` is a path with its query."""
    return None if page.next is None else replace(call, path=page.next, query={})


def _ended(operation: Operation) -> bool:
    if operation.error is not None:
        raise VertexError(operation.error.err_type, operation.error.err_msg, operation.status or 0)
    return operation.finished_at is not None


class Vertex(_Client, Blocking):
    """A vertex for code that waits. Close it, or use it in a `with`."""

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        admin_token: str | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
        **options: Unpack[Options],
    ) -> None:
        """ValueError for a URL that is none, or http:// to another machine unless `allow_http`."""
        super().__init__(Access(url, api_key, admin_token, **options))
        self._http = httpx.Client(transport=transport)

    def send(self, call: Call[T]) -> T:
        """The answer of a call, e.g. `vertex.send(Vertex.create("ecdsa"))`, which is `vertex.create("ecdsa")`."""
        steps = exchange(self.access, call)
        outcome: Any = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as stop:
                answer: T = stop.value
                return answer
            outcome = self._do(step)

    def _do(self, step: httpx.Request | Pause) -> httpx.Response | httpx.TransportError | None:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        try:
            return self._http.send(step)
        except httpx.TransportError as error:
            return error

    def each(self, call: Call[Page[T]]) -> Iterator[T]:
        """All results of a list, page after page: `vertex.each(Vertex.keys())`."""
        following: Call[Page[T]] | None = call
        while following is not None:
            page = self.send(following)
            yield from page.results
            following = _following(call, page)

    def begin(self, call: Call[Any], *, seconds: int | None = None) -> Begun:
        """Starts a call that takes a protocol and returns at once; `seconds` are how long the protocol may take."""
        return self.send(_begins(call, seconds))

    def finished(self, operation_id: str, *, timeout: float = TIMEOUT) -> Operation:
        """The operation once it is done. Raises its error as VertexError, and TimeoutError."""
        deadline = time.monotonic() + timeout
        while not _ended(operation := self.operation(operation_id)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"operation {operation_id} is not done after {timeout:.0f} s")
            time.sleep(POLL)
        return operation

    def asynchronous(self) -> "AsyncVertex":
        """The same vertex for asynchronous code."""
        options: Options = {
            "timeout": self.access.timeout,
            "retries": self.access.retries,
            "allow_http": self.access.allow_http,
        }
        return AsyncVertex(self.url, self.access.api_key, self.access.admin_token, **options)

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncVertex(_Client, Asynchronous):
    """A vertex for asynchronous code. Close it, or use it in an `async with`."""

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        admin_token: str | None = None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        **options: Unpack[Options],
    ) -> None:
        """ValueError for a URL that is none, or http:// to another machine unless `allow_http`."""
        super().__init__(Access(url, api_key, admin_token, **options))
        self._http = httpx.AsyncClient(transport=transport)

    async def send(self, call: Call[T]) -> T:
        """The answer of a call, e.g. `await vertex.send(AsyncVertex.create("ecdsa"))`."""
        steps = exchange(self.access, call)
        outcome: Any = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as stop:
                answer: T = stop.value
                return answer
            outcome = await self._do(step)

    async def _do(self, step: httpx.Request | Pause) -> httpx.Response | httpx.TransportError | None:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        try:
            return await self._http.send(step)
        except httpx.TransportError as error:
            return error

    async def each(self, call: Call[Page[T]]) -> AsyncIterator[T]:
        """All results of a list, page after page: `vertex.each(AsyncVertex.keys())`."""
        following: Call[Page[T]] | None = call
        while following is not None:
            page = await self.send(following)
            for result in page.results:
                yield result
            following = _following(call, page)

    async def begin(self, call: Call[Any], *, seconds: int | None = None) -> Begun:
        """Starts a call that takes a protocol and returns at once; `seconds` are how long the protocol may take."""
        return await self.send(_begins(call, seconds))

    async def finished(self, operation_id: str, *, timeout: float = TIMEOUT) -> Operation:
        """The operation once it is done. Raises its error as VertexError, and TimeoutError."""
        deadline = time.monotonic() + timeout
        while not _ended(operation := await self.operation(operation_id)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"operation {operation_id} is not done after {timeout:.0f} s")
            await asyncio.sleep(POLL)
        return operation

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
