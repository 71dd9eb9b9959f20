"""/audit: the event log and its signed head; and the key that signs it."""

from datetime import datetime
from urllib.parse import urlencode

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from audit import selectors
from keys import node, operations
from keys.heads import head_data, head_request
from keys.models import Operation
from keys.selectors import READERS
from keys.serializers.answers import EventListAnswer, HeadAnswer
from keys.serializers.people import EventsSerializer
from keys.views.admin import AdminView
from keys.views.base import ApiView, valid
from vertex.errors import ApiError
from vertex.openapi import PREFER, Accepted, refuses


class Events(AdminView):
    """GET /audit/events"""

    operator_groups = READERS

    @extend_schema(parameters=[EventsSerializer], responses=EventListAnswer)
    def get(self, request: Request) -> Response:
        """The event log in order of `seq`; each `hash` covers the event and the one before it."""
        page = valid(EventsSerializer, request.query_params.dict())
        found = selectors.events(**page | {"limit": page["limit"] + 1})
        events = found[: page["limit"]]
        following = None
        if len(found) > len(events):
            query = {name: value for name, value in {**page, "after": events[-1].seq}.items() if value != ""}
            following = f"/audit/events?{urlencode(query)}"
        results = [
            {
                "seq": event.seq,
                "time": event.time,
                "action": event.action,
                "actor": event.actor,
                "subject": event.subject,
                "data": event.data,
                "previous": bytes(event.previous).hex(),
                "hash": bytes(event.hash).hex(),
            }
            for event in events
        ]
        return Response({"results": results, "next": following})


class Head(AdminView):
    """GET /audit/head"""

    operator_groups = READERS

    @refuses("executor_result")
    @extend_schema(parameters=[PREFER], responses={200: HeadAnswer, 202: Accepted()})
    def get(self, request: Request) -> Response:
        """The end of the chain, signed by this vertex's ES256 key; a worker signs it when it is new."""
        if (head := selectors.current_head()) is not None:
            return Response(head_data(head))

        def start(operation: Operation, deadline: datetime) -> None:
            head_request(operation=operation)

        return operations.perform(request, action="audit.head", start=start)


class IdentityPubkey(ApiView):
    """GET /identity-pubkey"""

    authentication_classes = ()
    permission_classes = ()

    @refuses("not_ready")
    @extend_schema(responses={(200, "application/x-pem-file"): str}, auth=[])
    def get(self, request: Request) -> HttpResponse:
        """The vertex's ES256 public key (PEM), which signs audit heads and requests to rule servers."""
        pem = node.public_pem()
        if pem is None:
            raise ApiError("not_ready", "no worker has made this vertex's key yet")
        return HttpResponse(pem, content_type="application/x-pem-file")
