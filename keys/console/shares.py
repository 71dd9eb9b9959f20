"""Key shares with their lineage, and the bans of their pairs: public data only, nothing sealed is ever loaded."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from audit.console import ReadOnlyAdmin
from audit.console.words import WordForm, actor_of, password_holds
from audit.labels import badge, short
from audit.services import statement_hash
from audit.services.people import APPROVE, PROPOSE
from keys import bans, selectors
from keys.models import KeyShare
from keys.selectors import shown_key
from mpc.identity import encode_keygen_id
from vertex.errors import ApiError


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
    change_form_outer_after_template = "keys/bans.html"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        share = self.get_object(request, object_id)
        if share is None or not self.has_view_permission(request, share):
            return super().change_view(request, object_id, form_url, extra_context)
        form = None
        if request.method == "POST":
            if request.POST.get("decision") != bans.KIND or not request.user.has_perm(PROPOSE):
                raise PermissionDenied
            form = self._word(share, request.POST)
            if form.is_valid() and password_holds(request, form, subject=str(share.id)):
                self._decided(request, share, form.cleaned_data)
                return HttpResponseRedirect(request.path)
            if not request.user.is_authenticated:
                return HttpResponseRedirect(request.path)
            request.method = "GET"  # the page again, with what is wrong in the form
        shown = bans.shown(share)
        standing = any(party["lifted_by"] is None for party in shown["parties"])
        context = {
            "bans": shown,
            "choice": self._choice(shown, form or self._word(share)) if standing else None,
            "may_carry": request.user.has_perm(PROPOSE),
            "may_approve": request.user.has_perm(APPROVE),
        }
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **context})

    @staticmethod
    def _word(share: KeyShare, data: Any = None) -> WordForm:
        return WordForm(data, shown=statement_hash(bans.statement_of(share)), auto_id=f"{bans.KIND}_%s")

    @staticmethod
    def _choice(shown: dict[str, Any], form: WordForm) -> dict[str, Any]:
        return {
            "decision": bans.KIND,
            "title": "Lift the ban",
            "meaning": "The next reshare or refresh of this key may make new pairs with these parties. Each of them is "
            "another guess for a party that cheated. Lift it only where you know what went wrong.",
            "statement_hash": shown["statement_hash"],
            "proposed_by": shown["proposed_by"],
            "urgent": bool(shown["proposed_by"] or form.is_bound),
            "form": form,
        }

    @staticmethod
    def _decided(request: HttpRequest, share: KeyShare, said: dict[str, Any]) -> None:
        try:
            done = bans.lift(
                key_id=share.id,
                actor=actor_of(request),
                reason=said["reason"],
                statement_hash=bytes.fromhex(said["statement_hash"]),
            )
        except ApiError as error:
            messages.error(request, f"Nothing was decided: {error}.")
            return
        proposed = "Proposed: another operator must approve what you were shown."
        messages.success(request, "The ban is lifted." if done else proposed)

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
        return badge(share.state)

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
