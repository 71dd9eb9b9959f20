"""Webhooks in the console: who is told, what was sent, and sending again what was given up."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from unfold.decorators import display

from audit.console import ReadOnlyAdmin
from audit.labels import badge, short
from keys.console.people import actor, each
from keys.models import WebhookDelivery, WebhookEndpoint
from keys.webhooks.endpoints import delivery_retry, endpoint_delete

_ADDRESS = 28  # characters


def _address(endpoint: WebhookEndpoint) -> SafeString:
    """The URL in a line of a list: as much as has room, the whole of it on hover."""
    return format_html('<span title="{}">{}</span>', endpoint.url, Truncator(endpoint.url).chars(_ADDRESS))


class ManagedAdmin(ReadOnlyAdmin):
    """Changed by those who manage users, in whose place they stand."""

    def has_manage_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("keys.add_apikey")


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ManagedAdmin):
    list_display = ["address", "bearer", "state", "wanted", "created_by", "created_at"]
    fields = ["url", "bearer", "state", "wanted", "created_by", "created_at", "disabled_at"]
    readonly_fields = fields
    search_fields = ["url", "user__name"]
    list_select_related = ["user"]
    ordering = ["-created_at"]
    actions = ["remove"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEndpoint]:
        return super().get_queryset(request).defer("sealed_secret")

    @admin.action(description="Remove, with what is still to be sent", permissions=["manage"])
    def remove(self, request: HttpRequest, chosen: QuerySet[WebhookEndpoint]) -> None:
        each(request, chosen, lambda row: endpoint_delete(endpoint=row, actor=actor(request)), "removed")

    @display(description="URL", ordering="url")
    def address(self, endpoint: WebhookEndpoint) -> SafeString:
        return _address(endpoint)

    @display(description="told of")
    def bearer(self, endpoint: WebhookEndpoint) -> str:
        return f"keys of {endpoint.user}" if endpoint.user else "everything"

    @display(description="state")
    def state(self, endpoint: WebhookEndpoint) -> SafeString:
        return badge("disabled", "bad") if endpoint.disabled_at else badge("active")

    @display(description="events")
    def wanted(self, endpoint: WebhookEndpoint) -> str:
        return ", ".join(endpoint.events) or "all"


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ManagedAdmin):
    list_display = ["id_short", "event", "address", "state_badge", "attempts", "error", "created_at"]
    list_display_links = ["event"]
    list_filter = ["state", "event"]
    fields = [
        "id",
        "event",
        "endpoint",
        "state_badge",
        "attempts",
        "status",
        "error",
        "next_at",
        "created_at",
        "finished_at",
        "payload",
    ]
    readonly_fields = fields
    search_fields = ["id", "endpoint__url"]
    list_select_related = ["endpoint"]
    ordering = ["-created_at"]
    actions = ["retry"]

    @admin.action(description="Send again what was given up", permissions=["manage"])
    def retry(self, request: HttpRequest, chosen: QuerySet[WebhookDelivery]) -> None:
        each(request, chosen, lambda row: delivery_retry(delivery_id=row.id, actor=actor(request)), "is sent again")

    @display(description="endpoint", ordering="endpoint__url")
    def address(self, delivery: WebhookDelivery) -> SafeString:
        return _address(delivery.endpoint)

    @display(description="delivery")
    def id_short(self, delivery: WebhookDelivery) -> SafeString:
        return short(str(delivery.id))

    @display(description="state", ordering="state")
    def state_badge(self, delivery: WebhookDelivery) -> SafeString:
        return badge(delivery.state)
