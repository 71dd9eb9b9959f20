"""/operations: where asynchronous calls stand."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from keys.auth import principal_in
from keys.models import Operation
from keys.operations import public_result
from keys.selectors import seen_by
from keys.serializers.answers import OperationAnswer, OperationListAnswer
from keys.serializers.fields import PageSerializer
from keys.views.base import ApiView, id_or_404, paged
from vertex.openapi import refuses


def _seen(request: Request) -> QuerySet[Operation]:
    """A caller's own; all for admins and operators who may look."""
    return seen_by(principal_in(request), Operation.objects.all())


def _shown(operation: Operation) -> dict[str, Any]:
    failed = operation.state == Operation.State.FAILED
    return {
        "operation_id": str(operation.id),
        "action": operation.action,
        "state": operation.state,
        "status": operation.status,
        "result": None if failed else public_result(operation),
        "error": operation.result if failed else None,
        "request_id": operation.request_id or None,
        "created_at": operation.created_at,
        "finished_at": operation.finished_at,
    }


class Operations(ApiView):
    """GET /operations"""

    @extend_schema(parameters=[PageSerializer], responses=OperationListAnswer)
    def get(self, request: Request) -> Response:
        """The caller's calls that took a protocol or named an Idempotency-Key, all for admins; in order of creation."""
        return paged(request, _seen(request), _shown)


class OperationView(ApiView):
    """GET /operations/{id}"""

    @refuses("not_found")
    @extend_schema(responses=OperationAnswer)
    def get(self, request: Request, operation_id: str) -> Response:
        """State and result of a call; its caller's and admins' to see."""
        operation = _seen(request).filter(id=id_or_404(operation_id)).first()
        if operation is None:
            raise Http404
        return Response(_shown(operation))
