"""An operator's word on a page: bound to what was shown, with a reason and the operator's own password again."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import logout
from django.db import transaction
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextareaWidget

from audit.services import record

MAX_WRONG_PASSWORDS = 5
_WRONG = "vertex_wrong_passwords"


class WordForm(forms.Form):
    """What every decision asks for. `shown` is the hash of the statement on the page (32 bytes)."""

    statement_hash = forms.RegexField(r"\A[0-9a-f]{64}\Z", widget=forms.HiddenInput)
    reason = forms.CharField(max_length=1000, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}))
    password = forms.CharField(
        max_length=4096,
        strip=False,
        label="Your password",
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, *args: Any, shown: bytes, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["statement_hash"] = shown.hex()


def actor_of(request: HttpRequest) -> str:
    """The event log's name of the operator who asks."""
    return f"operator:{request.user.get_username()}"


def password_holds(request: HttpRequest, form: WordForm, *, subject: str) -> bool:
    """The operator's own password; after a few wrong ones the session ends."""
    if request.user.check_password(form.cleaned_data["password"]):
        request.session.pop(_WRONG, None)
        return True
    with transaction.atomic():
        record(action="deletion.password_refused", actor=actor_of(request), subject=subject, data={"page": "console"})
    wrong = request.session.get(_WRONG, 0) + 1
    request.session[_WRONG] = wrong
    if wrong >= MAX_WRONG_PASSWORDS:
        logout(request)
        messages.error(request, "Too many wrong passwords: you were signed out.")
    else:
        form.add_error("password", "This is not your password.")
        messages.error(request, "Nothing was decided: this is not your password.")
    return False
