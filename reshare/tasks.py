"""Tasks of the `life` queue; every one may run twice."""

from uuid import UUID

from celery import shared_task

from reshare.deleting import delete_task
from reshare.executor import advance
from reshare.models import Reshare
from reshare.reconcile import alone, reconcile
from reshare.restoring import agreed_task, restore_task
from vertex.liveness import reconciled

__all__ = ["advance_task", "agreed_task", "delete_task", "reconcile_task", "restore_task"]


@shared_task(name="reshare.advance")
def advance_task(reshare_id: str) -> None:
    """Apply orders, receipts and deadlines to the sharing that an attempt is about."""
    row = Reshare.objects.select_related("identity").get(id=UUID(reshare_id))
    if row.gid is not None:
        advance(bytes(row.identity.public), bytes(row.gid))


@shared_task(name="reshare.reconcile")
def reconcile_task() -> None:
    """Compare database, keystore and journal; until it has passed workers take nothing else. One at a time: `listen`
    asks again and again, and two would make the same lost rows again."""
    with alone() as mine:
        if mine and not reconciled():
            reconcile()
