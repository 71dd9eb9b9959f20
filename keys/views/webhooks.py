"""/webhooks: who is told of events. A user manages its own endpoints, operators those that are told of everything."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from keys import operations
from keys.auth import principal_in
from keys.models import WebhookDelivery, WebhookEndpoint
from keys.selectors import READERS
from keys.serializers.fields import PageSerializer
from keys.serializers.webhooks import (
    DeliveryListAnswer,
    NewWebhookAnswer,
    WebhookAnswer,
    WebhookListAnswer,
    WebhookSerializer,
)
from keys.views.base import ApiView, id_or_404, paged, valid
from keys.webhooks import endpoints
from vertex.errors import ApiError
from vertex.openapi import IDEMPOTENCY_KEY, Empty, Text, refuses


class WebhookView(ApiView):
    """What the routes share: which endpoints a caller sees, and that a look takes less than a change."""

    def seen(self, request: Request) -> QuerySet[WebhookEndpoint]:
        """A user's own; all for operators who may look, or, where something is changed, manage."""
        principal = principal_in(request)
        rows = WebhookEndpoint.objects.all()
        if principal.user is not None:
            return rows.filter(user=principal.user)
        if not principal.in_groups(READERS if request.method == "GET" else frozenset({"operator"})):
            raise ApiError("you_have_to_be_admin", "webhooks are managed by operators")
        return rows

    def endpoint(self, request: Request, webhook_id: str) -> WebhookEndpoint:
        """One of them; another's is as unknown as none."""
        found = self.seen(request).filter(id=id_or_404(webhook_id)).first()
        if found is None:
            raise Http404
        return found


def _shown(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {
        "webhook_id": str(endpoint.id),
        "url": endpoint.url,
        "events": endpoint.events,
        "user_id": str(endpoint.user_id) if endpoint.user_id else None,
        "created_at": endpoint.created_at.isoformat(),
        "disabled_at": endpoint.disabled_at,
    }


def _line(delivery: WebhookDelivery) -> dict[str, Any]:
    pending = delivery.state == WebhookDelivery.State.PENDING
    return {
        "delivery_id": str(delivery.id),
        "event": delivery.event,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "next_at": delivery.next_at if pending else None,
        "status": delivery.status,
        "error": delivery.error,
        "created_at": delivery.created_at,
        "finished_at": delivery.finished_at,
    }


class Webhooks(WebhookView):
    """GET, POST /webhooks"""

    @refuses("you_have_to_be_admin")
    @extend_schema(parameters=[PageSerializer], responses=WebhookListAnswer)
    def get(self, request: Request) -> Response:
        """The caller's endpoints, all for admins; in order of creation."""
        return paged(request, self.seen(request), _shown)

    @refuses("you_have_to_be_admin")
    @extend_schema(request=WebhookSerializer, parameters=[IDEMPOTENCY_KEY], responses={200: NewWebhookAnswer})
    def post(self, request: Request) -> Response:
        """A new endpoint, and the secret that its messages are signed with, shown this once. A user's is told of that
        user's keys, an admin's of everything."""
        self.seen(request)
        fields = valid(WebhookSerializer, request.data)
        principal = principal_in(request)

        def make() -> tuple[dict[str, Any], dict[str, Any]]:
            endpoint, secret = endpoints.endpoint_create(
                url=fields["url"], events=fields.get("events", []), user=principal.user, actor=principal.actor
            )
            return {**_shown(endpoint), "secret": secret}, _shown(endpoint)

        return operations.once(request, action="webhook.create", make=make)


class Webhook(WebhookView):
    """GET, DELETE /webhooks/{id}"""

    @refuses("you_have_to_be_admin", "not_found")
    @extend_schema(responses=WebhookAnswer)
    def get(self, request: Request, webhook_id: str) -> Response:
        """An endpoint, without its secret."""
        return Response(_shown(self.endpoint(request, webhook_id)))

    @refuses("you_have_to_be_admin", "not_found")
    @extend_schema(responses={200: Empty})
    def delete(self, request: Request, webhook_id: str) -> Response:
        """Remove an endpoint; what it has not been told yet is never sent."""
        endpoints.endpoint_delete(endpoint=self.endpoint(request, webhook_id), actor=principal_in(request).actor)
        return Response({})


class Deliveries(WebhookView):
    """GET /webhooks/{id}/deliveries"""

    @refuses("you_have_to_be_admin", "not_found")
    @extend_schema(parameters=[PageSerializer], responses=DeliveryListAnswer)
    def get(self, request: Request, webhook_id: str) -> Response:
        """What it was told, or is still to be told; in order of creation, for 30 days."""
        return paged(request, self.endpoint(request, webhook_id).deliveries.all(), _line)


class TestDelivery(WebhookView):
    """POST /webhooks/{id}/test"""

    @refuses("you_have_to_be_admin", "not_found")
    @extend_schema(request=None, responses={200: Text("delivery_id")})
    def post(self, request: Request, webhook_id: str) -> Response:
        """Send a message that tells nothing."""
        delivery = endpoints.endpoint_test(endpoint=self.endpoint(request, webhook_id))
        return Response({"delivery_id": str(delivery.id)})
