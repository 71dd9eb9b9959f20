"""Wakes the requests that wait for news, through one Redis subscription per process.

A wake is a hint and carries nothing: whoever waits registers first, then reads, then sleeps, so no news between reading
and sleeping is missed; a lost subscription costs time, never a message, since a wait ends with a last read.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from redis.asyncio import Redis
from redis.exceptions import RedisError

from relay.errors import Refusal

CHANNEL = "relay:wake"
RECONNECT = 0.5  # seconds between attempts to subscribe again

log = logging.getLogger("relay")


class Waiter:
    """One waiting request. `gone` once its client has hung up."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.gone = False

    def wake(self) -> None:
        self._event.set()

    def hang_up(self) -> None:
        self.gone = True
        self._event.set()

    def reset(self) -> None:
        """Before reading: whatever comes from here on wakes."""
        if not self.gone:
            self._event.clear()

    async def sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            pass


class Wakes:
    """The waiting requests of this process, by the name of what they wait for."""

    def __init__(self, redis: Redis, max_waiters: int) -> None:
        self._redis, self._max = redis, max_waiters
        self._count = 0
        self._waiters: defaultdict[str, set[Waiter]] = defaultdict(set)
        self.subscribed = asyncio.Event()

    @contextmanager
    def waiting(self, name: str, waiter: Waiter) -> Iterator[None]:
        if self._count >= self._max:
            raise Refusal("too_many_requests", "too many requests wait at this relay")
        self._count += 1
        self._waiters[name].add(waiter)
        try:
            yield
        finally:
            self._count -= 1
            self._waiters[name].discard(waiter)
            if not self._waiters[name]:
                del self._waiters[name]

    async def run(self) -> None:
        """Passes wakes on until cancelled."""
        while True:
            try:
                await self._listen()
            except (RedisError, OSError) as error:
                log.warning("lost the subscription to wakes: %s", type(error).__name__)
            self.subscribed.clear()
            await asyncio.sleep(RECONNECT)

    async def _listen(self) -> None:
        async with self._redis.pubsub() as pubsub:
            await pubsub.subscribe(CHANNEL)
            async for item in pubsub.listen():
                if item["type"] == "message":
                    for name in item["data"].decode().split(" "):
                        for waiter in self._waiters.get(name, ()):
                            waiter.wake()
                else:  # subscribed, perhaps again: what was said meanwhile is lost
                    self.subscribed.set()
                    for waiters in self._waiters.values():
                        for waiter in waiters:
                            waiter.wake()
