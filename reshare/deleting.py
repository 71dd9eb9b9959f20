"""DELETE of a share by its user: it gives up an active one, and confirms the deletion of a retiring one."""

from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.db import transaction

from audit import services as audit
from keys import handed, operations
from keys.actions import AGAIN, GOING, VOTE, require
from keys.models import ApiUser, KeyShare, Operation
from keys.policies.check import policy_check
from keys.selectors import key_of
from keys.sessions.services import in_flight
from reshare import orders, sharing_orders
from reshare.executor import advance
from reshare.models import Reshare, SharingOrder
from reshare.rule.types import Kind
from vertex.errors import ApiError
from vertex.requests import caused_by

State = KeyShare.State


def delete_request(*, user: ApiUser, operation: Operation, key_id: UUID, scheme: str) -> None:
    """The user's word that its share dies; a worker erases it, or casts the vote. Raises ApiError."""
    found = key_of(user=user, key_id=key_id, scheme=scheme)
    if require(found, "delete") not in (AGAIN, GOING):  # there is nothing left to decide
        policy_check(key=found, action="delete", fields={"key_id": found.id})
    _begin(user, operation, found)


@transaction.atomic
def _begin(user: ApiUser, operation: Operation, found: KeyShare) -> None:
    key = KeyShare.objects.select_for_update(of=("self",)).select_related("identity").get(id=found.id)
    word = require(key, "delete")
    actor = f"user:{user.id}"
    if word == AGAIN:
        operations.finish(operation_id=operation.id, result={})
        return
    if word == VOTE:
        _confirm(key, actor)
    elif word != GOING and in_flight(key):
        raise ApiError("reshare_conflict", "a protocol that makes or deals this share is under way")
    elif key.state == State.CREATED:
        KeyShare.objects.filter(id=key.id, state=State.CREATED).update(state=State.DISCARDED)
        operations.finish(operation_id=operation.id, result={})
    elif word != GOING:
        sharing_orders.give_up(identity=key.identity, gid=bytes(key.gid or b""), actor=actor)
    audit.record(action="share.deletion_asked", actor=actor, subject=str(key.id), data={"state": key.state})
    if key.state != State.CREATED:
        handed.hand(operation, task="reshare.delete", arguments={"key_id": str(key.id)})


def _confirm(key: KeyShare, actor: str) -> None:
    """A retiring share: the vote, where a policy gives it to the user."""
    rows = Reshare.objects.select_related("identity", "old_share__policy", "session").filter(
        old_share=key, rid__isnull=False, state__in=Reshare.OPEN
    )
    row = rows.order_by("-k", "-rid").first()
    if row is None or not orders.confirms_itself(row):
        where = f"{settings.VERTEX_PUBLIC_URL}/console/"
        raise ApiError("deletion_not_ready", f"an operator of this vertex must confirm this deletion, at {where}")
    try:
        orders.confirm(row=row, actor=actor, reason="deleted by its user", exports_destroyed=False)
    except ApiError as error:
        if error.err_type != "already_voted":
            raise


@shared_task(name="reshare.delete")
def delete_task(operation_id: str) -> None:
    """Do it, and answer once it is durable."""
    operation = handed.waiting(operation_id)
    if operation is None:
        return
    key = KeyShare.objects.select_related("identity").get(id=UUID(operation.arguments["key_id"]))
    identity, gid = bytes(key.identity.public), bytes(key.gid or b"")
    with caused_by(operation.request_id):
        seen = advance(identity, gid)
    key.refresh_from_db()
    hanging = [rid for rid, row in seen.rows.items() if row.state in Reshare.OPEN]
    confirmed = any(vote is not None and vote.kind == Kind.CONFIRMED for vote in map(seen.view.acceptor.vote, hanging))
    with transaction.atomic():
        if key.state == State.ERASED or (key.state != State.ACTIVE and confirmed):
            operations.finish(operation_id=operation.id, result={})
            return
        if key.state == State.SUPERSEDED:
            error = ApiError("share_superseded", "this share was superseded and is about to be erased: ask again")
            operations.finish(operation_id=operation.id, error=error)
            return
        # An attempt began meanwhile: the order must not wait for its end and then surprise.
        SharingOrder.objects.filter(identity=key.identity, gid=gid, kind=SharingOrder.Kind.DELETE).delete()
        error = ApiError("reshare_conflict", "a reshare of this share is in flight")
        operations.finish(operation_id=operation.id, error=error)
