"""Who is told of what happens at a running vertex, and proof of who told it."""

import base64
import hmac
import json
import time

import pytest

from tests.cluster.listener import Listener, Received
from tests.cluster.outside import Caller, Party, until

NO_HOOK = "3b7c2a52-0d5c-4b5e-9a3c-6c8f5d1c2e11"


def verified(received: Received, secret: str) -> dict[str, object]:
    """The message, as Standard Webhooks has it checked."""
    name, said = received.headers["webhook-id"], received.headers["webhook-timestamp"]
    signed = b".".join([name.encode(), said.encode(), received.body])
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    assert signature in received.headers["webhook-signature"].split()
    assert abs(time.time() - int(said)) < 60
    message: dict[str, object] = json.loads(received.body)
    return message


def test_a_user_is_told_of_its_own_keys(key: list[Party], listener: Listener) -> None:
    user, other = key[0].user, key[1].user
    made = user.ok("POST /webhooks", {"url": f"http://{listener.host}/hooks", "events": ["operation.finished"]})
    path = f"/webhooks/{made['webhook_id']}"
    secret = made.pop("secret")
    assert user.ok(f"GET {path}") == made, "the secret is shown once"
    assert made in user.ok("GET /webhooks")["results"]
    assert other.call(f"GET {path}").error == (404, "not_found")

    delivery = user.ok(f"POST {path}/test")["delivery_id"]
    assert verified(listener.next("/hooks"), secret)["type"] == "webhook.test"
    user.ok("GET /ecdsa/create")
    told = verified(listener.next("/hooks"), secret)
    assert told["type"] == "operation.finished"
    assert told["data"]["user_id"] == key[0].user_id

    def state() -> str:
        lines = user.ok(f"GET {path}/deliveries")["results"]
        [line] = [line for line in lines if line["delivery_id"] == delivery]
        return str(line["state"])

    until(state, "delivered")
    assert user.ok(f"DELETE {path}") == {}
    assert user.call(f"GET {path}").error == (404, "not_found")


@pytest.mark.parametrize(
    "body",
    [{}, {"url": "http://evil.example/"}, {"url": "file:///etc/passwd"}, {"url": 7}, {"url": "http://127.0.0.1:1/"}],
)
def test_webhooks_that_can_not_be(key: list[Party], body: dict[str, object]) -> None:
    assert key[0].user.refused("POST /webhooks", body) == "bad_request_params"


def test_webhooks_that_are_not_there(key: list[Party], listener: Listener) -> None:
    wrong = {"url": f"http://{listener.host}/hooks", "events": ["everything"]}
    assert key[0].user.refused("POST /webhooks", wrong) == "bad_request_params"
    for route in (f"GET /webhooks/{NO_HOOK}", f"DELETE /webhooks/{NO_HOOK}", "GET /webhooks/x/deliveries"):
        assert key[0].user.call(route).error == (404, "not_found")


def test_users_and_their_api_keys_are_listed(key: list[Party]) -> None:
    admin, mine = key[0].admin, key[0]
    token = admin.ok(f"GET /admin/generate-api-key?user_id={mine.user_id}&expires_in=1")["api_key"]
    assert Caller(mine.user.url, token).call("GET /keys").status in (200, 401)
    lines = admin.ok(f"GET /admin/list-api-keys?user_id={mine.user_id}")["results"]
    [line] = [line for line in lines if token.startswith(line["api_key"])]
    assert line["expires_at"] is not None
    assert token not in json.dumps(lines)
    until(lambda: Caller(mine.user.url, token).call("GET /keys").status, 401)
    found = admin.ok("GET /admin/list-users?limit=1000")["results"]
    assert [user["keys"] >= 1 for user in found if user["user_id"] == mine.user_id] == [True]
    assert admin.refused(f"GET /admin/list-api-keys?user_id={NO_HOOK}") == "user_id_not_exists"
    for route in ("GET /admin/list-users", f"GET /admin/list-api-keys?user_id={mine.user_id}"):
        assert mine.user.refused(route) == "you_have_to_be_admin"


def test_calls_that_took_a_protocol_are_listed(key: list[Party]) -> None:
    lines = key[0].user.ok("GET /operations?limit=1000")["results"]
    assert {line["action"] for line in lines} >= {"ecdsa.create", "ecdsa.keygen"}
    assert all(key[0].user.ok(f"GET /operations/{line['operation_id']}") == line for line in lines[:2])
