"""The word of operators, policies and users: recorded in the transaction that decides, cast as a vote by a worker."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.dispatch import receiver
from django.utils import timezone

from audit import services as audit
from audit.models import Deletion
from audit.signals import deletion_confirmed, deletion_rejected
from keys.models import KeyShare
from reshare import notices
from reshare.models import Reshare
from reshare.poke import poke
from reshare.rule.types import OrderKind
from vertex.errors import ApiError

State = Reshare.State


def order(row: Reshare, kind: OrderKind, *, actor: str, reason: str) -> None:
    """Add a standing order to an attempt's locked row, inside the caller's transaction."""
    if kind not in row.orders:
        row.orders |= {str(kind): {"actor": actor, "at": timezone.now().isoformat(), "reason": reason}}
        row.save(update_fields=["orders"])
    poke(row)


def _locked(deletion: Deletion) -> Reshare:
    row = (
        Reshare.objects.select_for_update(of=("self",))
        .select_related("session")
        .filter(rid=bytes.fromhex(deletion.attempt), identity__public=bytes(deletion.party))
        .first()
    )
    if row is None:
        raise ApiError("not_found", "there is no such reshare")
    return row


@receiver(deletion_confirmed)
def confirmed(*, deletion: Deletion, actor: str, previous: str, **_: Any) -> None:
    """The decision to delete: a vote, or after this party's `ABORTED` an order to erase once it is committed. The row
    is `aborted` whoever has aborted, its operator or this party by itself (ledger.follow)."""
    row = _locked(deletion)
    if row.state in (State.FAILED, State.CLEAN, State.SUPERSEDED):
        raise ApiError("already_voted", "this reshare has ended")
    kind = OrderKind.ERASE if previous == Deletion.State.ABORTED else OrderKind.CONFIRM
    order(row, kind, actor=actor, reason=deletion.reason)
    notices.deletion_changed(row, deletion, Deletion.State.CONFIRMED)


@receiver(deletion_rejected)
def rejected(*, deletion: Deletion, actor: str, previous: str, **_: Any) -> None:
    """The decision to abort."""
    order(_locked(deletion), OrderKind.ABORT, actor=actor, reason=deletion.reason)


@transaction.atomic
def confirm(
    *, row: Reshare, actor: str, reason: str, exports_destroyed: bool, statement_hash: bytes | None = None
) -> None:
    """This vertex's word to delete, over the API; the statement is the one at hand where the caller names none."""
    deletion = Deletion.objects.select_for_update().get(id=_deletion(row).id)
    audit.deletion_confirm(
        deletion_id=deletion.id,
        actor=actor,
        statement_hash=statement_hash if statement_hash is not None else bytes(deletion.statement_hash),
        reason=reason,
        exports_destroyed=exports_destroyed,
    )


def abort(*, row: Reshare, actor: str, reason: str) -> None:
    """This vertex's word to abort, over the API."""
    audit.deletion_reject(deletion_id=_deletion(row).id, actor=actor, reason=reason)


def _deletion(row: Reshare) -> Deletion:
    """The ledger row of this vertex's own share in an attempt; raises `deletion_not_ready` before there is one."""
    deletion: Deletion | None = None
    if row.rid is not None:
        deletion = Deletion.objects.filter(attempt=row.attempt, party=bytes(row.identity.public)).first()
    if deletion is None:
        if row.old_share is None:
            raise ApiError("bad_request_params", "this vertex holds no old share in this reshare: it has no vote")
        raise ApiError("deletion_not_ready", "the protocol has not ended: not every party has stored its new share yet")
    return deletion


def confirm_by_policy(row_id: UUID) -> None:
    """A policy's word, for shares whose deletion needs no operator; given once all have stored. Of an exported share
    only a person can say that the exports are destroyed."""
    row = Reshare.objects.select_related("identity", "old_share__policy", "session").get(id=row_id)
    if row.old_share is None or not confirms_itself(row):
        return
    deletion = Deletion.objects.filter(attempt=row.attempt, party=bytes(row.identity.public)).first()
    if deletion is None or deletion.ready_at is None or deletion.statement["exports"]:
        return
    if deletion.state == Deletion.State.PENDING:
        confirm(row=row, actor="system", reason="policy", exports_destroyed=False)


def confirms_itself(row: Reshare) -> bool:
    """Whether the share's policy confirms its deletion; a refresh does so by default, everywhere at once."""
    policy = row.old_share.policy if row.old_share else None
    refresh = row.session is not None and bool(row.session.params.get("refresh"))
    return policy.confirms_deletion if policy is not None else refresh


def hangs(key: KeyShare) -> bool:
    """Whether an attempt at this share's sharing has no known end."""
    return _open_attempts(key).exists()


def may_supersede(key: KeyShare) -> bool:
    """Whether another attempt at this sharing may begin although one has not ended: their operator has said so of every
    open one. Whether it may be dealt is the rule's to say, from the journal."""
    orders = list(_open_attempts(key).values_list("orders", flat=True))
    return bool(orders) and all(str(OrderKind.SUPERSEDE) in each for each in orders)


def _open_attempts(key: KeyShare) -> QuerySet[Reshare]:
    return Reshare.objects.filter(identity=key.identity_id, gid=key.gid, rid__isnull=False, state__in=Reshare.OPEN)
