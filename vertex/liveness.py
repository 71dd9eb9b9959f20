"""Signs of life in Redis: heartbeats of the processes, and whether the vertex has been reconciled since `listen`
began."""

import threading
import time
from functools import lru_cache

import redis
from django.conf import settings

BEAT_EVERY = 5.0  # seconds
ALIVE_FOR = 15  # seconds


@lru_cache(maxsize=1)
def connection() -> redis.Redis:
    """This process's Redis client (thread-safe, pooled)."""
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=5)


def _name(what: str) -> str:
    return f"{settings.VERTEX_NAME}:{what}"


def beat(process: str) -> None:
    """Say that a `worker` or `listen` is alive."""
    connection().set(_name(f"heartbeat:{process}"), str(time.time()), ex=ALIVE_FOR)


def alive(process: str) -> bool:
    """True if such a process has beaten within the last 15 s."""
    return bool(connection().exists(_name(f"heartbeat:{process}")))


def reconciled() -> bool:
    """True once database, keystore and journal have been compared."""
    return bool(connection().exists(_name("reconciled")))


def reconciled_set(done: bool) -> None:
    """Note that the comparison has passed, or must be made."""
    if done:
        connection().set(_name("reconciled"), "1")
    else:
        connection().delete(_name("reconciled"))


def beat_forever(process: str) -> threading.Thread:
    """A daemon thread that beats until the process ends; a Redis that does not answer is tried again."""

    def run() -> None:
        while True:
            try:
                beat(process)
            except redis.RedisError:
                pass
            time.sleep(BEAT_EVERY)

    thread = threading.Thread(target=run, name=f"heartbeat-{process}", daemon=True)
    thread.start()
    return thread
