"""Users and their API keys at a running vertex."""

import re
from uuid import uuid4

import pytest

from cluster.cluster import Cluster
from tests.cluster.contract import Route, open_routes, routes
from tests.cluster.outside import Caller, Party

NOBODY = "3b7c2a52-0d5c-4b5e-9a3c-6c8f5d1c2e11"


@pytest.fixture(scope="module")
def admin(cluster: Cluster) -> Caller:
    return Caller(cluster.vertices[0].url, cluster.vertices[0].admin_token)


def test_a_name_is_taken_once(admin: Caller) -> None:
    name = f"payments {uuid4()}"
    assert set(admin.ok(f"GET /admin/create-user?name={name}")) == {"api_key", "user_id"}
    for word in ("name", "label"):
        assert admin.refused(f"GET /admin/create-user?{word}={name}") == "user_name_already_exists"
    assert admin.ok(f"GET /admin/create-user?label={name}s")["user_id"]
    for query in ("name=a&label=b", "name=" + "x" * 201):
        assert admin.refused(f"GET /admin/create-user?{query}") == "bad_request_params"


def test_a_user_has_several_keys_and_loses_them_one_by_one(admin: Caller) -> None:
    made = admin.ok("GET /admin/create-user")
    user_id, first = made["user_id"], made["api_key"]
    second = admin.ok(f"GET /admin/generate-api-key?user_id={user_id}")["api_key"]
    third = admin.ok(f"GET /admin/generate-api-key?user_id={user_id}")["api_key"]
    callers = {token: Caller(admin.url, token) for token in (first, second, third)}
    assert [caller.call("GET /keys").status for caller in callers.values()] == [200] * 3

    # In the body, as Sodot's clients do, and in the query.
    revoke = "DELETE /admin/revoke-api-key"
    assert admin.refused(revoke, {"api_key": first, "user_id": NOBODY}) == "api_key_not_found"
    assert admin.ok(revoke, {"api_key": first, "user_id": user_id}) == {}
    assert admin.ok(f"{revoke}?api_key={second}&user_id={user_id}") == {}
    assert [caller.call("GET /keys").status for caller in callers.values()] == [401, 401, 200]
    for token in (first, second, "nothing_at_all"):
        assert admin.refused(revoke, {"api_key": token, "user_id": user_id}) == "api_key_not_found"

    assert admin.ok("DELETE /admin/delete-user", {"user_id": user_id}) == {}
    assert callers[third].call("GET /keys").error == (401, "access_denied")


@pytest.mark.parametrize(
    "route", ["GET /admin/generate-api-key", "GET /admin/list-all-user-keys", "DELETE /admin/delete-user"]
)
def test_users_that_are_not_there(admin: Caller, route: str) -> None:
    assert admin.refused(f"{route}?user_id={NOBODY}") == "user_id_not_exists"
    for query in ("", "?user_id=x"):
        assert admin.refused(f"{route}{query}") == "bad_request_params"


def test_a_user_with_keys_stays(admin: Caller, unused: list[Party]) -> None:
    mine = unused[0]
    assert admin.refused("DELETE /admin/delete-user", {"user_id": mine.user_id}) == "user_has_associated_keys"
    lines = admin.ok(f"GET /admin/list-all-user-keys?user_id={mine.user_id}")["keys"]
    [line] = [line for line in lines if line["key_id"] == mine.key_id]
    assert line["state"] == "created"
    assert line in admin.ok("GET /admin/list-all-system-keys")["keys_by_user"][mine.user_id]


def spelt(route: Route) -> str:
    """A call of a route, with an id that names nothing."""
    return f"{route.method} {re.sub(r'{[^}]*}', NOBODY, route.path)}"


VOTES = ("confirm-deletion", "abort", "supersede", "carry", "agree", "discard", "lift-bans", "approve", "deny")


def of_admins(route: Route) -> bool:
    first, last = route.path.split("/")[1], route.path.rpartition("/")[2]
    return first in ("admin", "audit", "metrics") or last in VOTES


def test_what_only_admins_may(unused: list[Party]) -> None:
    theirs = [route for route in routes() if of_admins(route)]
    assert len(theirs) > 15
    for route in theirs:
        assert unused[0].user.call(spelt(route)).error == (400, "you_have_to_be_admin"), route


def test_every_route_but_probes_needs_a_token(unused: list[Party]) -> None:
    callers = [Caller(unused[0].user.url, token) for token in (None, "nonsense")]
    closed = [route for route in routes() if route not in open_routes()]
    assert len(closed) > 55
    for route in closed:
        for caller in callers:
            answer = caller.call(spelt(route))
            assert answer.error == (401, "access_denied"), route
            assert answer.headers["Cache-Control"] == "no-store", route


@pytest.mark.parametrize(
    "route", ["GET /ecdsa/create", "POST /ed25519/sign", "POST /bip340/refresh", "POST /ecdsa/reshare/existing-party"]
)
def test_an_admin_is_no_user(admin: Caller, route: str) -> None:
    """Keys belong to users: an admin has none, and acts with nobody's."""
    status, _ = admin.call(route, {}).error
    assert status in (400, 401)
