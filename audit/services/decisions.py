"""Decisions of operators: proposed, approved by another where two persons must agree, each with its event."""

import hmac
from typing import Any

from django.db import transaction
from django.utils import timezone

from audit import chain
from audit.models import Decision
from audit.services.events import record
from audit.services.people import PROPOSE, check_may, check_second, needs_second
from vertex.errors import ApiError

_STATE = Decision.State


def statement_hash(statement: dict[str, Any]) -> bytes:
    """32 bytes over the canonical form of what was shown: what an approval names."""
    return chain.digest("decision", chain.canonical(statement).encode())


def decision_proposed(*, kind: str, subject: str) -> Decision | None:
    """The open proposal about a subject."""
    return Decision.objects.filter(kind=kind, subject=subject, state=_STATE.PROPOSED).first()


@transaction.atomic
def decision_take(
    *,
    kind: str,
    subject: str,
    statement: dict[str, Any],
    shown: bytes | None,
    actor: str,
    reason: str,
    owner: str | None,
) -> bool:
    """An operator's word: True when it decides, False when it only proposes (two-person approval).

    `shown`: hash of the statement that the actor saw; None where the caller names none. The caller serializes calls
    about one subject (it holds its row), and does in this transaction what was decided. Raises ApiError:
    bad_request_params (another statement than the one shown), policy_validation_failed (may not decide this).
    """
    check_may(actor, PROPOSE)
    named = statement_hash(statement)
    if shown is not None and not hmac.compare_digest(shown, named):
        raise ApiError("bad_request_params", "the statement is not the one that was shown: look at it again")
    standing = decision_proposed(kind=kind, subject=subject)
    if standing is not None and bytes(standing.statement_hash) != named:
        Decision.objects.filter(pk=standing.pk).update(state=_STATE.VOID)
        standing = None
    if needs_second(actor) and standing is None:
        fields = {"statement": statement, "statement_hash": named, "reason": reason, "proposed_by": actor}
        _record("proposed", Decision.objects.create(kind=kind, subject=subject, **fields), actor)
        return False
    if needs_second(actor) and standing is not None:
        check_second(actor=actor, proposed_by=standing.proposed_by, owner=owner)
    decision = standing or Decision(
        kind=kind, subject=subject, statement=statement, statement_hash=named, proposed_by=actor
    )
    decision.state, decision.decided_by, decision.decided_at = _STATE.TAKEN, actor, timezone.now()
    decision.reason = reason or decision.reason
    decision.save()
    _record("taken", decision, actor)
    return True


def _record(what: str, decision: Decision, actor: str) -> None:
    record(
        action=f"decision.{what}",
        actor=actor,
        subject=decision.subject,
        data={
            "decision": str(decision.pk),
            "kind": decision.kind,
            "statement": bytes(decision.statement_hash).hex(),
            "proposed_by": decision.proposed_by,
            "reason": decision.reason,
        },
    )
