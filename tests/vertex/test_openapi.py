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

ROUTES = {
    "get /ecdsa/create",
    "post /ecdsa/keygen",
    "post /ecdsa/sign",
    "post /ecdsa/derive-pubkey",
    "get /ecdsa/export/exportId/{key_id}",
    "get /ecdsa/export-id/{key_id}",
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
    "post /ecdsa/reshare/existing-party",
    "post /ecdsa/reshare/new-party",
    "post /ecdsa/reshare/departing-party",
    "post /ecdsa/refresh",
    "get /reshares",
}


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
