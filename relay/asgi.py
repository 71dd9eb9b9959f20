"""The relay's ASGI application: `uvicorn relay.asgi:application --timeout-keep-alive 75`."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from relay.errors import Refusal
from relay.http import HungUp, Receive, Scope, Send, answer, answer_refusal, authorise
from relay.routes import Request, find
from relay.settings import Settings, SettingsError
from relay.store import Store
from relay.wakes import Wakes

REDIS_TIMEOUT = 5.0  # seconds for a command; none of them blocks
REDIS_CONNECTIONS = 64
READY_TIMEOUT = 2.0

log = logging.getLogger("relay")


class Service:
    """What lives as long as the process: settings, connections, the subscription to wakes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.redis = Redis.from_pool(
            BlockingConnectionPool.from_url(
                settings.redis_url,
                max_connections=REDIS_CONNECTIONS,
                timeout=REDIS_TIMEOUT,
                socket_timeout=REDIS_TIMEOUT,
                socket_connect_timeout=REDIS_TIMEOUT,
                retry=Retry(NoBackoff(), 1),  # every script may run twice
            )
        )
        # Waits for ever: redis-py 8 would otherwise give up a silent subscription after five seconds.
        self.subscriber = Redis.from_url(settings.redis_url, socket_timeout=None, socket_keepalive=True)
        self.wakes = Wakes(self.subscriber, settings.max_waiters)
        self.store = Store(self.redis, settings, self.wakes)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        wakes = asyncio.create_task(self.wakes.run())
        try:
            yield
        finally:
            wakes.cancel()
            with suppress(asyncio.CancelledError):
                await wakes
            await self.redis.aclose()
            await self.subscriber.aclose()

    async def ready(self) -> bool:
        """Whether Redis answers and wakes come through."""
        try:
            async with asyncio.timeout(READY_TIMEOUT):
                return bool(await self.redis.ping()) and self.wakes.subscribed.is_set()
        except (RedisError, OSError, TimeoutError):
            return False


class Application:
    """Routes requests and turns whatever goes wrong into an answer of the error table."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._service: Service | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._request(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self._service = Service(Settings.from_env(self._env))
        except (SettingsError, ValueError) as error:  # redis-py's, for a URL that is none
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        async with self._service.running():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._answer(scope, receive, send)
        except Refusal as refusal:
            await answer_refusal(send, refusal)
        except HungUp:
            pass
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("redis failed: %s", type(error).__name__)
            await answer_refusal(send, Refusal("not_ready"))
        except Exception:
            log.exception("a request crashed")
            await answer_refusal(send, Refusal("internal_problem"))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = self._service
        if service is None:  # a server without lifespan
            raise Refusal("not_ready", "the relay has not started")
        path = scope["path"].removesuffix("/")
        if path == "/health/live":
            await answer(send, 200, {})
        elif path == "/health/ready":
            if not await service.ready():
                raise Refusal("not_ready")
            await answer(send, 200, {})
        else:
            authorise(scope, service.settings.api_keys)
            handler, name = find(scope["method"], path)
            request = Request(service.store, service.settings, scope, receive, name)
            content, kind = await handler(request)
            await answer(send, 200, content, kind)


application = Application(os.environ)
