"""What holds for every request at a running vertex, whatever its route."""

import pytest

from cluster.cluster import Cluster
from tests.cluster.contract import SCHEMES
from tests.cluster.outside import Caller, Party, new_user

REFUSED = (400, "bad_request_params")
MEBIBYTE = 1_048_576  # the limit of a body unless an operator says otherwise


@pytest.mark.parametrize(
    ("route", "error"),
    [
        ("GET /", (404, "not_found")),
        ("GET /nothing", (404, "not_found")),
        ("POST /schnorr/sign", (404, "not_found")),
        ("GET /operations/nothing", (404, "not_found")),
        ("GET /reshares/3b7c2a52-0d5c-4b5e-9a3c-6c8f5d1c2e11", (404, "not_found")),
        ("GET /reshares/" + "00" * 32, (404, "not_found")),
        ("DELETE /keys", (405, "method_not_allowed")),
        ("GET /ecdsa/sign", (405, "method_not_allowed")),
        ("POST /bip340/create", (405, "method_not_allowed")),
        ("PUT /create-room", (405, "method_not_allowed")),
        ("GET /keys?limit=0", REFUSED),
        ("GET /keys?after=x", REFUSED),
        ("GET /keys/nothing", (400, "key_id_not_exists")),
    ],
)
def test_what_is_not_there(unused: list[Party], route: str, error: tuple[int, str]) -> None:
    answer = unused[0].user.call(route)
    assert answer.error == error
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b'{"room_size": NaN}',
        b'{"room_size": 1e400}',
        b'{"room_size": 3, "x": "\xff"}',
        b'{"x": "\\ud800", "room_size": 3}',
        b'{"room_size": "\\u0000"}',
        b"[" * 100_000,
    ],
)
def test_bodies_that_are_not_json(unused: list[Party], body: bytes) -> None:
    answer = unused[0].user.call("POST /create-room", body, content_type="application/json")
    assert answer.error == REFUSED


@pytest.mark.parametrize("size", [None, 0, -1, 2.5, "3", True, 10**30, [3], {}])
def test_rooms_that_can_not_be(unused: list[Party], size: object) -> None:
    assert unused[0].user.call("POST /create-room", {"room_size": size}).error == REFUSED


def test_a_body_of_another_type_or_too_large(cluster: Cluster) -> None:
    # A client of its own: what refuses a body unread ends the connection.
    user, _ = new_user(cluster.vertices[0].url, cluster.vertices[0].admin_token)
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = user.call("POST /create-room", b"room_size=3", content_type=content_type)
        assert answer.error == (415, "bad_request_params")
    fits = b'{"room_size": 3}'.ljust(MEBIBYTE)
    assert user.call("POST /create-room", fits, content_type="application/json").status == 200
    answer = user.call("POST /create-room", fits + b" ", content_type="application/json")
    assert answer.error == (413, "bad_request_params")


def test_a_trailing_slash_and_a_bearer_prefix(cluster: Cluster, unused: list[Party]) -> None:
    first = unused[0]
    told = first.user.ok("GET /keys")
    assert first.user.ok("GET /keys/") == told
    token = Caller(first.user.url, cluster.vertices[0].admin_token).ok(
        f"GET /admin/generate-api-key?user_id={first.user_id}"
    )["api_key"]
    for spelt in (token, f"Bearer {token}"):
        assert Caller(first.user.url, spelt).ok("GET /keys") == told


def test_a_request_keeps_its_id(unused: list[Party]) -> None:
    user = unused[0].user
    assert user.call("GET /keys", x_request_id="mine-1.2").headers["X-Request-Id"] == "mine-1.2"
    made = {user.call("GET /keys", x_request_id=name).headers["X-Request-Id"] for name in ("a b", "x" * 65, "")}
    assert len(made) == 3
    assert not made & {"a b", "x" * 65, ""}


def test_the_same_key_makes_the_same_thing_once(cluster: Cluster, unused: list[Party]) -> None:
    first = unused[0]
    again = {"idempotency_key": "the room of today"}
    made = first.user.ok("POST /create-room", {"room_size": 3}, **again)
    assert first.user.ok("POST /create-room", {"room_size": 3}, **again) == made
    assert first.user.call("POST /create-room", {"room_size": 2}, **again).error == REFUSED
    assert first.user.ok("GET /ecdsa/create", idempotency_key="k") == first.user.ok(
        "GET /ecdsa/create", idempotency_key="k"
    )
    admin = Caller(first.user.url, cluster.vertices[0].admin_token)
    user = admin.ok("GET /admin/create-user", idempotency_key="somebody")
    assert admin.ok("GET /admin/create-user", idempotency_key="somebody") == {"user_id": user["user_id"]}, "no secret"
    for name in ("", "x" * 201, "é"):
        sent = name.encode("latin-1") if name == "é" else name
        assert first.user.call("POST /create-room", {"room_size": 3}, idempotency_key=sent).error == REFUSED


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_wait_that_is_none(unused: list[Party], scheme: str) -> None:
    for wait in ("0", "-1", "x", "1.5", "9" * 12):
        answer = unused[0].user.call(f"GET /{scheme}/create", prefer=f"wait={wait}")
        assert answer.error == REFUSED


def test_open_routes_need_no_token(cluster: Cluster) -> None:
    nobody = Caller(cluster.vertices[0].url, None)
    assert nobody.ok("GET /health/live") == {"status": "live"}
    assert nobody.ok("GET /health/ready") == {"status": "ready"}
    assert set(nobody.ok("GET /version")) == {"version"}
    assert nobody.ok("GET /identity-pubkey").startswith("-----BEGIN PUBLIC KEY-----\n")
    schema = nobody.ok("GET /schema")
    assert schema["openapi"].startswith("3.1")
    page = nobody.ok("GET /docs")
    assert "swagger" in page.lower()
    assert not {part for part in page.split('"') if part.startswith(("http://", "https://", "//"))}, "no CDN"
    assert nobody.call("GET /metrics").error == (401, "access_denied")
    assert "vertex_alarms" in Caller(nobody.url, cluster.vertices[0].admin_token).ok("GET /metrics")
