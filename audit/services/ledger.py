"""The deletion ledger: opening and keeping its rows, and the operators' decision.

Rows are opened, made ready and marked by `reshare` inside its own transactions, whose event names what it saw: these
services record none. The operators' decisions are recorded here.
"""

import hmac
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from audit import signals
from audit.models import Deletion
from audit.services.events import record
from audit.services.people import PROPOSE, check_may, check_second, needs_second
from audit.statement import DeletionStatement
from vertex.errors import ApiError

_STATE = Deletion.State
# What a receipt may still change. Late ones (a vote after the erase) change nothing. A party erases also after its own
# ABORTED, when the attempt went through without it.
_MARKS: dict[str, frozenset[str]] = {
    _STATE.PENDING: frozenset({_STATE.CONFIRMED, _STATE.ERASED, _STATE.ABORTED}),
    _STATE.CONFIRMED: frozenset({_STATE.ERASED, _STATE.ABORTED}),
    _STATE.ABORTED: frozenset({_STATE.ERASED}),
    _STATE.ERASED: frozenset(),
}


@transaction.atomic
def deletion_open(
    *,
    attempt: str,
    party: bytes,
    keygen_id: str,
    own: bool,
    gid: bytes,
    key_id: UUID | None,
    statement: dict[str, Any],
    requested_by: str,
    owner: str | None,
) -> Deletion:
    """The row of an old party in an attempt (`attempt` = rid in hex); opened again it stays as it is.

    Raises ValueError if `statement` is not a `DeletionStatement`.
    """
    shown = DeletionStatement.parse(statement)
    deletion, _ = Deletion.objects.get_or_create(
        attempt=attempt,
        party=party,
        defaults={
            "keygen_id": keygen_id,
            "own": own,
            "gid": gid,
            "key_id": key_id,
            "statement": shown.to_data(),
            "statement_hash": shown.hash(),
            "requested_by": requested_by,
            "owner": owner,
        },
    )
    return deletion


@transaction.atomic
def deletion_ready(*, deletion: Deletion, statement: dict[str, Any] | None = None) -> Deletion:
    """All STORED are at hand: from now on it may be confirmed. A new `statement` voids a proposal made on another one.

    After a decision the statement stays as it was decided on.
    """
    deletion = Deletion.objects.select_for_update().get(pk=deletion.pk)
    deletion.ready_at = deletion.ready_at or timezone.now()
    if statement is not None and deletion.approved_hash is None:
        shown = DeletionStatement.parse(statement)
        if shown.hash() != bytes(deletion.statement_hash):
            deletion.statement, deletion.statement_hash = shown.to_data(), shown.hash()
            deletion.proposed_by = deletion.proposed_at = deletion.proposed_hash = None
    deletion.save()
    return deletion


@transaction.atomic
def deletion_mark(*, attempt: str, party: bytes, state: str) -> bool:
    """What a receipt says: confirmed, erased or aborted. Whether that changed the row; late receipts don't."""
    deletion = Deletion.objects.select_for_update().get(attempt=attempt, party=party)
    if state not in _MARKS[deletion.state]:
        return False
    _enter(deletion, state)
    deletion.save()
    return True


@transaction.atomic
def deletion_confirm(
    *, deletion_id: UUID, actor: str, statement_hash: bytes, reason: str, exports_destroyed: bool
) -> Deletion:
    """Someone's word that this vertex's share may die; with two-person approval the first word only proposes it.

    Gives the row: `confirmed`, or still as it was with `proposed_by` set. Operators and the admin token are held to the
    rule; `system` and ``user:`` actors act by a policy that the caller has evaluated. After an ABORTED this is an order
    to erase, which the receivers of `deletion_confirmed` accept or refuse. Raises ApiError: not_found, already_voted,
    deletion_not_ready, bad_request_params (another statement, exports), policy_validation_failed (may not decide).
    """
    deletion = _own_locked(deletion_id)
    check_may(actor, PROPOSE)
    if deletion.state in (_STATE.CONFIRMED, _STATE.ERASED):
        raise ApiError("already_voted", "the deletion of this share is confirmed already")
    if deletion.ready_at is None:
        raise ApiError("deletion_not_ready", "not every party of the new quorum has stored its share yet")
    if not hmac.compare_digest(statement_hash, bytes(deletion.statement_hash)):
        raise ApiError("bad_request_params", "the statement is not the one that was shown: look at it again")
    if deletion.statement["exports"] and not exports_destroyed:
        raise ApiError("bad_request_params", "this share was exported: state that the exports are destroyed")
    if needs_second(actor) and not _is_second(deletion, actor):
        return _propose(deletion, actor, reason)
    previous = deletion.state
    deletion.exports_destroyed = exports_destroyed
    _decide(deletion, _STATE.CONFIRMED, actor, reason)
    signals.deletion_confirmed.send(sender=Deletion, deletion=deletion, actor=actor, previous=previous)
    _record("deletion.confirmed", deletion, actor, exports_destroyed=exports_destroyed)
    return deletion


@transaction.atomic
def deletion_reject(*, deletion_id: UUID, actor: str, reason: str) -> Deletion:
    """An operator's word to abort; one suffices. Raises ApiError as `deletion_confirm` does."""
    deletion = _own_locked(deletion_id)
    check_may(actor, PROPOSE)
    if deletion.state != _STATE.PENDING:
        raise ApiError("already_voted", "this deletion is decided already")
    previous = deletion.state
    _decide(deletion, _STATE.ABORTED, actor, reason)
    signals.deletion_rejected.send(sender=Deletion, deletion=deletion, actor=actor, previous=previous)
    _record("deletion.rejected", deletion, actor)
    return deletion


def _own_locked(deletion_id: UUID) -> Deletion:
    deletion = Deletion.objects.select_for_update().filter(pk=deletion_id, own=True).first()
    if deletion is None:
        raise ApiError("not_found", "there is no such deletion of a share of this vertex")
    return deletion


def _is_second(deletion: Deletion, actor: str) -> bool:
    """Whether `actor` approves a standing proposal (else proposes). Raises ApiError if that isn't theirs to do."""
    if deletion.proposed_hash is None or bytes(deletion.proposed_hash) != bytes(deletion.statement_hash):
        return False
    check_second(actor=actor, proposed_by=deletion.proposed_by, owner=deletion.owner)
    return True


def _propose(deletion: Deletion, actor: str, reason: str) -> Deletion:
    deletion.proposed_by, deletion.proposed_at = actor, timezone.now()
    deletion.proposed_hash = deletion.statement_hash
    deletion.reason = reason
    deletion.save()
    _record("deletion.proposed", deletion, actor)
    return deletion


def _decide(deletion: Deletion, state: str, actor: str, reason: str) -> None:
    deletion.decided_by, deletion.decided_at = actor, timezone.now()
    deletion.approved_hash = deletion.statement_hash
    deletion.reason = reason or deletion.reason
    _enter(deletion, state)
    deletion.save()


def _enter(deletion: Deletion, state: str) -> None:
    deletion.state = state
    setattr(deletion, f"{state}_at", timezone.now())


def _record(action: str, deletion: Deletion, actor: str, **data: Any) -> None:
    record(
        action=action,
        actor=actor,
        subject=str(deletion.pk),
        data={
            "attempt": deletion.attempt,
            "key_id": str(deletion.key_id),
            "gid": bytes(deletion.gid).hex(),
            "statement": bytes(deletion.statement_hash).hex(),
            "proposed_by": deletion.proposed_by,
            "reason": deletion.reason,
            **data,
        },
    )
