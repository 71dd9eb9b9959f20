"""Calls to several vertices at once: none hides another's failure."""

import asyncio
from collections.abc import Collection, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from vertex_client.errors import NOT_WAITED_FOR, QuorumError, Unreachable, VertexError

T = TypeVar("T")

GRACE = 2.0  # seconds that the others get once a party of a protocol can't be reached


@dataclass(frozen=True)
class Answers(Generic[T]):
    """Of each vertex its answer or its failure."""

    answers: dict[str, T]
    failures: dict[str, VertexError]

    def all(self, what: str) -> dict[str, T]:
        """The answers. Raises QuorumError if anybody failed."""
        if self.failures:
            raise QuorumError(what, self.failures, self.answers)
        return self.answers


async def together(calls: Mapping[str, Coroutine[Any, Any, T]], *, one_protocol: bool = False) -> Answers[T]:
    """Makes calls at the same time, by vertex's name.

    Calls of `one_protocol` wait for each other: when one party can't be reached the others are soon given up here
    (at their vertices they end by themselves and change nothing).
    """
    tasks = {name: asyncio.ensure_future(call) for name, call in calls.items()}
    pending: Collection[asyncio.Future[T]] = set(tasks.values())
    grace: float | None = None
    try:
        while pending:
            done, pending = await asyncio.wait(pending, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
            if one_protocol and any(isinstance(task.exception(), Unreachable) for task in done):
                grace = GRACE
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
    return _sorted(tasks)


def _sorted(tasks: Mapping[str, "asyncio.Future[T]"]) -> Answers[T]:
    answers: dict[str, T] = {}
    failures: dict[str, VertexError] = {}
    for name, task in tasks.items():
        if task.cancelled():
            failures[name] = VertexError(NOT_WAITED_FOR, "another party of the protocol can't be reached")
        elif error := task.exception():
            if not isinstance(error, VertexError):
                raise error
            failures[name] = error
        else:
            answers[name] = task.result()
    return Answers(answers, failures)
