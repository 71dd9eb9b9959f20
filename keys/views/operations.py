"""GET /operations/{id}: where an asynchronous call stands."""

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from keys.auth import principal_in, user_in
from keys.models import Operation
from keys.serializers.answers import OperationAnswer
from keys.views.base import ApiView, id_or_404
from vertex.openapi import refuses


class OperationView(ApiView):
    """GET /operations/{id}"""

    @refuses("not_found")
    @extend_schema(responses=OperationAnswer)
    def get(self, request: Request, operation_id: str) -> Response:
        """State and result of a call; its caller's and admins' to see."""
        visible = Operation.objects.all()
        if principal_in(request).kind == "user":
            visible = visible.filter(user=user_in(request))
        operation = visible.filter(id=id_or_404(operation_id)).first()
        if operation is None:
            raise Http404
        failed = operation.state == Operation.State.FAILED
        return Response(
            {
                "operation_id": str(operation.id),
                "action": operation.action,
                "state": operation.state,
                "status": operation.status,
                "result": None if failed else operation.result,
                "error": operation.result if failed else None,
                "created_at": operation.created_at,
                "finished_at": operation.finished_at,
            }
        )
