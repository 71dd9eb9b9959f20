"""Calls that wait for an operator: asked for by the call, decided by a person, used once by the call's repetition."""

from datetime import timedelta
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


def missing(asked: Asked, rule: Rule) -> str | None:
    """Why this call does not pass now; None where an approval waits for it."""
    open_one = _open(asked, rule)
    if open_one is not None and open_one.state == State.APPROVED and _fresh(open_one):
        return None
    return _waits(open_one) if open_one is not None and open_one.state == State.PENDING else "an operator must approve"


def use(asked: Asked, rule: Rule) -> str | None:
    """Take the approval that waits for this call, inside the caller's transaction; else why there is none."""
    given = Approval.objects.select_for_update().filter(rule=rule, digest=asked.digest, state=State.APPROVED).first()
    if given is None or not _fresh(given):
        return missing(asked, rule)
    given.state = State.USED
    given.save(update_fields=["state"])
    _record("used", given, actor=f"user:{asked.key.user_id}")
    return None


def request(asked: Asked, rule: Rule) -> str:
    """Ask the operators, unless they are asked already: what the caller is told, which names the request."""
    with transaction.atomic():
        stale = _open(asked, rule, lock=True)
        if stale is not None and stale.state == State.APPROVED:
            if _fresh(stale):  # given since this call looked: it waits for the next one
                return _waits(stale)
            stale.state = State.DENIED  # nobody used it in time
            stale.save(update_fields=["state"])
        fields = {"share": asked.key, "user_id": asked.key.user_id, "action": asked.action, "request": asked.request}
        waiting, fresh = Approval.objects.get_or_create(
            rule=rule, digest=asked.digest, state=State.PENDING, defaults=fields
        )
        if fresh:
            _record("asked", waiting, actor=f"user:{asked.key.user_id}")
    return _waits(waiting)


def decide(*, approval_id: UUID, approve: bool, actor: str, reason: str = "") -> Approval:
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
        owner = row.user.owner
        if approve and settings.VERTEX_TWO_PERSON and owner is not None and actor == f"operator:{owner.username}":
            raise ApiError("policy_validation_failed", "your API user asked for this: another operator must approve")
        if row.state != State.PENDING:
            raise ApiError("already_voted", f"this was {row.state} already")
        row.state = State.APPROVED if approve else State.DENIED
        row.decided_by, row.decided_at, row.reason = actor, clock.now(), reason
        row.save(update_fields=["state", "decided_by", "decided_at", "reason"])
        _record(row.state, row, actor=actor)
    return row


def _open(asked: Asked, rule: Rule, *, lock: bool = False) -> Approval | None:
    rows = Approval.objects.select_for_update() if lock else Approval.objects
    waiting = rows.filter(rule=rule, digest=asked.digest, state__in=[State.PENDING, State.APPROVED])
    return waiting.first()


def _fresh(approval: Approval) -> bool:
    life = timedelta(seconds=settings.VERTEX_APPROVAL_LIFE)
    return approval.decided_at is not None and clock.now() < approval.decided_at + life


def _waits(approval: Approval) -> str:
    return f"it waits for an operator's approval {approval.id}; repeat the call once that is given"


def _record(what: str, approval: Approval, *, actor: str) -> None:
    audit.record(
        action=f"approval.{what}",
        actor=actor,
        subject=str(approval.share_id),
        data={
            "approval": str(approval.id),
            "rule": str(approval.rule_id),
            "action": approval.action,
            "request": bytes(approval.digest).hex(),
        },
    )
