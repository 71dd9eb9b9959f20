"""The OpenAPI document: what every operation has in common."""

from functools import cache
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, inline_serializer
from rest_framework import serializers

from vertex.errors import ERROR_STATUS


class ErrorSerializer(serializers.Serializer[Any]):
    """What every failure answers."""

    err_msg = serializers.CharField(help_text="For people; it may change.")
    err_type = serializers.ChoiceField(choices=sorted(ERROR_STATUS), help_text="For programs.")


@cache
def Text(*names: str) -> serializers.Serializer[Any]:
    """A documented answer of a few strings."""
    title = "".join(part.title() for name in names for part in name.split("_"))
    return inline_serializer(f"{title}Answer", {name: serializers.CharField() for name in names})


class Empty(serializers.Serializer[Any]):
    """`{}`: it was done."""


@cache
def Accepted() -> OpenApiResponse:
    """202: begun."""
    return OpenApiResponse(Text("operation_id"), description="Begun; `Location` says where its state is.")


PREFER = OpenApiParameter(
    "Prefer",
    str,
    OpenApiParameter.HEADER,
    description="`respond-async`: 202 and a `Location` at once. `wait=<seconds>`: how long the protocol may take.",
)
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="Same key and body: the same answer, without the secret in it. Same key, another body: refused.",
)
_DESCRIPTIONS = {
    400: "Refused; `err_type` says why",
    401: "`access_denied`: no valid token",
    404: "`not_found`",
    405: "`method_not_allowed`",
    413: "The body is too large",
    415: "The body is not JSON",
    429: "`too_many_requests`",
    500: "`internal_problem`",
    503: "`not_ready`",
}


class ContractSchema(AutoSchema):
    """Adds the contract's errors to every operation."""

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        answers: dict[str, Any] = super()._get_response_bodies(direction)
        for code, description in _DESCRIPTIONS.items():
            error = OpenApiResponse(ErrorSerializer, description=description)
            answers.setdefault(str(code), self._get_response_for_code(error, str(code), direction=direction))
        return answers


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
