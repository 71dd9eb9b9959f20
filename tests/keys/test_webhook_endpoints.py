"""Webhooks: which endpoints there may be, and who may make them."""

from collections.abc import Callable
from typing import Any

import pytest

from keys.models import WebhookEndpoint
from keys.webhooks.endpoints import MAX_ENDPOINTS, refusal
from keys.webhooks.events import EVENTS
from tests.api import Api, error_of, footprint
from tests.keys.receiver import Receiver
from tests.keys.test_webhooks import made

pytestmark = pytest.mark.django_db(transaction=True)


URLS = {
    "https://hooks.example/x": True,
    "https://hooks.example": True,
    "https://hooks.example:443/x?y=1": True,
    "https://HOOKS.example/x": True,
    "https://hooks.example:8443/x": False,
    "https://other.example:8443/x": True,
    "https://other.example/x": False,
    "http://hooks.example/x": False,
    "ftp://hooks.example/x": False,
    "https://hooks.example.evil/x": False,
    "https://evil.hooks.example/x": False,
    "https://hooks.example@evil.example/x": False,
    "https://evil.example\\@hooks.example/": False,
    "https://evil.example#@hooks.example/": False,
    "https://hooks.example/x#part": False,
    "https://hooks.example/a b": False,
    "https://hooks.example:0x1bb/": False,
    "https://hooks.example:99999/": False,
    "https://169.254.169.254/latest": False,
    "https://[::1]/": False,
    "https://[/": False,
    "//hooks.example/x": False,
    "hooks.example": False,
    "": False,
}


@pytest.mark.parametrize(("url", "allowed"), URLS.items(), ids=list(URLS))
def test_urls(settings: Any, url: str, allowed: bool) -> None:
    settings.INSECURE_HTTP = False
    settings.VERTEX_WEBHOOK_HOSTS = ["hooks.example", "other.example:8443"]
    assert (refusal(url) is None) is allowed
    settings.VERTEX_WEBHOOK_HOSTS = []
    assert refusal(url) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"url": None},
        {"url": 1},
        {"url": "x" * 501},
        {"url": "http://elsewhere.example/"},
        {"url": "http://127.0.0.1/\u0001"},
        {"events": ["no.event"]},
        {"events": "operation.finished"},
        {"events": [1]},
        {"events": [[]]},
        {"events": [EVENTS[0]] * 9},
    ],
    ids=str,
)
def test_endpoints_that_are_none(alice: Api, receiver: Receiver, change: dict[str, Any]) -> None:
    before = footprint()
    answer = alice.call("POST /webhooks", {"url": receiver.url, **change})
    assert error_of(answer) == (400, "bad_request_params")
    assert (footprint(), WebhookEndpoint.objects.count()) == (before, 0)


def test_there_is_an_end_to_endpoints(alice: Api, receiver: Receiver) -> None:
    for _ in range(MAX_ENDPOINTS):
        made(alice, receiver.url)
    assert error_of(alice.call("POST /webhooks", {"url": receiver.url})) == (400, "bad_request_params")


def test_what_operators_may(new_operator: Callable[..., Any], alice: Api, receiver: Receiver) -> None:
    webhook_id, _ = made(alice, receiver.url)
    for groups, looks, manages in [(("operator",), True, True), (("auditor",), True, False), ((), False, False)]:
        _, caller = new_operator("-".join(groups) or "none", *groups)
        assert (caller.call(f"GET /webhooks/{webhook_id}").status_code == 200) is looks
        assert (caller.call("POST /webhooks", {"url": receiver.url}).status_code == 200) is manages
        assert (caller.call(f"POST /webhooks/{webhook_id}/test").status_code == 200) is manages
