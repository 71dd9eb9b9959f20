"""The process: what it needs to start, what it says of its health, what it does while Redis is away."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import httpx
import pytest

from cluster.embedded import free_port
from cluster.relay import Relay as Server
from relay.asgi import Application
from relay.settings import Settings, SettingsError

KEY = "k" * 16


@pytest.mark.parametrize(
    ("env", "complaint"),
    [
        ({}, "RELAY_API_KEYS"),
        ({"RELAY_API_KEYS": " , "}, "RELAY_API_KEYS"),
        ({"RELAY_API_KEYS": f"{KEY},short"}, "RELAY_API_KEYS"),
        ({"RELAY_API_KEYS": KEY, "RELAY_MAX_ROOMS": "many"}, "RELAY_MAX_ROOMS"),
        ({"RELAY_API_KEYS": KEY, "RELAY_MAX_MESSAGE": "0"}, "RELAY_MAX_MESSAGE"),
        ({"RELAY_API_KEYS": KEY, "RELAY_MAX_BODY": "-1"}, "RELAY_MAX_BODY"),
        ({"RELAY_API_KEYS": KEY, "RELAY_MAX_WAITERS": ""}, "RELAY_MAX_WAITERS"),
        ({"RELAY_API_KEYS": KEY, "RELAY_REDIS_URL": "elsewhere"}, "Redis URL"),
    ],
)
def test_a_relay_that_is_not_configured_does_not_start(env: dict[str, str], complaint: str) -> None:
    said: list[MutableMapping[str, Any]] = []

    async def start() -> None:
        async def receive() -> MutableMapping[str, Any]:
            return {"type": "lifespan.startup"}

        async def send(event: MutableMapping[str, Any]) -> None:
            said.append(event)

        await Application(env)({"type": "lifespan"}, receive, send)

    asyncio.run(start())
    (failed,) = said
    assert failed["type"] == "lifespan.startup.failed"
    assert complaint in failed["message"]


def test_settings_hold_no_key_and_show_no_secret() -> None:
    settings = Settings.from_env(
        {"RELAY_API_KEYS": f"{KEY}, {KEY[::-1]}x", "RELAY_REDIS_URL": "redis://:secret@h/1", "RELAY_MAX_ROOMS": "7"}
    )
    assert (len(settings.api_keys), settings.max_rooms, settings.max_message) == (2, 7, 8 << 20)
    assert {len(key) for key in settings.api_keys} == {32}
    assert "secret" not in repr(settings)
    assert "api_keys" not in repr(settings)
    with pytest.raises(SettingsError):
        Settings.from_env({"RELAY_API_KEYS": ""})


def test_health_needs_no_key(server: Server) -> None:
    for path in ("live", "ready", "ready/"):
        response = httpx.get(f"{server.url}/health/{path}")
        assert (response.status_code, response.json()) == (200, {})


def test_while_redis_is_away_a_relay_lives_but_is_not_ready() -> None:
    app = Application({"RELAY_API_KEYS": KEY, "RELAY_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"})
    asyncio.run(_with_lifespan(app, _ask))


async def _ask(http: httpx.AsyncClient) -> None:
    assert (await http.get("/health/live")).status_code == 200
    for request in (
        http.get("/health/ready"),
        http.post("/relay/rooms", json={"room_size": 2}),
        http.get("/relay/inboxes/" + "0" * 64, params={"wait": 10_000}),
    ):
        response = await request
        assert (response.status_code, response.json()["err_type"]) == (503, "not_ready")
        assert response.headers["retry-after"] == "1"


async def _with_lifespan(app: Application, use: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    events: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    said: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    running = asyncio.create_task(app({"type": "lifespan"}, events.get, said.put))
    await events.put({"type": "lifespan.startup"})
    assert (await said.get())["type"] == "lifespan.startup.complete"
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://relay", headers={"Authorization": KEY}) as http:
        await use(http)
    await events.put({"type": "lifespan.shutdown"})
    assert (await said.get())["type"] == "lifespan.shutdown.complete"
    await running


def test_before_it_started_it_answers_not_ready() -> None:
    async def ask() -> int:
        transport = httpx.ASGITransport(Application({}))
        async with httpx.AsyncClient(transport=transport, base_url="http://relay") as http:
            return (await http.get("/health/live")).status_code

    assert asyncio.run(ask()) == 503
