"""What the views share."""

from collections.abc import Callable
from typing import Any, TypeVar, cast
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Model, QuerySet
from django.http import Http404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from keys.selectors import page_after
from keys.serializers.fields import PageSerializer
from vertex.errors import ApiError

M = TypeVar("M", bound=Model | dict[str, Any])


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


def paged(
    request: Request,
    rows: QuerySet[Any, M],
    shown: Callable[[M], dict[str, Any]],
    *,
    serializer: type[Serializer[Any]] = PageSerializer,
    **kept: str,
) -> Response:
    """`?limit=&after=` of rows that have a `created_at`, as ``{"results", "next"}``; ``kept`` stays in `next`."""
    page = valid(serializer, request.query_params.dict())
    found, after = page_after(rows, after=page.get("after"), limit=page["limit"])
    query = urlencode({**kept, "after": str(after), "limit": page["limit"]})
    return Response({"results": list(map(shown, found)), "next": f"{request.path_info}?{query}" if after else None})
