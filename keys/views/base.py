"""What the views share."""

from typing import Any, cast
from uuid import UUID

from django.http import Http404
from rest_framework.request import Request
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from vertex.errors import ApiError


class ApiView(APIView):
    """A view of the contract. No HEAD: some of its GETs create."""

    http_method_names = ["get", "post", "delete"]


def valid(serializer: type[Serializer[Any]], data: Any) -> dict[str, Any]:
    """The validated fields; raises what becomes `bad_request_params`."""
    checked = serializer(data=data)
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)


def body_or_query(request: Request) -> dict[str, Any]:
    """The fields of a DELETE, which not every client can give a body."""
    return {**request.query_params.dict(), **cast("dict[str, Any]", request.data)}


def key_id_of(text: str) -> UUID:
    """A key id in a path; what is none names no key."""
    try:
        return UUID(text)
    except ValueError as error:
        raise ApiError("key_id_not_exists", "there is no such key") from error


def id_or_404(text: str) -> UUID:
    """An id in a path."""
    try:
        return UUID(text)
    except ValueError as error:
        raise Http404 from error
