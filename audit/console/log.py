"""The event log and its signed heads, read-only, with the chain's state above them."""

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from audit import selectors
from audit.console import ReadOnlyAdmin
from audit.labels import short
from audit.models import AuditHead, Event


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ["seq", "time", "action", "actor_short", "subject_short", "hash_short"]
    list_filter = ["action"]
    list_display_links = ["seq"]
    search_fields = ["action", "actor", "subject", "data"]
    ordering = ["-seq"]
    fields = ["seq", "time", "action", "actor", "subject", "data_text", "previous_hex", "hash_hex"]
    readonly_fields = fields
    list_before_template = "audit/parts/chain.html"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        seq, digest = selectors.chain_head()
        chain = {"seq": seq, "hash": digest.hex(), "head": selectors.last_head()}
        return super().changelist_view(request, {**(extra_context or {}), "chain": chain})

    @display(description="actor", ordering="actor")
    def actor_short(self, event: Event) -> SafeString:
        return short(event.actor)

    @display(description="subject", ordering="subject")
    def subject_short(self, event: Event) -> SafeString:
        return short(event.subject)

    @display(description="hash")
    def hash_short(self, event: Event) -> SafeString:
        return short(bytes(event.hash).hex())

    @display(description="data")
    def data_text(self, event: Event) -> SafeString:
        return format_html('<pre class="vx-pre">{}</pre>', json.dumps(event.data, indent=2, ensure_ascii=False))

    @display(description="previous hash")
    def previous_hex(self, event: Event) -> SafeString:
        return format_html("<code>{}</code>", bytes(event.previous).hex())

    @display(description="hash")
    def hash_hex(self, event: Event) -> SafeString:
        return format_html("<code>{}</code>", bytes(event.hash).hex())


@admin.register(AuditHead)
class AuditHeadAdmin(ReadOnlyAdmin):
    list_display = ["seq", "time", "hash_short"]
    ordering = ["-pk"]
    fields = ["seq", "time", "statement", "signature_hex"]
    readonly_fields = fields

    @display(description="hash")
    def hash_short(self, head: AuditHead) -> SafeString:
        return short(bytes(head.hash).hex())

    @display(description="signature (ES256, DER)")
    def signature_hex(self, head: AuditHead) -> SafeString:
        return format_html("<code>{}</code>", bytes(head.signature).hex())
