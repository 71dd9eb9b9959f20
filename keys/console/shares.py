"""Key shares with their lineage, and the bans of their pairs: public data only, nothing sealed is ever loaded."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from audit.console import ReadOnlyAdmin
from audit.console.words import password_holds
from audit.labels import badge, short
from audit.services.people import APPROVE, PROPOSE
from keys import bans, restored, selectors
from keys.console.questions import QUESTIONS, choices
from keys.models import KeyShare
from keys.selectors import shown_key
from mpc.identity import encode_keygen_id


@admin.register(KeyShare)
class KeyShareAdmin(ReadOnlyAdmin):
    list_display = ["id_short", "state_badge", "scheme", "generation", "quorum", "public", "user", "created_at"]
    list_filter = ["state", "scheme"]
    search_fields = ["id", "user__name"]
    list_select_related = ["user"]
    ordering = ["-created_at"]
    fields = [
        "id_full",
        "state_badge",
        "scheme",
        "user",
        "policy",
        "public",
        "generation",
        "quorum",
        "gid_short",
        "this_party",
        "party_list",
        "lineage",
        "export_list",
        "created_at",
        "quarantined_at",
        "activated_at",
        "erased_at",
    ]
    readonly_fields = fields
    change_form_outer_after_template = "keys/decisions.html"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        share = self.get_object(request, object_id)
        if share is None or not self.has_view_permission(request, share):
            return super().change_view(request, object_id, form_url, extra_context)
        said = None
        if request.method == "POST":
            question = QUESTIONS.get(request.POST.get("decision", ""))
            if question is None or not request.user.has_perm(PROPOSE):
                raise PermissionDenied
            form = question.form(share, request.POST)
            if form.is_valid() and password_holds(request, form, subject=str(share.id)):
                question.decide(request, share, form.cleaned_data)
                return HttpResponseRedirect(request.path)
            if not request.user.is_authenticated:
                return HttpResponseRedirect(request.path)
            request.method = "GET"  # the page again, with what is wrong in the form
            said = question, form
        context = {
            "bans": bans.shown(share),
            "restored": restored.shown(share),
            "choices": choices(share, said),
            "may_carry": request.user.has_perm(PROPOSE),
            "may_approve": request.user.has_perm(APPROVE),
        }
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **context})

    def get_queryset(self, request: HttpRequest) -> QuerySet[KeyShare]:
        return super().get_queryset(request).select_related("identity").defer("sealed_share", "identity__sealed_secret")

    @display(description="key id")
    def id_short(self, share: KeyShare) -> str:
        return f"{str(share.id)[:13]}…"

    @display(description="key id")
    def id_full(self, share: KeyShare) -> SafeString:
        return format_html("<code>{}</code>", share.id)

    @display(description="state", ordering="state")
    def state_badge(self, share: KeyShare) -> SafeString:
        marks = [share.state, *(["suspended"] if share.suspended else [])]
        marks += ["exported whole"] if share.exported_at else []
        return format_html_join(" ", "{}", ((badge(mark),) for mark in marks))

    @display(description="quorum")
    def quorum(self, share: KeyShare) -> str:
        return f"{share.threshold} of {len(share.parties)}" if share.threshold else "–"

    @display(description="public key")
    def public(self, share: KeyShare) -> SafeString | str:
        return short(shown) if (shown := shown_key(share.scheme, share.public_key)) else "–"

    @display(description="gid")
    def gid_short(self, share: KeyShare) -> SafeString | str:
        return short(bytes(share.gid).hex()) if share.gid else "–"

    @display(description="this party")
    def this_party(self, share: KeyShare) -> SafeString:
        return short(selectors.keygen_id(share))

    @display(description="parties")
    def party_list(self, share: KeyShare) -> SafeString:
        names = (encode_keygen_id(bytes.fromhex(party)) for party in share.parties)
        return format_html_join(" ", "{}", ((short(name),) for name in names))

    @display(description="lineage")
    def lineage(self, share: KeyShare) -> SafeString:
        return format_html_join(
            " → ",
            '<a class="vx-link" href="{}">generation {}</a> {}',
            (
                (reverse("admin:keys_keyshare_change", args=[other.pk]), other.generation, badge(other.state))
                for other in _line(share)
            ),
        )

    @display(description="exports")
    def export_list(self, share: KeyShare) -> SafeString | str:
        exports = share.exports.order_by("created_at")
        rows = ((export.kind, export.caller, f"{export.created_at:%Y-%m-%d %H:%M:%S}") for export in exports)
        return format_html_join("\n", "<div>{} by {}, {} UTC</div>", rows) or "none"


def _line(share: KeyShare) -> list[KeyShare]:
    """The share with all that it comes from, oldest first, and what came of it."""
    ancestors: list[KeyShare] = []
    seen: set[UUID] = set()
    older = share.predecessor
    while older is not None and older.pk not in seen:
        seen.add(older.pk)
        ancestors.insert(0, older)
        older = older.predecessor
    return [*ancestors, share, *share.successors.order_by("created_at")]
