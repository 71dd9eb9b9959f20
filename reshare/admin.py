"""The console's pages about reshares: how far each has come, what may be decided, and receipts carried by hand."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from audit.console import ReadOnlyAdmin
from audit.console.words import WordForm, actor_of, password_holds
from audit.labels import badge, short
from audit.models import Deletion
from audit.services import statement_hash
from audit.services.people import APPROVE, PROPOSE
from keys.receipts import MAX_RECEIPTS, Bundle
from keys.selectors import shown_key
from reshare import selectors
from reshare.decisions import CHOICES, Choice, decide, statement_of, suspended
from reshare.models import Reshare
from reshare.receiving import bundle_of, receive
from vertex.errors import ApiError

_TONES = {
    "waiting": "gone",
    "running": "busy",
    "voting": "warn",
    "committed": "busy",
    "complete": "good",
    "clean": "good",
    "aborted": "bad",
    "failed": "bad",
    "superseded": "gone",
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


def word_form(name: str, row: Reshare, data: Any = None) -> WordForm:
    """The form of one decision, bound to what it is about now."""
    return WordForm(data, shown=statement_hash(statement_of(name, row)), prefix=None, auto_id=f"{name}_%s")


def _choices(row: Reshare, decisions: list[dict[str, Any]], word: tuple[str, WordForm] | None) -> list[dict[str, Any]]:
    """The decisions that are open, each with its form; `word` is the one that was just refused."""
    found = []
    for each in decisions:
        name = each["decision"]
        if each["open"]:
            form = word[1] if word is not None and word[0] == name else word_form(name, row)
            urgent = name == "agree" or bool(row.alarms or each["proposed_by"] or form.is_bound)
            told = {"title": CHOICES[name].title, "meaning": CHOICES[name].meaning, "urgent": urgent}
            found.append({**each, **told, "form": form})
    return found


@admin.register(Reshare)
class ReshareAdmin(ReadOnlyAdmin):
    list_display = [
        "title",
        "state_badge",
        "alarm_badges",
        "role",
        "public",
        "attempt_short",
        "created_at",
    ]
    list_filter = ["state", "role"]
    search_fields = ["id", "old_share__id", "new_share__id"]
    list_select_related = ["old_share"]
    ordering = ["-created_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Reshare]:
        rows = super().get_queryset(request).select_related("identity", "session", "old_share", "new_share")
        return rows.defer("old_share__sealed_share", "new_share__sealed_share", "identity__sealed_secret", "hellos")

    @display(description="reshare")
    def title(self, row: Reshare) -> SafeString:
        old = f"{row.old_threshold} of {len(row.old_parties)}" if row.old_threshold else "?"
        new = f"{row.new_threshold} of {len(row.new_parties)}"
        return format_html('<span class="vx-one-line">{} → {}</span>', old, new)

    @display(description="state", ordering="state")
    def state_badge(self, row: Reshare) -> SafeString:
        return badge(row.state, _TONES[row.state])

    @display(description="alarms")
    def alarm_badges(self, row: Reshare) -> SafeString | str:
        return format_html_join(" ", "{}", ((badge(alarm.replace("_", " "), "bad"),) for alarm in row.alarms)) or "–"

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
            return self._page(request, row)
        if not request.user.has_perm(PROPOSE) or row.rid is None:
            raise PermissionDenied
        if "decision" in request.POST:
            return self._decide(request, row)
        form = ReceiptsForm(request.POST)
        if not form.is_valid():
            return self._page(request, row, form)
        try:
            new = receive(rid=bytes(row.rid), bundle=form.cleaned_data["bundle"], actor=actor_of(request))
            messages.success(request, f"{new} new receipts were verified and kept.")
        except ApiError as error:
            messages.error(request, f"Nothing was taken: {error}.")
        return HttpResponseRedirect(request.path)

    def _decide(self, request: HttpRequest, row: Reshare) -> HttpResponse:
        choice = CHOICES.get(request.POST["decision"])
        if choice is None:
            raise PermissionDenied
        form = word_form(choice.name, row, request.POST)
        if form.is_valid() and password_holds(request, form, subject=str(row.id)):
            self._decided(request, row, choice, form.cleaned_data)
        elif request.user.is_authenticated:
            return self._page(request, row, word=(choice.name, form))
        return HttpResponseRedirect(request.path)

    @staticmethod
    def _decided(request: HttpRequest, row: Reshare, choice: Choice, said: dict[str, Any]) -> None:
        try:
            done = decide(
                name=choice.name,
                row_id=row.id,
                actor=actor_of(request),
                reason=said["reason"],
                statement_hash=bytes.fromhex(said["statement_hash"]),
            )
        except ApiError as error:
            messages.error(request, f"Nothing was decided: {error}.")
            return
        proposed = "Proposed: another operator must approve what you were shown."
        messages.success(request, f"Decided: {choice.title.lower()}." if done else proposed)

    def _page(
        self,
        request: HttpRequest,
        row: Reshare,
        form: ReceiptsForm | None = None,
        word: tuple[str, WordForm] | None = None,
    ) -> HttpResponse:
        form = form or ReceiptsForm()
        deletion = Deletion.objects.filter(attempt=row.attempt, own=True).first() if row.attempt else None
        context = {
            **self.admin_site.each_context(request),
            "title": "Reshare",
            "opts": self.opts,
            "media": self.media + form.media,
            "row": row,
            "suspended": suspended(row),
            "state": badge(row.state, _TONES[row.state]),
            "detail": (detail := selectors.reshare_detail(row)),
            "choices": _choices(row, detail["decisions"], word),
            "may_approve": request.user.has_perm(APPROVE),
            "deletion": deletion,
            "deletion_url": reverse("admin:audit_deletion_change", args=[deletion.pk]) if deletion else "",
            "receipts": selectors.receipt_lines(row),
            "bundle": as_text(bundle_of(bytes(row.rid))) if row.rid is not None else "",
            "form": form,
            "may_carry": request.user.has_perm(PROPOSE) and row.rid is not None,
        }
        return TemplateResponse(request, "reshare/reshare.html", context)
