"""The console's pages about reshares: how far each has come, party by party, and receipts carried here by hand."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from audit.console import ReadOnlyAdmin
from audit.labels import badge, short
from audit.models import Deletion
from keys.selectors import shown_key
from reshare import selectors
from reshare.models import Reshare
from reshare.receiving import MAX_RECEIPTS, Bundle, bundle_of, receive
from vertex.errors import ApiError

CARRY = "audit.propose_deletion"
_TONES = {
    "waiting": "gone",
    "running": "busy",
    "voting": "warn",
    "committed": "busy",
    "complete": "good",
    "clean": "good",
    "aborted": "bad",
    "failed": "bad",
}


class ReceiptsForm(forms.Form):
    """What another vertex shows at the foot of its page: the preimage, then a receipt a line, all in hex."""

    bundle = forms.CharField(
        label="Receipts of another vertex",
        max_length=4_000_000,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4, "spellcheck": "false"}),
    )

    def clean_bundle(self) -> Bundle:
        lines = self.cleaned_data["bundle"].split()
        if len(lines) > MAX_RECEIPTS + 1:
            raise forms.ValidationError(f"At most {MAX_RECEIPTS} receipts at a time.")
        try:
            preimage, *receipts = [b"" if line == "-" else bytes.fromhex(line) for line in lines]
        except ValueError as error:
            raise forms.ValidationError("Not receipts as a vertex shows them: hex, one a line.") from error
        return Bundle(receipts, preimage or None)


def as_text(bundle: Bundle) -> str:
    """A bundle as the form takes it; ``-`` where the preimage is not known yet."""
    return "\n".join([bundle.preimage.hex() if bundle.preimage else "-", *(each.hex() for each in bundle.receipts)])


@admin.register(Reshare)
class ReshareAdmin(ReadOnlyAdmin):
    list_display = ["title", "state_badge", "role", "public", "attempt_short", "created_at", "completed_at"]
    list_filter = ["state", "role"]
    search_fields = ["id", "old_share__id", "new_share__id"]
    list_select_related = ["old_share"]
    ordering = ["-created_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Reshare]:
        rows = super().get_queryset(request).select_related("identity", "session", "old_share", "new_share")
        return rows.defer("old_share__sealed_share", "new_share__sealed_share", "identity__sealed_secret", "hellos")

    @display(description="reshare")
    def title(self, row: Reshare) -> str:
        old = f"{row.old_threshold} of {len(row.old_parties)}" if row.old_threshold else "?"
        return f"{old} → {row.new_threshold} of {len(row.new_parties)}"

    @display(description="state", ordering="state")
    def state_badge(self, row: Reshare) -> SafeString:
        return badge(row.state, _TONES[row.state])

    @display(description="public key")
    def public(self, row: Reshare) -> SafeString | str:
        return short(shown) if (shown := shown_key(row.scheme, row.public_key)) else "–"

    @display(description="attempt (rid)")
    def attempt_short(self, row: Reshare) -> SafeString | str:
        return short(row.attempt) if row.attempt else "–"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        if row is None:
            raise Http404
        if request.method != "POST":
            return self._page(request, row, ReceiptsForm())
        if not request.user.has_perm(CARRY) or row.rid is None:
            raise PermissionDenied
        form = ReceiptsForm(request.POST)
        if not form.is_valid():
            return self._page(request, row, form)
        actor = f"operator:{request.user.get_username()}"
        try:
            new = receive(rid=bytes(row.rid), bundle=form.cleaned_data["bundle"], actor=actor)
            messages.success(request, f"{new} new receipts were verified and kept.")
        except ApiError as error:
            messages.error(request, f"Nothing was taken: {error}.")
        return HttpResponseRedirect(request.path)

    def _page(self, request: HttpRequest, row: Reshare, form: ReceiptsForm) -> HttpResponse:
        deletion = Deletion.objects.filter(attempt=row.attempt, own=True).first() if row.attempt else None
        context = {
            **self.admin_site.each_context(request),
            "title": "Reshare",
            "opts": self.opts,
            "media": self.media + form.media,
            "row": row,
            "state": badge(row.state, _TONES[row.state]),
            "detail": selectors.reshare_detail(row),
            "deletion": deletion,
            "deletion_url": reverse("admin:audit_deletion_change", args=[deletion.pk]) if deletion else "",
            "receipts": selectors.receipt_lines(row),
            "bundle": as_text(bundle_of(bytes(row.rid))) if row.rid is not None else "",
            "form": form,
            "may_carry": request.user.has_perm(CARRY) and row.rid is not None,
        }
        return TemplateResponse(request, "reshare/reshare.html", context)
