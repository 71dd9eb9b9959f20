"""The OpenAPI document: what every operation has in common, and which errors each of them may answer.

An operation's error types are declared beside its handler (`refuses`) or follow from its view (`refusals`); its
statuses follow from them.
"""

import re
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, inline_serializer
from rest_framework import serializers
from rest_framework.views import APIView

from vertex.auth import IsAdmin
from vertex.errors import ERROR_STATUS

F = TypeVar("F", bound=Callable[..., Any])

_HEADERS: dict[str, dict[str, Any]] = {
    "Cache-Control": {"description": "Some GETs create.", "schema": {"type": "string", "const": "no-store"}},
    "X-Request-Id": {
        "description": "The caller's, or a new one; in logs too.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    },
    "Location": {
        "description": "Where the operation's state is.",
        "schema": {"type": "string", "pattern": "^/operations/[0-9a-f-]{36}$"},
    },
    "Retry-After": {"description": "Seconds.", "schema": {"type": "string", "pattern": "^[0-9]+$"}},
    "WWW-Authenticate": {"schema": {"type": "string", "const": "Bearer"}},
}
_ALWAYS = ("Cache-Control", "X-Request-Id")
_FURTHER = {"202": "Location", "401": "WWW-Authenticate", "429": "Retry-After", "503": "Retry-After"}
# `{}`: it was done. As a schema: drf-spectacular takes a serializer without fields for no answer at all.
Empty: dict[str, Any] = {"type": "object", "maxProperties": 0, "description": "It was done."}
# Statuses but 400 have one type each; their answers are the same everywhere.
_SHARED = {
    "401": ("AccessDenied", "access_denied", "No valid token"),
    "404": ("NotFound", "not_found", "Nothing by that name, or none that the caller may see"),
    "413": ("TooLarge", "bad_request_params", "The body is too large"),
    "415": ("NotJson", "bad_request_params", "The body is not JSON"),
    "429": ("TooManyRequests", "too_many_requests", "Too many requests"),
    "500": ("InternalProblem", "internal_problem", "Something went wrong inside this vertex"),
    "503": ("NotReady", "not_ready", "A part of this vertex does not answer, or too many calls wait"),
}
_TAGS = {
    "create-room": "rooms",
    "approvals": "policies",
    "identity-pubkey": "audit",
    "version": "health",
    "metrics": "health",
}


class ErrorSerializer(serializers.Serializer[Any]):
    """What every failure answers."""

    err_msg = serializers.CharField(help_text="For people; it may change.")
    err_type = serializers.ChoiceField(choices=sorted(ERROR_STATUS), help_text="For programs.")


@cache
def Text(*names: str) -> serializers.Serializer[Any]:
    """A documented answer of a few strings."""
    title = "".join(part.title() for name in names for part in name.split("_"))
    return inline_serializer(f"{title}Answer", {name: serializers.CharField() for name in names})


class AcceptedAnswer(serializers.Serializer[Any]):
    """Begun."""

    operation_id = serializers.UUIDField()


@cache
def Accepted() -> OpenApiResponse:
    """202: begun."""
    return OpenApiResponse(AcceptedAnswer, description="Begun, as `Prefer: respond-async` asks")


PREFER = OpenApiParameter(
    "Prefer",
    str,
    OpenApiParameter.HEADER,
    description="`respond-async`: 202 and a `Location` at once. `wait=<seconds>`: how long the protocol may take.",
)
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "pattern": "^[!-~]([ -~]{0,198}[!-~])?$"},
    OpenApiParameter.HEADER,
    description="Same key and body: the same answer, without the secret in it. Same key, another body: refused.",
)


def refuses(*err_types: str) -> Callable[[F], F]:
    """Declares what a view's method may answer besides what `refusals` knows of every operation."""
    unknown = set(err_types) - ERROR_STATUS.keys()
    if unknown:
        raise ValueError(f"no error types of the contract: {sorted(unknown)}")

    def declared(handler: F) -> F:
        handler.refusals = frozenset(err_types)  # type: ignore[attr-defined]
        return handler

    return declared


