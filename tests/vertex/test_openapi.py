"""The OpenAPI document describes every route, its errors included, and the page that shows it needs nobody else."""

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.http import HttpResponse
from django.test import Client
from drf_spectacular.validation import validate_schema

from tests import contract
from tests.api import Api
from vertex.errors import ERROR_STATUS
from vertex.openapi import refuses

# What creates something, and what of it takes a protocol or a worker.
CREATING = {
    route.replace("{s}", scheme)
    for scheme in ("ecdsa", "ed25519", "bip340")
    for route in (
        "get /{s}/create",
        "post /{s}/keygen",
        "post /{s}/sign",
        "post /{s}/batch-sign",
        "post /{s}/refresh",
        "post /{s}/reshare/existing-party",
        "post /{s}/reshare/new-party",
        "post /{s}/reshare/departing-party",
        "delete /{s}/delete-key-share/{key_id}",
        "post /{s}/import/key-importer",
        "post /{s}/import/import-key-share-recipient",
        "post /{s}/backup/import-key-share",
    )
} | {"post /keys/{key_id}/agree"}
# What answers with a secret, which no later call may repeat: never asynchronous.
GIVING_OUT = {
    route.replace("{s}", scheme)
    for scheme in ("ecdsa", "ed25519", "bip340")
    for route in ("post /{s}/export/full", "get /{s}/backup/export-key-share/{key_id}")
}
CREATING_AT_ONCE = {
    "post /admin/policies/add-built-in-rule",
    "post /admin/policies/add-external-rule",
    "post /admin/policies/create-policy",
    "post /create-room",
    "get /admin/create-user",
    "get /admin/generate-api-key",
    "post /webhooks",
}
CHECKED_IN = Path(__file__).resolve().parent.parent.parent / "docs" / "openapi.json"


def test_the_document_is_made_without_a_warning() -> None:
    call_command("spectacular", "--format=openapi-json", "--validate", "--fail-on-warn", stdout=StringIO())


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    response = Client().get("/schema")
    assert response.status_code == 200
    return dict(json.loads(response.content))


def test_the_file_is_what_a_vertex_serves() -> None:
    assert CHECKED_IN.read_bytes() == Client().get("/schema").content, "run `make schema` and look at what changed"


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    paths = document["paths"].items()
    return {f"{method} {path}": operation for path, methods in paths for method, operation in methods.items()}


def served() -> set[str]:
    """Every operation that a view of the API answers."""
    found = set()
    for path, route in contract.routes():
        view = route.callback.view_class
        names = [name for name in view.http_method_names if name != "options" and hasattr(view, name)]
        found |= {f"{name} {path}" for name in names}
    return found


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    validate_schema(document)
    assert operations(document).keys() == served() - {"get /docs"}
    tags = {tag["name"] for tag in document["tags"]}
    assert {tag for operation in operations(document).values() for tag in operation["tags"]} == tags


def types_of(operation: dict[str, Any]) -> set[str]:
    """The error types that an operation answers with status 400."""
    [_, narrowed] = operation["responses"]["400"]["content"]["application/json"]["schema"]["allOf"]
    return set(narrowed["properties"]["err_type"]["enum"])


def test_an_operation_has_its_own_errors(document: dict[str, Any]) -> None:
    found = operations(document)
    for operation in found.values():
        assert all(ERROR_STATUS[name] == 400 for name in types_of(operation))
    assert types_of(found["get /version"]) == {"bad_request_params"}
    assert types_of(found["get /audit/events"]) == {"bad_request_params", "you_have_to_be_admin"}
    derive = {"bad_request_params", "key_id_not_exists", "key_operation_before_keygen"}
    assert types_of(found["post /ecdsa/derive-pubkey"]) == derive
    sign = derive | {"executor_result", "reshare_conflict", "reshare_not_complete", "share_erased", "share_superseded"}
    sign |= {"policy_validation_failed"}
    assert types_of(found["post /ed25519/sign"]) == sign
    assert set(document["components"]["schemas"]["ErrTypeEnum"]["enum"]) == set(ERROR_STATUS)


@pytest.mark.parametrize(
    ("route", "statuses"),
    [
        ("get /version", "200 400 413 500"),
        ("get /health/ready", "200 400 413 500 503"),
        ("get /keys/{key_id}", "200 400 401 413 429 500 503"),
        ("get /operations/{operation_id}", "200 400 401 404 413 429 500 503"),
        ("post /ecdsa/sign", "200 202 400 401 413 415 429 500 503"),
        ("delete /ecdsa/delete-key-share/{key_id}", "200 202 400 401 404 413 415 429 500 503"),
        ("get /audit/head", "200 202 400 401 413 429 500 503"),
    ],
)
def test_an_operation_has_the_statuses_that_it_can_answer(document: dict[str, Any], route: str, statuses: str) -> None:
    assert set(operations(document)[route]["responses"]) == set(statuses.split())


