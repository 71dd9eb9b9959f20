"""Calls to servers of others: their deadlines hold, whatever a name server does."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
RESOLVERS = 16  # names that are looked up at once in a process; the next ones wait, within their own calls' deadlines


class _Resolvers(ThreadPoolExecutor):
    """Threads that look names up, for all loops of the process. A look-up can't be cancelled: a loop that ends leaves
    it behind instead of waiting for it, and no more than `RESOLVERS` of them hang at a time."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """What a loop that ends asks of its executor; this one goes on."""


_resolvers = _Resolvers(RESOLVERS, thread_name_prefix="resolve")


def run(call: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, but once the call has ended, or was cancelled by its own time-out, nothing is waited for."""

    async def with_resolvers() -> T:
        asyncio.get_running_loop().set_default_executor(_resolvers)
        return await call

    return asyncio.run(with_resolvers())
