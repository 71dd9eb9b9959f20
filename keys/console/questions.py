"""What a key's page asks its operators: whether a ban is lifted, and whether a restored share may act."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest

from audit.console.words import WordForm, actor_of
from audit.services import statement_hash
from keys import bans, restored
from keys.models import KeyShare
from vertex.errors import ApiError


@dataclass(frozen=True, slots=True)
class Question:
    """One kind of decision about a share; ``open``: what is shown of it where it can be taken."""

    kind: str
    title: str
    meaning: str
    done: str
    open: Callable[[KeyShare], dict[str, Any] | None]
    statement_of: Callable[[KeyShare], dict[str, Any]]
    take: Callable[..., bool]

    def form(self, share: KeyShare, data: Any = None) -> WordForm:
        return WordForm(data, shown=statement_hash(self.statement_of(share)), auto_id=f"{self.kind}_%s")

    def decide(self, request: HttpRequest, share: KeyShare, said: dict[str, Any]) -> None:
        """Take the operator's word and say what came of it."""
        named = bytes.fromhex(said["statement_hash"])
        try:
            done = self.take(key_id=share.id, actor=actor_of(request), reason=said["reason"], statement_hash=named)
        except ApiError as error:
            messages.error(request, f"Nothing was decided: {error}.")
            return
        proposed = "Proposed: another operator must approve what you were shown."
        messages.success(request, self.done if done else proposed)


def _open_bans(share: KeyShare) -> dict[str, Any] | None:
    shown = bans.shown(share)
    return shown if any(party["lifted_by"] is None for party in shown["parties"]) else None


QUESTIONS = {
    question.kind: question
    for question in (
        Question(
            bans.KIND,
            "Lift the ban",
            "The next reshare or refresh of this key may make new pairs with these parties. Each of them is another "
            "guess for a party that cheated. Lift it only where you know what went wrong.",
            "The ban is lifted.",
            _open_bans,
            bans.statement_of,
            bans.lift,
        ),
        Question(
            restored.KIND,
            "Let this share act",
            "It signs and takes part in reshares again, and makes new pairs with every party that is not banned here. "
            "Agree only if its old vertex is gone for good, no reshare of this key was in flight there, and you know "
            "of no ban that is missing here: whoever was banned after the backup could guess again.",
            "Agreed: the suspension is being lifted.",
            restored.shown,
            restored.statement_of,
            restored.agree,
        ),
    )
}


def choices(share: KeyShare, said: tuple[Question, WordForm] | None) -> list[dict[str, Any]]:
    """The questions that are open, each with its form; ``said``: the one whose answer was just refused."""
    found = []
    for question in QUESTIONS.values():
        shown = question.open(share)
        if shown is None:
            continue
        form = said[1] if said is not None and said[0] is question else question.form(share)
        found.append(
            {
                "decision": question.kind,
                "title": question.title,
                "meaning": question.meaning,
                "statement_hash": shown["statement_hash"],
                "proposed_by": shown["proposed_by"],
                "urgent": bool(shown["proposed_by"] or form.is_bound),
                "form": form,
            }
        )
    return found
