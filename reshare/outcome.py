"""The outcome of an attempt, for people: its row's state and times, and the deletion ledger, brought up to the
receipts."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from audit import services as audit
from reshare import ledger
from reshare.look import Look
from reshare.models import Reshare
from reshare.rule.types import Attempt, Kind
from reshare.rule.view import View

State = Reshare.State


def state_of(row: Reshare, attempt: Attempt, view: View) -> Reshare.State:
    """How far an attempt has come, as the receipts held here tell it."""
    facts, rid = view.facts, attempt.rid
    if rid in facts.completed:
        return State.CLEAN if deleted_by(attempt, view) >= set(attempt.old) else State.COMPLETE
    if rid in facts.aborted:
        return State.ABORTED
    if rid in facts.committed:
        return State.COMMITTED
    return State.RUNNING if row.run == Reshare.Run.HELLO else State.VOTING


def deleted_by(attempt: Attempt, view: View) -> set[bytes]:
    """The old parties whose `DELETED` for this attempt is held, whatever its ballot."""
    return {
        receipt.party
        for receipt in view.receipts
        if receipt.kind == Kind.DELETED and receipt.rid == attempt.rid and receipt.digest == attempt.digest
    }


def reflect(seen: Look) -> None:
    """Write what people see: states, times and the ledger. Nothing is decided by it."""
    for attempt in seen.view.attempts:
        row = seen.rows[attempt.rid]
        state = state_of(row, attempt, seen.view)
        now = timezone.now()
        changes: dict[str, Any] = {} if state == row.state else {"state": state}
        reached = {
            "committed_at": attempt.rid in seen.view.facts.committed,
            "completed_at": attempt.rid in seen.view.facts.completed,
            "ended_at": state == State.CLEAN,
        }
        changes |= {field: now for field, holds in reached.items() if holds and getattr(row, field) is None}
        if row.erased_at is None and row.old_share is not None and row.old_share.erased_at is not None:
            changes["erased_at"] = row.old_share.erased_at
        with transaction.atomic():
            if attempt.digest is not None:
                ledger.follow(row, attempt, seen.view)
            if changes:
                Reshare.objects.filter(id=row.id).update(**changes)
            if "state" in changes:
                audit.record(
                    action=f"reshare.{state}",
                    actor="system",
                    subject=str(row.id),
                    data={"rid": row.attempt, "gid": seen.view.gid.hex()},
                )