def test_headers_of_answers(document: dict[str, Any]) -> None:
    answers = operations(document)["get /ecdsa/create"]["responses"]
    assert answers["200"]["headers"].keys() == {"Cache-Control", "X-Request-Id"}
    assert answers["202"]["headers"].keys() == {"Cache-Control", "X-Request-Id", "Location"}
    shared = document["components"]["responses"]
    assert "Retry-After" in shared["NotReady"]["headers"]
    assert "WWW-Authenticate" in shared["AccessDenied"]["headers"]


def test_an_error_type_that_is_none_of_the_contract_can_not_be_declared() -> None:
    with pytest.raises(ValueError, match="no_such_type"):
        refuses("no_such_type")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"status": 418}, "undocumented status"),
        ({"headers": {"Content-Type": "application/json"}}, "Cache-Control"),
        ({"content": {"err_msg": "m", "err_type": "share_erased"}}, "share_erased"),
        ({"content": {"err_msg": "m"}}, "err_type"),
        ({"content": {"err_msg": "m", "err_type": "bad_request_params", "more": 1}}, "more"),
    ],
)
def test_answers_of_all_tests_are_held_against_it(change: dict[str, Any], complaint: str) -> None:
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store", "X-Request-Id": "1"}
    parts = {"status": 400, "headers": headers, "content": {"err_msg": "m", "err_type": "bad_request_params"}}

    def answer(parts: dict[str, Any]) -> HttpResponse:
        return HttpResponse(json.dumps(parts["content"]), status=parts["status"], headers=parts["headers"])

    contract.check("GET", "/keys", answer(parts))
    with pytest.raises(AssertionError, match=complaint):
        contract.check("GET", "/keys/?limit=1", answer(parts | change))


def test_open_routes_say_so_and_others_need_the_header(document: dict[str, Any]) -> None:
    found = operations(document)
    assert found["post /ecdsa/sign"]["security"] == [{"token": []}]
    assert found["get /health/live"].get("security", [{}]) == [{}]
    assert document["components"]["securitySchemes"]["token"]["name"] == "Authorization"


def test_fields_of_a_request_are_described(document: dict[str, Any]) -> None:
    keygen = document["components"]["schemas"]["KeygenRequest"]
    assert set(keygen["required"]) == {"key_id", "room_uuid", "num_parties", "threshold"}
    assert {"others_keygen_ids", "keygen_ids", "relay_address"} <= set(keygen["properties"])


def test_the_page_loads_nothing_from_elsewhere(nobody: Api) -> None:
    page = nobody.call("GET /docs")
    assert page.status_code == 200
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.content.decode())
    assert any("swagger-ui" in source for source in sources)
    assert all(source.startswith("/") for source in sources)
    assert "script-src 'self';" in page.headers["Content-Security-Policy"]
    assert '"validatorUrl": null' in nobody.call("GET /docs?script=").content.decode()
    script = next(source for source in sources if source.endswith("bundle.js"))
    assert nobody.call(f"GET {script}").status_code == 200


def test_bodies_of_a_signature_are_described_scheme_by_scheme(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    shared = {"key_id", "room_uuid", "relay_address", "msg", "derivation_path", "extra_data"}
    assert set(schemas["EcdsaSignRequest"]["properties"]) == shared | {"hash_algo"}
    assert set(schemas["Ed25519SignRequest"]["properties"]) == shared
    assert set(schemas["Bip340SignRequest"]["properties"]) == shared | {"tweak"}
    assert set(schemas["Bip340SignRequest"]["required"]) == {"key_id", "room_uuid", "msg"}
    assert set(schemas["Bip340DeriveRequest"]["properties"]) == {"key_id", "derivation_path", "tweak"}
    found = operations(document)
    for scheme in ("ed25519", "bip340"):
        answer = found[f"post /{scheme}/sign"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert answer == {"$ref": "#/components/schemas/SchnorrAnswer"}


def test_what_creates_takes_an_idempotency_key_and_what_waits_a_preference(document: dict[str, Any]) -> None:
    found = operations(document)
    headers = {
        route: {each["name"] for each in operation.get("parameters", ()) if each["in"] == "header"}
        for route, operation in found.items()
    }
    keyed = {route for route, names in headers.items() if "Idempotency-Key" in names}
    assert keyed == CREATING | CREATING_AT_ONCE | GIVING_OUT
    assert {route for route, names in headers.items() if "Prefer" in names} == CREATING | {"get /audit/head"}
    assert {route for route, operation in found.items() if "202" in operation["responses"]} == CREATING | {
        "get /audit/head"
    }
