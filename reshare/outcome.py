"""The outcome of an attempt, for people: its row's state and times, and the deletion ledger, brought up to the
receipts."""

from typing import Any

import structlog
from django.db import transaction

from audit import services as audit
from keys import clock
from keys.models import KeyShare
from mpc.identity import encode_keygen_id
from reshare import ledger, notices, orders
from reshare.alarms import alarms_of
from reshare.look import Look
from reshare.models import Reshare
from reshare.rule.facts import conflicts
from reshare.rule.types import Attempt, Kind, OrderKind
from reshare.rule.view import View

log = structlog.get_logger()
State = Reshare.State
# A share in one of these states signs, or may come to.
SIGNING = frozenset({KeyShare.State.ACTIVE, KeyShare.State.RETIRING, KeyShare.State.QUARANTINED, KeyShare.State.PARKED})
RESTORED = KeyShare.RESTORED
_PROOFS = 100  # that one event has room for


def state_of(row: Reshare, attempt: Attempt, view: View) -> Reshare.State:
    """How far an attempt has come, as the receipts held here tell it."""
    facts, rid = view.facts, attempt.rid
    if rid in facts.completed:
        return State.CLEAN if deleted_by(attempt, view) >= set(attempt.old) else State.COMPLETE
    if rid in facts.aborted:
        return State.ABORTED
    if facts.completed:
        return State.SUPERSEDED
    if rid in facts.committed:
        return State.COMMITTED
    return State.RUNNING if row.run == Reshare.Run.HELLO else State.VOTING


def _reflect_conflicts(seen: Look) -> None:
    """Two faces (lifecycle.md, step 8): name them, each with one pair that proves it, however many a liar signs."""
    found: dict[bytes, dict[tuple[str, ...], list[Any]]] = {}
    for conflict in conflicts(seen.view.attempts, seen.view.receipts):
        party, pair = encode_keygen_id(conflict.party), sorted([conflict.first, conflict.second], key=repr)
        proof = [party, *([str(each.kind), each.k, each.rid.hex()] for each in pair)]
        for rid in {each.rid for each in pair}:
            found.setdefault(rid, {}).setdefault((party, *(str(each.kind) for each in pair)), proof)
    for rid, row in seen.rows.items():
        # A deletion below a promise is none once the certificate that it answered has come here too.
        proofs = sorted(found.get(rid, {}).items())
        named = [list(faces) for faces, _ in proofs]
        if named == row.conflicts:
            continue
        with transaction.atomic():
            Reshare.objects.filter(id=row.id).update(conflicts=named)
            log.error("receipts_conflict", reshare=str(row.id), conflicts=named)
            data = {"conflicts": [proof for _, proof in proofs[:_PROOFS]], "number": len(proofs)}
            audit.record(action="receipts.conflict", actor="system", subject=str(row.id), data=data)


def _reflect_suspension(seen: Look) -> None:
    """A restored keystore: no share of this sharing's attempts signs until an operator has agreed."""
    why = RESTORED if seen.view.acceptor.restored and not seen.view.ordered(OrderKind.AGREE) else ""
    shares = [seen.old_share, *(row.new_share for row in seen.rows.values())]
    for share in shares:
        if share is None or share.suspended not in ("", RESTORED) or share.suspended == why:
            continue
        if why and share.state not in SIGNING:
            continue
        with transaction.atomic():
            KeyShare.objects.filter(id=share.id).update(suspended=why)
            if why:
                log.error("keystore_restored", key=str(share.id))
            what = "share.suspended" if why else "share.suspension_lifted"
            audit.record(action=what, actor="system", subject=str(share.id), data={"why": RESTORED})


def deleted_by(attempt: Attempt, view: View) -> set[bytes]:
    """The old parties whose `DELETED` for this attempt is held, whatever its ballot."""
    return {
        receipt.party
        for receipt in view.receipts
        if receipt.kind == Kind.DELETED and receipt.rid == attempt.rid and receipt.digest == attempt.digest
    }


def known_by_all(attempt: Attempt, view: View) -> bool:
    """Whether every party of the new quorum has said that it holds the completion certificate."""
    said = {r.party for r in view.receipts if r.kind == Kind.COMPLETED and r.rid == attempt.rid}
    return said >= set(attempt.new)


def _over(state: Reshare.State, attempt: Attempt, view: View) -> bool:
    """Nothing more is to be heard about this attempt."""
    if state == State.CLEAN:
        return known_by_all(attempt, view)
    return state == State.SUPERSEDED or (state == State.ABORTED and bool(view.facts.completed))


def reflect(seen: Look) -> None:
    """Write what people see: states, times, conflicts, alarms and the ledger. Nothing is decided by it."""
    _reflect_conflicts(seen)
    _reflect_suspension(seen)
    for attempt in seen.view.attempts:
        row = seen.rows.get(attempt.rid)
        if row is None:
            continue
        state = state_of(row, attempt, seen.view)
        now = clock.now()
        changes: dict[str, Any] = {} if state == row.state else {"state": state}
        reached = {
            "committed_at": attempt.rid in seen.view.facts.committed,
            "completed_at": attempt.rid in seen.view.facts.completed,
            "clean_at": state == State.CLEAN,
            "ended_at": _over(state, attempt, seen.view),
        }
        changes |= {field: now for field, holds in reached.items() if holds and getattr(row, field) is None}
        if row.erased_at is None and row.old_share is not None and row.old_share.erased_at is not None:
            changes["erased_at"] = row.old_share.erased_at
        alarms = alarms_of(row, attempt, state, seen.view, now)
        if alarms != row.alarms:
            changes["alarms"] = alarms
        with transaction.atomic():
            if attempt.digest is not None:
                ledger.follow(row, attempt, seen.view)
            if changes:
                Reshare.objects.filter(id=row.id).update(**changes)
            if "state" in changes:
                notices.state_changed(row, state)
                audit.record(
                    action=f"reshare.{state}",
                    actor="system",
                    subject=str(row.id),
                    data={"rid": row.attempt, "gid": seen.view.gid.hex()},
                )
            if "alarms" in changes:
                log.error("alarms", reshare=str(row.id), standing=alarms, before=row.alarms)
                audit.record(
                    action="reshare.alarms",
                    actor="system",
                    subject=str(row.id),
                    data={"rid": row.attempt, "standing": alarms, "before": row.alarms},
                )
        if attempt.rid in seen.view.facts.stored and state == State.VOTING:
            orders.confirm_by_policy(row.id)