def refusals(view: APIView, method: str) -> frozenset[str]:
    """All error types that an operation may answer: those that its method declares, and what follows from its view."""
    found = {"bad_request_params", "internal_problem", *getattr(getattr(view, method.lower()), "refusals", ())}
    if view.authentication_classes:
        found |= {"access_denied", "not_ready"}
    if IsAdmin in view.permission_classes:
        found.add("you_have_to_be_admin")
    if view.throttle_classes:
        found.add("too_many_requests")
    return frozenset(found)


class ContractSchema(AutoSchema):
    """Operations of the contract: stable names, their own errors, headers."""

    def get_operation_id(self) -> str:
        """`post_ecdsa_sign`: method and path, which no other operation shares."""
        return "_".join([self.method.lower(), *re.findall(r"[A-Za-z0-9]+", self.path)])

    def get_tags(self) -> list[str]:
        """The first part of the path, or what it is grouped under."""
        first = self.path.split("/")[1]
        return [_TAGS.get(first, first)]

    def _resolve_path_parameters(self, variables: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = super()._resolve_path_parameters(variables)
        for parameter in found:
            if parameter["name"].endswith("_id"):
                parameter["schema"] = {"type": "string", "format": "uuid"}
        return found

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        answers: dict[str, Any] = super()._get_response_bodies(direction)
        error = self.resolve_serializer(ErrorSerializer, direction).ref
        types = refusals(self.view, self.method)
        refused = sorted(name for name in types if ERROR_STATUS[name] == 400)
        answers["400"] = _refused(error, refused)
        statuses = {str(ERROR_STATUS[name]) for name in types} | {"413"}
        if self.method != "GET":
            statuses.add("415")
        shared = {status: {"$ref": f"#/components/responses/{name}"} for status, (name, *_) in _SHARED.items()}
        answers |= {status: shared[status] for status in sorted(statuses & shared.keys())}
        return answers

    def _get_response_headers_for_code(self, status_code: str, direction: Any = "response") -> dict[str, Any]:
        return _headers(status_code)

    def _map_serializer_field(self, field: Any, direction: Any, bypass_extensions: bool = False) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_serializer_field(field, direction, bypass_extensions)
        if isinstance(field, serializers.ListSerializer) and not field.allow_empty:
            schema = {**schema, "minItems": 1}
        return schema

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_basic_serializer(serializer, direction)
        return schema | getattr(serializer, "further_schema", {})


def _headers(status: str) -> dict[str, Any]:
    names = (*_ALWAYS, _FURTHER[status]) if status in _FURTHER else _ALWAYS
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _refused(error: dict[str, Any], types: list[str]) -> dict[str, Any]:
    schema = {"allOf": [error, {"type": "object", "properties": {"err_type": {"enum": types}}}]}
    return {
        "headers": _headers("400"),
        "content": {"application/json": {"schema": schema}},
        "description": "Refused; `err_type` says why",
    }


def complete(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular's hook for a document that is done: the shared parts, and what an operation's result may be."""
    error = {"$ref": "#/components/schemas/Error"}
    components = result["components"]
    components["headers"] = {name: {"required": True, **header} for name, header in _HEADERS.items()}
    components["responses"] = {
        name: _refused(error, [err_type]) | {"headers": _headers(status), "description": text}
        for status, (name, err_type, text) in _SHARED.items()
    }
    results: dict[str, Any] = defaultdict(dict)
    for methods in result["paths"].values():
        for operation in methods.values():
            remembered = any(each.get("name") == "Idempotency-Key" for each in operation.get("parameters", ()))
            if remembered or "202" in operation["responses"]:
                schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
                results[str(sorted(schema.items()))] = schema
    shown = components["schemas"].get("OperationAnswer", {"properties": {}})["properties"]
    shown |= {
        "result": {"anyOf": [*(results[name] for name in sorted(results)), {"type": "null"}]},
        "error": {"anyOf": [error, {"type": "null"}]},
    }
    return result


class TokenScheme(OpenApiAuthenticationExtension):
    """The `Authorization` header."""

    target_class = "keys.auth.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "An API user's key; for `/admin` and votes the admin token or an operator's.",
        }


class MetricsTokenScheme(TokenScheme):
    """The scraper's token, in the same header."""

    target_class = "vertex.metrics.MetricsTokenAuthentication"
    name = "metrics"
