"""The OpenAPI document describes every route, its errors included, and the page that shows it needs nobody else."""

import json
import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from drf_spectacular.validation import validate_schema

from tests.api import Api
from vertex.errors import ERROR_STATUS

OF_EVERY_SCHEME = (
    "get /{s}/create",
    "post /{s}/keygen",
    "post /{s}/sign",
    "get /{s}/export/exportId/{key_id}",
    "get /{s}/export-id/{key_id}",
    "post /{s}/reshare/existing-party",
    "post /{s}/reshare/new-party",
    "post /{s}/reshare/departing-party",
    "post /{s}/refresh",
)
ROUTES = {route.replace("{s}", scheme) for route in OF_EVERY_SCHEME for scheme in ("ecdsa", "ed25519", "bip340")} | {
    "post /ecdsa/derive-pubkey",
    "post /ed25519/derive-pubkey",
    "post /bip340/derive-tweak-pubkey",
    "get /keys",
    "get /keys/{key_id}",
    "post /create-room",
    "get /admin/create-user",
    "get /admin/generate-api-key",
    "delete /admin/revoke-api-key",
    "delete /admin/delete-user",
    "get /admin/list-all-system-keys",
    "get /admin/list-all-user-keys",
    "get /operations/{operation_id}",
    "get /identity-pubkey",
    "get /audit/events",
    "get /audit/head",
    "get /health/live",
    "get /health/ready",
    "get /version",
    "get /metrics",
    "get /reshares",
    "get /operations",
    "get /admin/list-users",
    "get /admin/list-api-keys",
    "get /webhooks",
    "post /webhooks",
    "get /webhooks/{webhook_id}",
    "delete /webhooks/{webhook_id}",
    "get /webhooks/{webhook_id}/deliveries",
    "post /webhooks/{webhook_id}/test",
}
# What creates something, and what of it takes a protocol or a worker.
CREATING = {
    route.replace("{s}", scheme)
    for scheme in ("ecdsa", "ed25519", "bip340")
    for route in (
        "get /{s}/create",
        "post /{s}/keygen",
        "post /{s}/sign",
        "post /{s}/refresh",
        "post /{s}/reshare/existing-party",
        "post /{s}/reshare/new-party",
        "post /{s}/reshare/departing-party",
        "delete /{s}/delete-key-share/{key_id}",
    )
}
CREATING_AT_ONCE = {"post /create-room", "get /admin/create-user", "get /admin/generate-api-key", "post /webhooks"}


def test_the_document_is_made_without_a_warning() -> None:
    call_command("spectacular", "--format=openapi-json", "--validate", "--fail-on-warn", stdout=StringIO())


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    response = Client().get("/schema")
    assert response.status_code == 200
    return dict(json.loads(response.content))


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    paths = document["paths"].items()
    return {f"{method} {path}": operation for path, methods in paths for method, operation in methods.items()}


def test_every_route_is_described(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    validate_schema(document)
    assert operations(document).keys() >= ROUTES


def test_every_operation_has_the_contracts_errors(document: dict[str, Any]) -> None:
    for route, operation in operations(document).items():
        for status in ("400", "401", "404", "500", "503"):
            content = operation["responses"][status]["content"]
            assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}, (route, status)
    types = document["components"]["schemas"]["ErrTypeEnum"]["enum"]
    assert set(types) == set(ERROR_STATUS)


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
    assert {route for route, names in headers.items() if "Idempotency-Key" in names} == CREATING | CREATING_AT_ONCE
    assert {route for route, names in headers.items() if "Prefer" in names} == CREATING | {"get /audit/head"}
    assert {route for route, operation in found.items() if "202" in operation["responses"]} == CREATING
