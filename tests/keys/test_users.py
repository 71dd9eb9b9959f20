"""API users and their keys, over REST."""

from collections.abc import Callable
from typing import Any

from audit.models import Event
from keys.models import ApiKey, ApiUser, KeyShare, PartyIdentity
from tests.api import Api, error_of, footprint

NO_ONE = "00000000-0000-4000-8000-000000000000"


def share_of(api: Api) -> KeyShare:
    identity = PartyIdentity.objects.create(public=bytes(32))
    return KeyShare.objects.create(user=api.user, identity=identity, scheme="ecdsa")


def last_event() -> tuple[str, str, str]:
    event = Event.objects.latest("seq")
    return event.action, event.actor, event.subject


def test_create_user_gives_a_key_that_works(admin: Api, db: None) -> None:
    answer = admin.call("GET /admin/create-user?name=ETH%20Custody").json()
    assert set(answer) == {"api_key", "user_id"}
    assert ApiUser.objects.get(id=answer["user_id"]).name == "ETH Custody"
    assert last_event() == ("user.created", "admin", answer["user_id"])
    assert Api(answer["api_key"]).call("GET /keys").status_code == 200
    assert answer["api_key"] not in str(Event.objects.latest("seq").data)


def test_label_is_another_name_of_name_and_none_is_fine(admin: Api, db: None) -> None:
    labelled = admin.call("GET /admin/create-user?label=x").json()
    assert ApiUser.objects.get(id=labelled["user_id"]).name == "x"
    nameless = [admin.call("GET /admin/create-user").json()["user_id"] for _ in range(2)]
    assert ApiUser.objects.filter(id__in=nameless).count() == 2


def test_an_operator_owns_the_users_that_it_makes(new_operator: Callable[..., Any]) -> None:
    operator, api = new_operator("olga", "operator")
    answer = api.call("GET /admin/create-user?name=x").json()
    assert ApiUser.objects.get(id=answer["user_id"]).owner == operator
    assert last_event() == ("user.created", "operator:olga", answer["user_id"])


def test_names_are_unique_and_bounded(admin: Api, alice: Api) -> None:
    before = footprint()
    for query, err_type in [
        ("name=alice", "user_name_already_exists"),
        ("name=a&label=b", "bad_request_params"),
        (f"name={'x' * 201}", "bad_request_params"),
        ("name=", "bad_request_params"),
        ("name=a%00b", "bad_request_params"),
    ]:
        assert error_of(admin.call(f"GET /admin/create-user?{query}")) == (400, err_type), query
    assert footprint() == before


def test_further_keys_and_their_revocation(admin: Api, alice: Api) -> None:
    assert alice.user is not None
    answer = admin.call(f"GET /admin/generate-api-key?user_id={alice.user.id}").json()
    assert answer["user_id"] == str(alice.user.id)
    second = Api(answer["api_key"])
    assert second.call("GET /keys").status_code == 200
    assert last_event()[0] == "api_key.created"

    revoked = admin.call("DELETE /admin/revoke-api-key", {"api_key": alice.token, "user_id": str(alice.user.id)})
    assert (revoked.status_code, revoked.json()) == (200, {})
    assert last_event()[0] == "api_key.revoked"
    assert error_of(alice.call("GET /keys")) == (401, "access_denied")
    assert second.call("GET /keys").status_code == 200
    public_id = answer["api_key"].partition("_")[0]
    assert admin.call(f"DELETE /admin/revoke-api-key/?api_key={public_id}").status_code == 200
    assert error_of(second.call("GET /keys")) == (401, "access_denied")


def test_what_is_not_there_can_not_be_revoked(admin: Api, alice: Api, bob: Api) -> None:
    assert alice.token is not None
    assert bob.user is not None
    before = footprint()
    for fields, err_type in [
        ({"api_key": "0123456789abcdef_x"}, "api_key_not_found"),
        ({"api_key": alice.token + "x"}, "api_key_not_found"),
        ({"api_key": alice.token, "user_id": str(bob.user.id)}, "api_key_not_found"),
        ({"api_key": 1}, "bad_request_params"),
        ({"api_key": [alice.token]}, "bad_request_params"),
        ({}, "bad_request_params"),
    ]:
        assert error_of(admin.call("DELETE /admin/revoke-api-key", fields)) == (400, err_type), fields
    assert footprint() == before
    assert ApiKey.objects.filter(revoked_at=None).count() == 2


def test_delete_user(admin: Api, alice: Api, bob: Api) -> None:
    assert alice.user is not None
    assert bob.user is not None
    share_of(bob)
    assert admin.call(f"DELETE /admin/delete-user?user_id={alice.user.id}").json() == {}
    assert last_event() == ("user.deleted", "admin", str(alice.user.id))
    assert error_of(alice.call("GET /keys")) == (401, "access_denied")
    before = footprint()
    for user_id, err_type in [(bob.user.id, "user_has_associated_keys"), (alice.user.id, "user_id_not_exists")]:
        assert error_of(admin.call("DELETE /admin/delete-user", {"user_id": str(user_id)})) == (400, err_type)
    assert footprint() == before


def test_unknown_users(admin: Api, db: None) -> None:
    before = footprint()
    for route in ("GET /admin/generate-api-key", "DELETE /admin/delete-user", "GET /admin/list-all-user-keys"):
        assert error_of(admin.call(f"{route}?user_id={NO_ONE}")) == (400, "user_id_not_exists")
        for user_id in ("", "x", "1", NO_ONE + "0"):
            assert error_of(admin.call(f"{route}?user_id={user_id}")) == (400, "bad_request_params")
        assert error_of(admin.call(route)) == (400, "bad_request_params")
    assert footprint() == before


def test_lists_of_keys(admin: Api, alice: Api, bob: Api) -> None:
    assert alice.user is not None
    assert bob.user is not None
    key = share_of(alice)
    line = {"key_id": str(key.id), "key_type": "NotInititalizedYet", "state": "created", "public_key": None}
    assert admin.call("GET /admin/list-all-system-keys").json() == {"keys_by_user": {str(alice.user.id): [line]}}
    for user, lines in ((alice.user, [line]), (bob.user, [])):
        assert admin.call(f"GET /admin/list-all-user-keys?user_id={user.id}").json() == {"keys": lines}
