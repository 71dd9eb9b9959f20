"""How often a caller may call: rates counted in Redis, so that they hold for all `web` processes together.

A rate is a bucket of `count` calls that fills evenly within `seconds` (GCRA: all that is kept is the time at which it
will be full again). Where Redis does not answer calls pass: a throttle is there for availability, what needs Redis
fails by itself, and no token is let in by it.
"""

import math
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from vertex.rates import Rate

logger = structlog.get_logger(__name__)
TIMEOUT = 0.25  # seconds that a call may wait for Redis here
# KEYS: the bucket. ARGV: microseconds a call, calls a full bucket, calls to take (0: only look). Redis' own clock.
# Gives the microseconds until there is room; only where that is 0 something was taken.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local after = full + ARGV[1] * ARGV[3]
local wait = math.max(full + ARGV[1] * math.max(ARGV[3], 1) - now - ARGV[1] * ARGV[2], 0)
if wait == 0 and tonumber(ARGV[3]) > 0 then
    redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000) + 1)
end
return math.ceil(wait)
"""


@lru_cache(maxsize=1)
def _take() -> Any:
    # Its own connections: no call waits here for as long as one may that does something.
    client = redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT, retry=Retry(NoBackoff(), 0)
    )
    return client.register_script(_TAKE)


def take(bucket: str, rate: Rate, *, calls: int = 1) -> float:
    """Take calls from a bucket; seconds until there is room (nothing was taken then), or 0. `calls=0` only looks."""
    arguments = [1e6 * rate.seconds / rate.count, rate.count, calls]
    # With another rate it begins afresh: an operator who raises one does not wait for the old one's end.
    name = f"{settings.VERTEX_NAME}:rate:{rate.count}/{rate.seconds}:{bucket}"
    try:
        return int(_take()(keys=[name], args=arguments)) / 1e6
    except redis.RedisError as error:
        logger.warning("throttle_unavailable", error=type(error).__name__)
        return 0.0


class TokenThrottle(BaseThrottle):
    """`VERTEX_RATE` for each token; the settings' admin token is exempt."""

    _wait = 0.0

    def allow_request(self, request: Request, view: Any) -> bool:
        rate: Rate | None = settings.VERTEX_RATE
        name = getattr(request.user, "token_id", None)
        if rate is None or name is None:
            return True
        self._wait = take(f"token:{name}", rate)
        return self._wait == 0

    def wait(self) -> float:
        return self._wait


class Guesses:
    """`VERTEX_GUESS_RATE` of unknown tokens for each address."""

    def __init__(self, request: Request) -> None:
        self._rate: Rate | None = settings.VERTEX_GUESS_RATE
        self._bucket = f"guess:{address_of(request)}"

    def wait(self) -> int:
        """Whole seconds for which nothing more may be tried from there; 0 while there is room."""
        return math.ceil(take(self._bucket, self._rate, calls=0)) if self._rate else 0

    def spent(self) -> None:
        """One more wrong one."""
        if self._rate:
            take(self._bucket, self._rate)


def address_of(request: Request) -> str:
    """Who calls: the address that the outermost of `VERTEX_PROXIES` own proxies saw, else that of the connection; of
    IPv6 the /64, which one caller has all of."""
    proxies: int = settings.VERTEX_PROXIES
    hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    seen = (hops[-min(proxies, len(hops))] if proxies else "") or request.META.get("REMOTE_ADDR", "")
    try:
        address = ip_address(seen)
    except ValueError:
        return str(seen)[:64]
    return address.exploded[:19] if isinstance(address, IPv6Address) else str(address)
