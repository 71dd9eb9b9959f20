"""The calls that wait for an operator's word."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.safestring import SafeString
from unfold.decorators import display

from audit.console import ReadOnlyAdmin
from audit.console.words import WordForm, actor_of, password_holds
from audit.labels import badge
from audit.services import statement_hash
from audit.services.people import APPROVE
from keys.console.policies import as_json
from keys.models import Approval
from keys.policies import approvals
from vertex.errors import ApiError

_WORDS = {
    "approve": ("Approve this call", "Its user repeats the call, and it passes once: this very call, soon."),
    "deny": ("Deny this call", "The same call is refused for a while, without asking anybody again."),
}


@admin.register(Approval)
class ApprovalAdmin(ReadOnlyAdmin):
    list_display = ["id", "state_badge", "action", "user", "rule", "created_at", "decided_by"]
    list_filter = ["state", "action"]
    list_select_related = ["user", "rule"]
    ordering = ["-created_at"]
    fields = [
        "id",
        "state_badge",
        "action",
        "request_shown",
        "share",
        "user",
        "rule",
        "created_at",
        "decided_by",
        "decided_at",
        "reason",
    ]
    readonly_fields = fields
    change_form_outer_after_template = "keys/approval.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Approval]:
        return super().get_queryset(request).defer("share__sealed_share")

    @display(description="state", ordering="state")
    def state_badge(self, row: Approval) -> SafeString:
        return badge(row.state)

    @display(description="the call")
    def request_shown(self, row: Approval) -> SafeString:
        return as_json(row.request)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is None or not self.has_view_permission(request, row):
            return super().change_view(request, object_id, form_url, extra_context)
        word, form = "", None
        if request.method == "POST":
            word = request.POST.get("decision", "")
            if word not in _WORDS or not request.user.has_perm(APPROVE):
                raise PermissionDenied
            form = _form(word, row, request.POST)
            if form.is_valid() and password_holds(request, form, subject=str(row.share_id)):
                _decide(request, row, word, form.cleaned_data)
                return HttpResponseRedirect(request.path)
            if not request.user.is_authenticated:
                return HttpResponseRedirect(request.path)
            request.method = "GET"  # the page again, with what is wrong in the form
        may = request.user.has_perm(APPROVE)
        waits = row.state == Approval.State.PENDING
        context = {
            "choices": [_choice(name, row, form if name == word else None) for name in _WORDS] if waits and may else [],
            "may_carry": may,
            "may_approve": may,
        }
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **context})


def _form(word: str, row: Approval, data: Any = None) -> WordForm:
    return WordForm(data, shown=statement_hash(approvals.statement_of(row)), auto_id=f"{word}_%s")


def _choice(word: str, row: Approval, form: WordForm | None) -> dict[str, Any]:
    title, meaning = _WORDS[word]
    return {
        "decision": word,
        "title": title,
        "meaning": meaning,
        "statement_hash": statement_hash(approvals.statement_of(row)).hex(),
        "urgent": form is not None,
        "form": form or _form(word, row),
    }


def _decide(request: HttpRequest, row: Approval, word: str, said: dict[str, Any]) -> None:
    try:
        decided = approvals.decide(
            approval_id=row.id,
            approve=word == "approve",
            actor=actor_of(request),
            reason=said["reason"],
            statement_hash=bytes.fromhex(said["statement_hash"]),
        )
    except (ApiError, Http404) as error:
        messages.error(request, f"Nothing was decided: {error}.")
    else:
        messages.success(request, f"The call is {decided.state}.")
