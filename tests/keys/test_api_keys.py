"""Several API keys of a user: listed, used, expired, revoked."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from audit.models import Event
from keys.auth import principal_of
from keys.models import ApiKey, ApiUser
from tests.api import Api, error_of
from tests.keys.test_keys_routes import make

pytestmark = pytest.mark.django_db
REFUSED = (400, "bad_request_params")


def further(admin: Api, user: ApiUser | None, query: str = "") -> dict[str, Any]:
    assert user is not None
    answer = admin.call(f"GET /admin/generate-api-key?user_id={user.id}{query}")
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def test_keys_of_a_user_are_listed(admin: Api, alice: Api, bob: Api) -> None:
    more = [further(admin, alice.user) for _ in range(3)]
    admin.call(f"DELETE /admin/revoke-api-key?api_key={more[1]['api_key']}")
    Api(more[0]["api_key"]).call("GET /keys")
    seen: list[dict[str, Any]] = []
    path = f"/admin/list-api-keys?user_id={alice.user.id}&limit=2"  # type: ignore[union-attr]
    while path:
        page = admin.call(f"GET {path}").json()
        assert len(page["results"]) <= 2
        seen += page["results"]
        path = page["next"]
    tokens = [alice.token, *(each["api_key"] for each in more)]
    assert [line["api_key"] for line in seen] == [token.partition("_")[0] for token in tokens if token]
    assert not any(token in str(seen) for token in tokens if token)
    assert [line["revoked_at"] is not None for line in seen] == [False, False, True, False]
    assert [line["last_used_at"] is not None for line in seen] == [False, True, False, False]


def test_users_are_listed(admin: Api, alice: Api, bob: Api) -> None:
    for _ in range(2):
        make(alice)
    further(admin, alice.user, "&expires_in=60")
    ApiKey.objects.filter(user=bob.user).update(revoked_at=timezone.now())
    first = admin.call("GET /admin/list-users?limit=1").json()
    second = admin.call(f"GET {first['next']}").json()
    lines = [*first["results"], *second["results"]]
    assert second["next"] is None
    assert [(line["name"], line["keys"], line["api_keys"], line["owner"]) for line in lines] == [
        ("alice", 2, 2, None),
        ("bob", 0, 0, None),
    ]
    with CaptureQueriesContext(
        connection,
    ) as few:
        admin.call("GET /admin/list-users")
    assert len(few) == 1


@pytest.mark.parametrize(
    "query", ["", "user_id=x", "user_id={}&limit=0", "user_id={}&after=none", "user_id={}&after=%00"]
)
def test_lists_that_are_none(admin: Api, alice: Api, query: str) -> None:
    assert alice.user is not None
    answer = admin.call(f"GET /admin/list-api-keys?{query.replace('{}', str(alice.user.id))}")
    assert error_of(answer) == REFUSED


def test_a_key_expires(admin: Api, alice: Api) -> None:
    before = timezone.now()
    made = further(admin, alice.user, "&expires_in=60")
    caller = Api(made["api_key"])
    assert caller.call("GET /keys").status_code == 200
    key = ApiKey.objects.get(public_id=made["api_key"].partition("_")[0])
    assert key.expires_at == parse_datetime(made["expires_at"])
    assert timedelta(seconds=60) <= key.expires_at - before < timedelta(seconds=70)
    assert Event.objects.get(action="api_key.created").data["expires_at"] == key.expires_at.isoformat()
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now())
    assert error_of(caller.call("GET /keys")) == (401, "access_denied")
    assert alice.call("GET /keys").status_code == 200


@pytest.mark.parametrize("life", ["0", "-1", "x", "1.5", "", "999999999999", "%00"])
def test_lives_that_are_none(admin: Api, alice: Api, life: str) -> None:
    assert alice.user is not None
    route = f"GET /admin/generate-api-key?user_id={alice.user.id}&expires_in={life}"
    assert error_of(admin.call(route)) == REFUSED
    assert ApiKey.objects.count() == 1


def test_its_use_is_written_once_a_minute(alice: Api) -> None:
    assert alice.token is not None
    for age, writes in [(None, True), (0, False), (59, False), (61, True), (3600, True)]:
        used = None if age is None else timezone.now() - timedelta(seconds=age)
        ApiKey.objects.update(last_used_at=used)
        with CaptureQueriesContext(connection) as queries:
            assert principal_of(alice.token) is not None
        assert [query["sql"].split()[0] for query in queries] == ["SELECT"] + ["UPDATE"] * writes, age
        now = ApiKey.objects.get().last_used_at
        assert now is not None
        assert (now != used) is writes


def test_a_wrong_secret_is_no_use(alice: Api) -> None:
    assert alice.token is not None
    assert principal_of(alice.token[:-1]) is None
    assert ApiKey.objects.get().last_used_at is None
