"""Webhooks in the console: who is told, what was sent, and sending again what was given up."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.decorators import display

from audit.console import ReadOnlyAdmin
from audit.labels import badge, short
from keys.console.people import actor, each
from keys.models import WebhookDelivery, WebhookEndpoint
from keys.webhooks.endpoints import delivery_retry, endpoint_delete


class ManagedAdmin(ReadOnlyAdmin):
    """Changed by those who manage users, in whose place they stand."""

    def has_manage_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("keys.add_apikey")


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ManagedAdmin):
    list_display = ["url", "bearer", "state", "wanted", "created_by", "created_at"]
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
    list_display = ["id_short", "event", "endpoint", "state_badge", "attempts", "status", "error", "created_at"]
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

    @display(description="delivery")
    def id_short(self, delivery: WebhookDelivery) -> SafeString:
        return short(str(delivery.id))

    @display(description="state", ordering="state")
    def state_badge(self, delivery: WebhookDelivery) -> SafeString:
        return badge(delivery.state)
