"""A real relay (uvicorn in a process of its own) over real Redis, in a database that no other test uses."""

import os
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis

from cluster.relay import Relay as Server
from relay.client import Joined, Relay

CHECKOUT = Path(__file__).parents[2]
# Small enough to be reached by a test.
TIGHT = {
    "RELAY_MAX_ROOM_SIZE": "4",
    "RELAY_MAX_MESSAGE": "1000",
    "RELAY_MAX_BODY": "3000",
    "RELAY_MAX_MESSAGES": "5",
    "RELAY_MAX_ROOM_BYTES": "4000",
    "RELAY_MAX_ANSWER": "1500",
    "RELAY_MAX_ROOMS": "3",
    "RELAY_MAX_WAITERS": "1",
}


class LimitedServer(Server):
    def __init__(self, redis_url: str, log_dir: Path, limits: dict[str, str]) -> None:
        super().__init__(redis_url, log_dir, CHECKOUT)
        self._env |= limits


def _serve(redis_url: str, log_dir: Path, limits: dict[str, str]) -> Iterator[Server]:
    server = LimitedServer(redis_url, log_dir, limits)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def relay_redis_url() -> str:
    url, number = re.fullmatch(r"(.*)/(\d*)", os.environ["REDIS_URL"]).groups()
    return f"{url}/{int(number or 0) + 8}"


@pytest.fixture(scope="session")
def server(relay_redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from _serve(relay_redis_url, tmp_path_factory.mktemp("relay"), {})


@pytest.fixture(scope="session")
def tight_server(relay_redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from _serve(relay_redis_url, tmp_path_factory.mktemp("tight"), TIGHT)


@pytest.fixture
def memory(relay_redis_url: str) -> Iterator[redis.Redis]:
    """The relay's Redis database, empty."""
    with redis.Redis.from_url(relay_redis_url) as client:
        client.flushdb()
        yield client


@pytest.fixture
def relay(server: Server, memory: redis.Redis) -> Relay:
    return Relay(server.url, server.api_key)


@pytest.fixture
def tight(tight_server: Server, memory: redis.Redis) -> Relay:
    return Relay(tight_server.url, tight_server.api_key)


def identity() -> str:
    return secrets.token_hex(32)


@dataclass
class Party:
    """A party with an inbox of its own; what it asks of a room by default fits any."""

    relay: Relay
    id: str = field(default_factory=identity)
    inbox: str = field(default_factory=identity)

    def join(self, room: str, **other: Any) -> Joined:
        asked = {"inbox": self.inbox, "kind": "sign", "until": int(time.time()) + 60, "min_size": 1, "max_size": 9}
        return self.relay.join(room, party=self.id, **(asked | other))


@pytest.fixture
def alice(relay: Relay) -> Party:
    return Party(relay)


@pytest.fixture
def bob(relay: Relay) -> Party:
    return Party(relay)


@pytest.fixture
def carol(relay: Relay) -> Party:
    return Party(relay)
