"""The quorum for code that waits: every method of AsyncQuorum, run to its end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from vertex_client.quorum.quorum import AsyncQuorum
from vertex_client.vertex import Vertex

P = ParamSpec("P")
T = TypeVar("T")


def _waits(
    method: Callable[Concatenate[AsyncQuorum, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate["Quorum", P], T]:
    def run(self: "Quorum", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.run(method(self.asynchronous, *args, **kwargs))

    return _like(run, method)


def _iterates(
    method: Callable[Concatenate[AsyncQuorum, P], AsyncIterator[T]],
) -> Callable[Concatenate["Quorum", P], Iterator[T]]:
    def run(self: "Quorum", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        steps = method(self.asynchronous, *args, **kwargs)
        while True:
            try:
                step = self.run(_next(steps))
            except StopAsyncIteration:
                return
            yield step

    return _like(run, method)


async def _next(steps: AsyncIterator[T]) -> T:
    return await anext(steps)


def _like(run: Callable[P, T], method: Callable[..., Any]) -> Callable[P, T]:
    run.__name__, run.__qualname__ = method.__name__, f"Quorum.{method.__name__}"
    run.__doc__ = method.__doc__
    run.__wrapped__ = method  # type: ignore[attr-defined]  # its signature is shown
    return run


class Quorum:
    """Vertices by name, for one thread, outside of event loops. Close it, or use it in a `with`.

    `vertices` are the blocking clients that it was made of, for what a single vertex is asked."""

    def __init__(self, vertices: Mapping[str, Vertex]) -> None:
        self.vertices = dict(vertices)
        self.asynchronous = AsyncQuorum({name: vertex.asynchronous() for name, vertex in vertices.items()})
        self._runner = asyncio.Runner()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine of `asynchronous` to its end."""
        return self._runner.run(work)

    def add(self, name: str, vertex: Vertex) -> None:
        """One more vertex."""
        self.vertices[name] = vertex
        self.asynchronous.vertices[name] = vertex.asynchronous()

    def remove(self, name: str) -> None:
        """Asks a vertex no more."""
        self.vertices.pop(name).close()
        self.run(self.asynchronous.vertices.pop(name).close())

    create = _waits(AsyncQuorum.create)
    keygen = _waits(AsyncQuorum.keygen)
    create_users = _waits(AsyncQuorum.create_users)
    keys = _waits(AsyncQuorum.keys)
    find = _waits(AsyncQuorum.find)
    look = _waits(AsyncQuorum.look)
    sign = _waits(AsyncQuorum.sign)
    batch_sign = _waits(AsyncQuorum.batch_sign)
    derive = _waits(AsyncQuorum.derive)
    refresh = _waits(AsyncQuorum.refresh)
    reshare = _waits(AsyncQuorum.reshare)
    confirm = _waits(AsyncQuorum.confirm)
    abort = _waits(AsyncQuorum.abort)
    unfinished = _waits(AsyncQuorum.unfinished)
    progress = _waits(AsyncQuorum.progress)
    watch = _iterates(AsyncQuorum.watch)
    carry_receipts = _waits(AsyncQuorum.carry_receipts)

    def close(self) -> None:
        """Closes all connections."""
        self.run(self.asynchronous.close())
        self._runner.close()
        for vertex in self.vertices.values():
            vertex.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.vertices)})"
