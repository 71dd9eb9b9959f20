"""Rates: what a token and a guessing address may, counted in Redis for all processes together."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from django.test import RequestFactory
from rest_framework.request import Request

from tests.api import Api, error_of
from vertex import liveness, throttles
from vertex.rates import Rate, rate
from vertex.throttles import address_of, take

pytestmark = pytest.mark.django_db
TOO_MANY = (429, "too_many_requests")


@pytest.fixture(autouse=True)
def empty(settings: Any) -> Iterator[None]:
    settings.VERTEX_RATE = settings.VERTEX_GUESS_RATE = Rate(3, 3600)
    yield
    names = liveness.connection().keys(f"{settings.VERTEX_NAME}:rate:*")
    if names:
        liveness.connection().delete(*names)


@pytest.fixture
def gone(settings: Any) -> Iterator[None]:
    """Redis does not answer."""
    throttles._take.cache_clear()
    settings.REDIS_URL = "redis://127.0.0.1:1"
    yield
    throttles._take.cache_clear()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", None), ("600/min", Rate(600, 60)), ("1/s", Rate(1, 1)), ("5/hour", Rate(5, 3600)), ("9/day", Rate(9, 86400))],
)
def test_rates(text: str, expected: Rate | None) -> None:
    assert rate(text) == expected


@pytest.mark.parametrize("text", ["0/min", "-1/s", "1", "1/", "/s", "1/week", "1.5/s", " 1/s", "1/s ", "1e3/s", "٣/s"])
def test_rates_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="rate"):
        rate(text)


def test_each_token_has_its_own(alice: Api, bob: Api, new_operator: Callable[..., Any]) -> None:
    _, operator = new_operator("olga", "operator")
    for caller in (alice, bob, operator):
        assert [caller.call("GET /keys").status_code for _ in range(3)] == [200] * 3
        answer = caller.call("GET /keys")
        assert error_of(answer) == TOO_MANY
        assert 1100 < int(answer["Retry-After"]) <= 1200  # a third of an hour: the next call


def test_another_key_of_the_same_user_is_another_token(admin: Api, alice: Api) -> None:
    assert alice.user is not None
    other = Api(admin.call(f"GET /admin/generate-api-key?user_id={alice.user.id}").json()["api_key"])
    for _ in range(4):
        alice.call("GET /keys")
    assert other.call("GET /keys").status_code == 200


def test_a_refused_call_does_nothing(alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        alice.call("GET /keys")
    monkeypatch.setattr("keys.operations.begin", None)
    assert error_of(alice.call("GET /ecdsa/create")) == TOO_MANY


def test_the_admin_token_is_exempt(admin: Api, alice: Api) -> None:
    assert {admin.call("GET /keys").status_code for _ in range(9)} == {200}


def test_no_rate_no_limit(alice: Api, settings: Any) -> None:
    settings.VERTEX_RATE = None
    assert {alice.call("GET /keys").status_code for _ in range(9)} == {200}


def test_guessing_is_slowed(alice: Api, admin: Api) -> None:
    wrong = Api("0" * 64)
    assert [wrong.call("GET /keys").status_code for _ in range(3)] == [401] * 3
    answer = wrong.call("GET /keys")
    assert error_of(answer) == TOO_MANY
    assert int(answer["Retry-After"]) > 1000
    # A right guess is not heard either; whoever has an API key is not locked out by others behind the same address.
    assert error_of(admin.call("GET /keys")) == TOO_MANY
    assert alice.call("GET /keys").status_code == 200


@pytest.mark.parametrize("token", [None, "", "Bearer "])
def test_no_token_is_no_guess(admin: Api, token: str | None) -> None:
    assert [Api(token).call("GET /keys").status_code for _ in range(5)] == [401] * 5
    assert admin.call("GET /keys").status_code == 200


@pytest.mark.parametrize(
    ("proxies", "forwarded", "seen"),
    [
        (0, None, "192.0.2.1"),
        (0, "198.51.100.7", "192.0.2.1"),
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        (2, "203.0.113.9, 198.51.100.7", "203.0.113.9"),
        (2, "198.51.100.7", "198.51.100.7"),
        (1, None, "192.0.2.1"),
        (1, "2001:db8:1:2:3:4:5:6", "2001:0db8:0001:0002"),
        (1, "2001:db8:1:2::", "2001:0db8:0001:0002"),
        (1, "x" * 500, "x" * 64),
    ],
)
def test_addresses(settings: Any, proxies: int, forwarded: str | None, seen: str) -> None:
    settings.VERTEX_PROXIES = proxies
    given = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    assert address_of(Request(RequestFactory().get("/", REMOTE_ADDR="192.0.2.1", **given))) == seen


def test_without_redis_nothing_is_throttled(gone: None, alice: Api) -> None:
    assert {alice.call("GET /keys").status_code for _ in range(5)} == {200}
    assert {Api("x" * 20).call("GET /keys").status_code for _ in range(5)} == {401}


def test_a_bucket_is_shared_and_taken_from_at_once(settings: Any) -> None:
    """By threads with connections of their own, as processes have them."""
    limit = Rate(20, 3600)
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: take("shared", limit), range(60)))
    assert sum(wait == 0 for wait in waits) == 20
    assert 0 < liveness.connection().pttl(f"{settings.VERTEX_NAME}:rate:20/3600:shared") <= 3_600_001


def test_a_bucket_fills_evenly() -> None:
    limit = Rate(2, 1)
    assert [take("filling", limit) for _ in range(2)] == [0, 0]
    wait = take("filling", limit)
    assert 0 < wait <= 0.5
    assert take("filling", limit, calls=0) > 0
    begun = time.monotonic()
    while take("filling", limit) > 0:
        assert time.monotonic() - begun < 10
    assert time.monotonic() - begun > 0.9 * wait


def test_the_client_gives_up_soon() -> None:
    client: redis.Redis = throttles._take().registered_client
    options = client.connection_pool.connection_kwargs
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (throttles.TIMEOUT, throttles.TIMEOUT)
    assert options["retry"].get_retries() == 0
