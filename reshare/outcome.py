"""The outcome of an attempt, for people: its row's state and times, and the deletion ledger, brought up to the
receipts."""

from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from audit import services as audit
from keys.models import KeyShare
from mpc.identity import encode_keygen_id
from reshare import ledger, orders
from reshare.look import Look
from reshare.models import Reshare
from reshare.rule.facts import conflicts
from reshare.rule.types import Attempt, Kind
from reshare.rule.view import View

log = structlog.get_logger()
State = Reshare.State
RESTORED = "peers hold receipts of this vertex that its journal does not cover: its keystore was restored"


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


def _reflect_conflicts(seen: Look) -> None:
    """Two faces (lifecycle.md, step 8): name them, raise the alarm, stop signing where it is this vertex's own."""
    found: dict[bytes, list[list[str]]] = {}
    for conflict in conflicts(seen.view.attempts, seen.view.receipts):
        named = [encode_keygen_id(conflict.party), str(conflict.first.kind), str(conflict.second.kind)]
        for rid in {conflict.first.rid, conflict.second.rid}:
            found.setdefault(rid, []).append(named)
    for rid, pairs in found.items():
        row, all_named = seen.rows[rid], sorted(pairs)
        if all_named == row.conflicts:
            continue
        with transaction.atomic():
            Reshare.objects.filter(id=row.id).update(conflicts=all_named)
            log.error("receipts_conflict", reshare=str(row.id), conflicts=all_named)
            audit.record(action="receipts.conflict", actor="system", subject=str(row.id), data={"conflicts": all_named})
    share = seen.old_share
    if seen.view.acceptor.restored and share is not None and not share.suspended:
        with transaction.atomic():
            KeyShare.objects.filter(id=share.id).update(suspended=RESTORED)
            log.error("keystore_restored", key=str(share.id))
            audit.record(action="share.suspended", actor="system", subject=str(share.id), data={"why": RESTORED})


def deleted_by(attempt: Attempt, view: View) -> set[bytes]:
    """The old parties whose `DELETED` for this attempt is held, whatever its ballot."""
    return {
        receipt.party
        for receipt in view.receipts
        if receipt.kind == Kind.DELETED and receipt.rid == attempt.rid and receipt.digest == attempt.digest
    }


def reflect(seen: Look) -> None:
    """Write what people see: states, times, conflicts and the ledger. Nothing is decided by it."""
    _reflect_conflicts(seen)
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
        if attempt.rid in seen.view.facts.stored and state == State.VOTING:
            orders.confirm_by_policy(row.id)
