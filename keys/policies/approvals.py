"""Calls that wait for an operator: asked for by the call, decided by a person, used once by the call's repetition."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.http import Http404

from audit import services as audit
from audit.services.people import APPROVE, check_may
from keys import clock
from keys.models import Approval, Rule
from keys.policies.asked import Asked
from vertex.errors import ApiError

State = Approval.State
MAX_PENDING = 100  # calls of one user that wait at a time
_DENIED = "an operator denied this"
_MISSING = "an operator must approve"


def missing(asked: Asked, rule: Rule) -> str | None:
    """Why this call does not pass now; None where an approval waits for it."""
    last = _last(asked, rule)
    if last is None:
        return _MISSING
    if last.state == State.PENDING:
        return _waits(last)
    if not _fresh(last):
        return _MISSING
    return None if last.state == State.APPROVED else _DENIED


def use(asked: Asked, rule: Rule) -> str | None:
    """Take the approval that waits for this call, inside the caller's transaction; else why it can't be."""
    given = Approval.objects.select_for_update().filter(rule=rule, digest=asked.digest, state=State.APPROVED).first()
    if given is None or not _fresh(given):
        return _MISSING
    given.state = State.USED
    given.save(update_fields=["state"])
    _record("approval.used", given, actor=f"user:{asked.key.user_id}")
    return None


def request(asked: Asked, rule: Rule) -> str:
    """Ask the operators, unless they are asked already, or said no: what the caller is told."""
    with transaction.atomic():
        last = _last(asked, rule, lock=True)
        if last is not None and (last.state == State.PENDING or (last.state == State.APPROVED and _fresh(last))):
            return _waits(last)  # given since this call looked, it waits for the next one
        if last is not None and last.state == State.DENIED and _fresh(last):
            return _DENIED
        if last is not None and last.state == State.APPROVED:
            last.state = State.EXPIRED
            last.save(update_fields=["state"])
        if Approval.objects.filter(user=asked.key.user_id, state=State.PENDING).count() >= MAX_PENDING:
            return f"{MAX_PENDING} calls of this user wait for an operator already"
        fields = {"share": asked.key, "user_id": asked.key.user_id, "action": asked.action, "request": asked.request}
        waiting, fresh = Approval.objects.get_or_create(
            rule=rule, digest=asked.digest, state=State.PENDING, defaults=fields
        )
        if fresh:
            _record("approval.asked", waiting, actor=f"user:{asked.key.user_id}")
    return _waits(waiting)


def statement_of(row: Approval) -> dict[str, Any]:
    """What whoever decides is shown."""
    return {
        "decision": "approval",
        "approval": str(row.id),
        "rule": str(row.rule_id),
        "key_id": str(row.share_id),
        "action": row.action,
        "request": row.request,
    }


def decide(
    *, approval_id: UUID, approve: bool, actor: str, reason: str = "", statement_hash: bytes | None = None
) -> Approval:
    """An operator's word. Raises Http404, `policy_validation_failed` (may not decide this), `already_voted`."""
    with transaction.atomic():
        row = (
            Approval.objects.select_for_update(of=("self",))
            .select_related("user__owner", "rule", "share")
            .filter(id=approval_id)
            .first()
        )
        if row is None:
            raise Http404
        check_may(actor, APPROVE)
        if statement_hash is not None and statement_hash != audit.statement_hash(statement_of(row)):
            raise ApiError("policy_validation_failed", "this is not what you were shown")
        owner = row.user.owner
        if approve and settings.VERTEX_TWO_PERSON and owner is not None and actor == f"operator:{owner.username}":
            raise ApiError("policy_validation_failed", "your API user asked for this: another operator must approve")
        if row.state != State.PENDING:
            raise ApiError("already_voted", f"this was {row.state} already")
        row.state = State.APPROVED if approve else State.DENIED
        row.decided_by, row.decided_at, row.reason = actor, clock.now(), reason
        row.save(update_fields=["state", "decided_by", "decided_at", "reason"])
        if approve:
            _record("approval.approved", row, actor=actor)
        else:
            _record("approval.denied", row, actor=actor)
    return row


def _last(asked: Asked, rule: Rule, *, lock: bool = False) -> Approval | None:
    """What operators were last asked about this call; what was used is over."""
    rows = Approval.objects.select_for_update() if lock else Approval.objects
    return rows.filter(rule=rule, digest=asked.digest).exclude(state=State.USED).order_by("-created_at").first()


def _fresh(approval: Approval) -> bool:
    life = timedelta(seconds=settings.VERTEX_APPROVAL_LIFE)
    return approval.decided_at is not None and clock.now() < approval.decided_at + life


def _waits(approval: Approval) -> str:
    return f"it waits for an operator's approval {approval.id}; repeat the call once that is given"


def _record(action: str, approval: Approval, *, actor: str) -> None:
    audit.record(
        action=action,
        actor=actor,
        subject=str(approval.share_id),
        data={
            "approval": str(approval.id),
            "rule": str(approval.rule_id),
            "action": approval.action,
            "request": bytes(approval.digest).hex(),
        },
    )
