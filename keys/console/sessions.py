"""Protocol sessions: public data only, nothing sealed is ever loaded."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from audit.console import ReadOnlyAdmin
from audit.labels import badge, short
from keys.models import ProtocolSession


@admin.register(ProtocolSession)
class ProtocolSessionAdmin(ReadOnlyAdmin):
    list_display = ["id_short", "kind", "state_badge", "round", "room_short", "key", "created_at", "finished_at"]
    list_filter = ["kind", "state"]
    search_fields = ["id", "room", "share__id"]
    list_select_related = ["share"]
    ordering = ["-created_at"]
    fields = [
        "id",
        "kind",
        "state_badge",
        "round",
        "relay",
        "room_short",
        "room_size",
        "key",
        "deadline",
        "lease_until",
        "error",
        "created_at",
        "finished_at",
    ]
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProtocolSession]:
        return super().get_queryset(request).defer("sealed_seed", "share__sealed_share")

    @display(description="session")
    def id_short(self, session: ProtocolSession) -> str:
        return f"{str(session.id)[:13]}…"

    @display(description="state", ordering="state")
    def state_badge(self, session: ProtocolSession) -> SafeString:
        return badge(session.state)

    @display(description="room")
    def room_short(self, session: ProtocolSession) -> SafeString:
        return short(session.room)

    @display(description="key")
    def key(self, session: ProtocolSession) -> SafeString:
        url = reverse("admin:keys_keyshare_change", args=[session.share_id])
        return format_html('<a class="vx-link" href="{}">{}…</a>', url, str(session.share_id)[:13])
