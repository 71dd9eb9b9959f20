"""Who a token stands for, and what each may do."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as django_settings

from keys.auth import access_denied, is_admin_token, principal_of
from keys.models import ApiKey
from tests.api import Api, error_of, footprint

ADMIN_ROUTES = [
    "GET /admin/create-user?name=x",
    "GET /admin/generate-api-key?user_id=00000000-0000-4000-8000-000000000000",
    "DELETE /admin/revoke-api-key?api_key=x",
    "DELETE /admin/delete-user?user_id=00000000-0000-4000-8000-000000000000",
    "GET /admin/list-all-system-keys",
    "GET /admin/list-all-user-keys?user_id=00000000-0000-4000-8000-000000000000",
    "GET /audit/events",
    "GET /audit/head",
]
USER_ROUTES = [
    "GET /ecdsa/create",
    "POST /ecdsa/keygen",
    "POST /ecdsa/sign",
    "POST /ed25519/sign",
    "POST /bip340/sign",
    "POST /ecdsa/derive-pubkey",
    "POST /ed25519/derive-pubkey",
    "POST /bip340/derive-tweak-pubkey",
    "GET /ecdsa/export-id/00000000-0000-4000-8000-000000000000",
    "GET /ecdsa/export/exportId/00000000-0000-4000-8000-000000000000",
]
OTHER_ROUTES = ["GET /keys", "GET /keys/x", "POST /create-room", "GET /operations/x"]


def bad_tokens(good: str) -> dict[str, str | None]:
    return {
        "missing": None,
        "empty": "",
        "bearer alone": "Bearer ",
        "unknown": "0123456789abcdef_secret",
        "no secret": good.partition("_")[0],
        "other secret": good[:-1] + ("a" if good[-1] != "a" else "b"),
        "longer": good + "a",
        "shorter": good[:-1],
        "other case": good.upper(),
        "scheme": f"Token {good}",
        "admin's, cut": django_settings.VERTEX_ADMIN_TOKEN[:-1],
        "long": "a" * 5000,
        "not ascii": "ключ",
        "a control": good + "\x7f",
    }


@pytest.mark.parametrize("name", bad_tokens("x_y").keys())
def test_tokens_that_are_none(alice: Api, name: str) -> None:
    before, counted = footprint(), access_denied._value.get()
    response = Api(bad_tokens(alice.token or "")[name]).call("GET /keys")
    assert error_of(response) == (401, "access_denied")
    assert response["WWW-Authenticate"] == "Bearer"
    assert (footprint(), access_denied._value.get()) == (before, counted + 1)


@pytest.mark.parametrize("route", [*ADMIN_ROUTES, *USER_ROUTES, *OTHER_ROUTES])
def test_every_route_wants_a_token(nobody: Api, db: None, route: str) -> None:
    assert error_of(nobody.call(route)) == (401, "access_denied")


@pytest.mark.parametrize("route", ADMIN_ROUTES)
def test_a_users_key_on_an_admin_route(alice: Api, route: str) -> None:
    before = footprint()
    assert error_of(alice.call(route)) == (400, "you_have_to_be_admin")
    assert footprint() == before


@pytest.mark.parametrize("route", USER_ROUTES)
def test_an_admin_owns_no_keys(admin: Api, db: None, route: str) -> None:
    assert error_of(admin.call(route)) == (400, "bad_request_params")


@pytest.mark.parametrize("prefix", ["", "Bearer ", "Bearer  "])
def test_the_token_is_raw_or_a_bearers(alice: Api, prefix: str) -> None:
    assert Api(prefix + (alice.token or "")).call("GET /keys").status_code == 200


def test_a_revoked_key_is_unknown(alice: Api) -> None:
    assert alice.token is not None
    ApiKey.objects.filter(public_id=alice.token.partition("_")[0]).update(revoked_at="2026-01-01T00:00Z")
    assert error_of(alice.call("GET /keys")) == (401, "access_denied")


def test_an_empty_admin_token_opens_nothing(db: None, settings: Any) -> None:
    settings.VERTEX_ADMIN_TOKEN = ""
    assert principal_of("") is None
    assert not is_admin_token("")


def test_tokens_are_stored_hashed(alice: Api) -> None:
    row = ApiKey.objects.get(user=alice.user)
    assert alice.token is not None
    assert alice.token.startswith(row.public_id + "_")
    assert alice.token.encode() not in bytes(row.digest)
    assert len(bytes(row.digest)) == 32


def test_who_a_token_stands_for(alice: Api, admin: Api, new_operator: Callable[..., Any]) -> None:
    operator, automation = new_operator("olga", "operator")
    found = [principal_of(caller.token or "") for caller in (alice, admin, automation)]
    assert [principal.kind if principal else None for principal in found] == ["user", None, "operator"]
    assert [principal.actor for principal in found if principal] == [f"user:{alice.user.id}", "operator:olga"]  # type: ignore[union-attr]
    assert [is_admin_token(caller.token or "") for caller in (alice, admin, automation)] == [False, True, False]
    operator.is_active = False
    operator.save()
    assert principal_of(automation.token) is None


@pytest.mark.parametrize(
    ("group", "writes", "reads"),
    [
        ("operator", True, True),
        ("approver", False, True),
        ("auditor", False, True),
        ("viewer", False, True),
        (None, False, False),
    ],
)
def test_operators_may_do_what_their_groups_may(
    new_operator: Callable[..., Any], group: str | None, writes: bool, reads: bool
) -> None:
    _, api = new_operator("otto", *([group] if group else []))
    assert (api.call("GET /admin/create-user?name=x").status_code == 200) is writes
    assert (api.call("GET /admin/list-all-system-keys").status_code == 200) is reads
