"""The same Idempotency-Key and body: the same answer, once; with another body: refused."""

from typing import Any

import pytest

from keys.models import ApiKey, ApiUser, KeyShare, Operation
from keys.users import api_key_create
from keys.views import rooms
from relay.client import RelayUnavailable
from tests.api import Api, error_of, footprint
from tests.life import MemoryRelay, Vertex

pytestmark = pytest.mark.django_db(transaction=True)
REFUSED = (400, "bad_request_params")


@pytest.mark.usefixtures("worker")
def test_create_is_done_once(alice: Api, bob: Api) -> None:
    first, second = (alice.call("GET /ecdsa/create", idempotency_key="k") for _ in range(2))
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    assert KeyShare.objects.count() == 1
    # Keys are each caller's own, and each action's.
    assert bob.call("GET /ecdsa/create", idempotency_key="k").json() != first.json()
    assert error_of(alice.call("POST /create-room", {"room_size": 2}, idempotency_key="k")) == REFUSED


def test_a_new_token_is_not_repeated(admin: Api) -> None:
    first, second = (admin.call("GET /admin/create-user?name=x", idempotency_key="k").json() for _ in range(2))
    assert set(first) == {"api_key", "user_id"}
    assert second == {"user_id": first["user_id"]}
    third, fourth = (
        admin.call(f"GET /admin/generate-api-key?user_id={first['user_id']}", idempotency_key="g").json()
        for _ in range(2)
    )
    assert set(third) == {"api_key", "user_id"}
    assert fourth == {"user_id": first["user_id"]}
    assert (ApiUser.objects.count(), ApiKey.objects.count()) == (1, 2)
    assert first["api_key"] not in str(list(Operation.objects.values()))


def test_another_request_under_the_same_key(admin: Api) -> None:
    admin.call("GET /admin/create-user?name=x", idempotency_key="k")
    before = footprint()
    for route in ("GET /admin/create-user?name=y", "GET /admin/create-user", "GET /admin/create-user?label=x"):
        assert error_of(admin.call(route, idempotency_key="k")) == REFUSED
    assert footprint() == before


def test_a_refused_call_may_be_repeated_under_its_key(admin: Api, alice: Api) -> None:
    taken = "GET /admin/create-user?name=alice"
    assert error_of(admin.call(taken, idempotency_key="k")) == (400, "user_name_already_exists")
    assert not Operation.objects.exists()
    assert alice.user is not None
    alice.user.delete()
    assert admin.call(taken, idempotency_key="k").status_code == 200


@pytest.mark.parametrize("key", ["", "x" * 201, "a\x00b", "ключ", "tab\t"])
def test_keys_that_are_none(admin: Api, key: str) -> None:
    before = footprint()
    assert error_of(admin.call("GET /admin/create-user?name=x", idempotency_key=key)) == REFUSED
    assert footprint() == before


def test_the_same_room_again(alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    class FakeRelay:
        def put_room(self, room: str, *, room_size: int) -> None:
            asked.append((room, room_size))

    monkeypatch.setattr(rooms, "relay", lambda url: FakeRelay())
    body: Any = {"room_size": 3}
    first, second = (alice.call("POST /create-room", body, idempotency_key="k").json() for _ in range(2))
    assert first == second
    assert asked == [(first["room_uuid"], 3)] * 2
    assert alice.call("POST /create-room", body).json() != first
    # Without a key nothing is remembered.
    assert Operation.objects.count() == 1


@pytest.mark.parametrize("lost", ["the call", "its answer"])
def test_a_call_that_found_no_relay_may_be_repeated_as_it_was(
    vertex: Vertex, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """The same key, body and room: 503 says so, and remembers nothing. The relay is back at once: it would hear of it
    if this party left the room."""
    a, b = (vertex.party(name) for name in "ab")
    caller = Api(api_key_create(user_id=a.user.id, actor="admin"))
    body: Any = {"key_id": str(a.key_id), "num_parties": 2, "threshold": 2, "room_uuid": vertex.room(2)}
    body |= {"others_keygen_ids": [b.keygen_id]}
    asked = {"idempotency_key": "k", "prefer": "respond-async"}

    def unheard(room: str, **named: Any) -> None:
        if lost == "its answer":
            MemoryRelay.join(vertex.relay, room, **named)
        raise RelayUnavailable("no answer")

    with monkeypatch.context() as away:
        away.setattr(vertex.relay, "join", unheard)
        refused = caller.call("POST /ecdsa/keygen", body, **asked)
    assert error_of(refused) == (503, "not_ready")
    assert int(refused["Retry-After"]) > 0
    assert a.state == "created"
    first, second = (caller.call("POST /ecdsa/keygen", body, **asked) for _ in range(2))
    assert (first.status_code, first.json()) == (second.status_code, second.json()) == (202, first.json())
    assert vertex.relay.left == [], "who will come again has not left"
    vertex.ask_keygen(b, [a, b], 2, body["room_uuid"])
    vertex.run()
    assert (a.state, b.state) == ("active", "active")
