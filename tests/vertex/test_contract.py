"""What holds for every route: forms of errors, request ids, no caching, limits, trailing slashes."""

import json
import re
from typing import Any

import pytest

from keys.views.keys import Keys
from tests.api import Api, error_of
from vertex.errors import ApiError

ROOM = "POST /create-room"


@pytest.mark.parametrize(
    ("route", "status", "err_type"),
    [
        ("GET /no/such/route", 404, "not_found"),
        ("GET /", 404, "not_found"),
        ("GET /rsa/create", 404, "not_found"),
        ("POST /bip340/derive-pubkey", 404, "not_found"),
        ("GET /ECDSA/create", 404, "not_found"),
        ("GET /ecdsa/sign", 405, "method_not_allowed"),
        ("PUT /keys", 405, "method_not_allowed"),
        ("PATCH /operations/x", 405, "method_not_allowed"),
        ("OPTIONS /ecdsa/create", 405, "method_not_allowed"),
        ("TRACE /keys", 405, "method_not_allowed"),
        ("GET /operations/not-a-uuid", 404, "not_found"),
        ("GET /operations/00000000-0000-4000-8000-000000000000", 404, "not_found"),
    ],
)
def test_wrong_routes_and_methods(alice: Api, route: str, status: int, err_type: str) -> None:
    response = alice.call(route)
    assert error_of(response) == (status, err_type)
    assert response["Content-Type"] == "application/json"


def test_head_creates_nothing(alice: Api) -> None:
    assert alice.call("HEAD /ecdsa/create").status_code == 405


@pytest.mark.parametrize("path", ["/keys", "/keys/", "/keys//"])
def test_paths_work_with_and_without_a_trailing_slash(alice: Api, path: str) -> None:
    assert alice.call(f"GET {path}").status_code == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"1",
        b'{"room_size": NaN}',
        b'{"room_size": Infinity}',
        b'{"room_size": 1e999}',
        b'{"room_size": ' + b"9" * 5000 + b"}",
        b'{"room_size": 2, "x": "\\u0000"}',
        b'{"room_size": 2, "x": "\\ud800"}',
        b'{"room_size": 2, "x": "\\ud800 and on"}',
        b'{"room_size": 2, "x": "\xff"}',
        b'{"room_size": 2} trailing',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b'{"room_size": 3, "room_size": 2}',
        b'{"room_size": 2, "x": [{"a": {"b": 1, "\\u0062": 2}}]}',
        b'{"room_size": 2, "x": ' + b"[" * 32 + b"]" * 32 + b"}",
        b'{"room_size": 2, "x": ' + b'{"a":' * 32 + b"1" + b"}" * 33,
        b'{"x": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b"room_size=2",
    ],
    ids=lambda raw: repr(raw[:24]),
)
def test_bodies_that_are_no_strict_json_object(alice: Api, raw: bytes) -> None:
    assert error_of(alice.call(ROOM, raw=raw)) == (400, "bad_request_params")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "a"]
)
def test_other_media_types(alice: Api, content_type: str) -> None:
    response = alice.call(ROOM, raw=b'{"room_size": 2}', content_type=content_type)
    assert error_of(response) == (415, "bad_request_params")


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "nonsense"])
def test_answers_are_json_whatever_is_accepted(alice: Api, accept: str) -> None:
    response = alice.call("GET /keys", accept=accept)
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")


def test_a_body_over_the_limit_is_refused_unread(alice: Api, settings: Any) -> None:
    settings.VERTEX_MAX_BODY = 100
    body = b'{"room_size": 2, "x": "' + b"x" * 100 + b'"}'
    assert error_of(alice.call(ROOM, raw=body)) == (413, "bad_request_params")


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "٣"])
def test_a_content_length_that_is_no_number(alice: Api, length: str) -> None:
    assert error_of(alice.call("GET /keys", content_length=length)) == (400, "bad_request_params")


def test_nothing_is_cached_and_requests_have_ids(alice: Api, nobody: Api) -> None:
    for caller, route in [(alice, "GET /keys"), (nobody, "GET /keys"), (nobody, "GET /x"), (nobody, "GET /console/")]:
        response = caller.call(route)
        assert response["Cache-Control"] == "no-store"
        assert re.fullmatch("[0-9a-f]{32}", response["X-Request-Id"])


@pytest.mark.parametrize(("given", "kept"), [("abc-1.2_3", True), ("x" * 65, False), ("a b", False), ('"}', False)])
def test_a_callers_request_id_is_kept_if_harmless(alice: Api, given: str, kept: bool) -> None:
    assert (alice.call("GET /keys", x_request_id=given)["X-Request-Id"] == given) is kept


def test_a_host_that_is_not_ours(alice: Api) -> None:
    assert error_of(alice.call("GET /keys", host="evil.example")) == (400, "bad_request_params")


def test_a_failing_view_tells_nothing(alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object, request: object) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(Keys, "get", broken)
    response = alice.call("GET /keys")
    assert error_of(response) == (500, "internal_problem")
    assert b"hunter2" not in response.content


def test_a_busy_vertex_says_when_to_come_back(alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(self: object, request: object) -> None:
        raise ApiError("not_ready", "busy", retry_after=9)

    monkeypatch.setattr(Keys, "get", busy)
    response = alice.call("GET /keys")
    assert error_of(response) == (503, "not_ready")
    assert response["Retry-After"] == "9"


def test_the_console_answers_people(nobody: Api, db: None) -> None:
    response = nobody.call("GET /console/no/such/page")
    assert response["Content-Type"].startswith("text/html") or response.status_code == 302
    assert json.loads(nobody.call("GET /consolex").content)["err_type"] == "not_found"
