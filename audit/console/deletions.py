"""The confirmation page: what will die, what takes its place, and the decision. The decision is `audit.services`'."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from unfold.decorators import display
from unfold.widgets import UnfoldBooleanWidget

from audit import selectors
from audit.console import ReadOnlyAdmin
from audit.console.words import WordForm, actor_of, password_holds
from audit.labels import badge, short
from audit.models import Deletion
from audit.services import deletion_confirm, deletion_reject
from audit.services.people import APPROVE, PROPOSE
from audit.statement import DeletionStatement
from vertex.errors import ApiError


class DecisionForm(WordForm):
    """The word on a deletion; an exported share needs a further statement."""

    decision = forms.ChoiceField(choices=[("confirm", "Confirm"), ("reject", "Reject")])
    exports_destroyed = forms.BooleanField(
        required=False, widget=UnfoldBooleanWidget, label="Every exported copy of this share is destroyed"
    )

    def __init__(self, *args: Any, deletion: Deletion, **kwargs: Any) -> None:
        super().__init__(*args, shown=bytes(deletion.statement_hash), **kwargs)
        if not deletion.statement["exports"]:
            del self.fields["exports_destroyed"]


@dataclass(frozen=True, slots=True)
class PartyRow:
    """One party of either quorum; states are empty where it has no such share."""

    keygen_id: str
    here: bool
    role: str
    new_share: str
    old_share: str


def party_rows(deletion: Deletion) -> list[PartyRow]:
    """Both quorums as one table: the old one first, joiners after it."""
    shown = DeletionStatement.parse(deletion.statement)
    states = {row.keygen_id: row.state for row in selectors.deletions(attempt=deletion.attempt)}
    old, new = shown.old.parties, shown.new.parties
    rows = []
    for party in [*old, *(party for party in new if party not in old)]:
        role = "joining" if party not in old else "remaining" if party in new else "leaving"
        stored = "stored" if party in shown.stored else "waiting"
        rows.append(
            PartyRow(
                keygen_id=party,
                here=party == deletion.keygen_id,
                role=role,
                new_share=stored if party in new else "",
                old_share=states.get(party, "pending") if party in old else "",
            )
        )
    return rows


@admin.register(Deletion)
class DeletionAdmin(ReadOnlyAdmin):
    """The ledger; each row opens the page of its attempt's own deletion, or just tells of another party's."""

    list_display = ["title", "state_badge", "whose", "key", "attempt_short", "party_short", "decided_by", "created_at"]
    list_filter = ["state", "own"]
    search_fields = ["attempt", "key_id", "keygen_id"]
    ordering = ["-own", "-created_at"]

    @display(description="dying share")
    def title(self, deletion: Deletion) -> str:
        return f"Generation {deletion.statement['key']['generation']}"

    @display(description="state", ordering="state")
    def state_badge(self, deletion: Deletion) -> SafeString:
        return badge(deletion.state)

    @display(description="share", ordering="own")
    def whose(self, deletion: Deletion) -> SafeString:
        return badge("this vertex", "busy") if deletion.own else badge("another party")

    @display(description="key id")
    def key(self, deletion: Deletion) -> SafeString | str:
        return short(str(deletion.key_id)) if deletion.key_id else "–"

    @display(description="reshare (rid)")
    def attempt_short(self, deletion: Deletion) -> SafeString:
        return short(deletion.attempt)

    @display(description="party")
    def party_short(self, deletion: Deletion) -> SafeString:
        return short(deletion.keygen_id)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        deletion = self.get_object(request, object_id)
        if not self.has_view_permission(request, deletion):
            raise PermissionDenied
        if deletion is None:
            raise Http404
        if request.method != "POST":
            return self._page(request, deletion, DecisionForm(deletion=deletion))
        if not (deletion.own and request.user.has_perm(PROPOSE)):
            raise PermissionDenied
        form = DecisionForm(request.POST, deletion=deletion)
        if form.is_valid() and password_holds(request, form, subject=str(deletion.pk)):
            _decide(request, form, deletion)
        elif request.user.is_authenticated:
            return self._page(request, deletion, form)
        return HttpResponseRedirect(
            request.path
        )  # afresh, with the statement as it is now; over the login if signed out

    def _page(self, request: HttpRequest, deletion: Deletion, form: DecisionForm) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "Deletion of an old share",
            "opts": self.opts,
            "media": self.media + form.media,
            "deletion": deletion,
            "shown": DeletionStatement.parse(deletion.statement),
            "parties": party_rows(deletion),
            "progress": selectors.deletion_progress(deletion=deletion),
            "form": form,
            "may_decide": deletion.own and request.user.has_perm(PROPOSE),
            "may_approve": request.user.has_perm(APPROVE),
        }
        return TemplateResponse(request, "audit/deletion.html", context)


def _decide(request: HttpRequest, form: DecisionForm, deletion: Deletion) -> None:
    try:
        messages.success(request, _decision(form.cleaned_data, deletion, actor_of(request)))
    except ApiError as error:
        messages.error(request, f"Nothing was decided: {error}.")


def _decision(data: dict[str, Any], deletion: Deletion, actor: str) -> str:
    """What the operator is told. Raises ApiError."""
    if data["decision"] == "reject":
        deletion_reject(deletion_id=deletion.pk, actor=actor, reason=data["reason"])
        return "Rejected: this vertex votes to abort the reshare."
    decided = deletion_confirm(
        deletion_id=deletion.pk,
        actor=actor,
        statement_hash=bytes.fromhex(data["statement_hash"]),
        reason=data["reason"],
        exports_destroyed=data.get("exports_destroyed", False),
    )
    if decided.state == Deletion.State.CONFIRMED:
        return "Confirmed: the share is erased as soon as enough parties have confirmed."
    return "Proposed: another operator must approve what you were shown."
