"""What is deleted once its time is over, a little with each sweep, by the database's clock; never what is unfinished.

Sessions, shares, receipts and events are not here: what a vertex has promised, signed or seen it remembers for ever.
"""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, Model, OuterRef, Q, QuerySet

from keys import clock
from keys.models import Operation, ProtocolSession, RuleCount, WebhookDelivery

BATCH = 200  # rows of a kind that one sweep deletes; an operation's parts go with it
GRACE = 3600  # seconds after a count's period in which a call that began in it may still look at it


def forget() -> dict[str, int]:
    """One batch of each kind; how many rows. Idempotent; what is left is the next sweep's."""
    now = clock.now()
    return {
        "operations": _delete(_operations(now), order="finished_at"),
        "deliveries": _delete(_deliveries(now), order="finished_at"),
        "counts": _delete(_counts(now), order="ends"),
    }


def _operations(now: datetime) -> QuerySet[Any]:
    """Calls that ended long ago, with what their Idempotency-Keys answer; not while a session of theirs is open."""
    mine = Q(operation=OuterRef("pk")) | Q(operation__parent=OuterRef("pk"))
    open_sessions = ProtocolSession.objects.filter(mine, finished_at=None)
    ended = Operation.objects.exclude(state=Operation.State.PENDING).filter(
        parent=None, finished_at__lt=now - timedelta(seconds=settings.VERTEX_OPERATION_LIFE)
    )
    return ended.exclude(Exists(open_sessions))


def _deliveries(now: datetime) -> QuerySet[Any]:
    """Messages of webhooks that were taken or given up; one that is pending has no `finished_at`."""
    return WebhookDelivery.objects.filter(finished_at__lt=now - timedelta(seconds=settings.VERTEX_DELIVERY_LIFE))


def _counts(now: datetime) -> QuerySet[Any]:
    """What rules have counted in periods that are over."""
    return RuleCount.objects.filter(ends__lt=int(now.timestamp()) - GRACE)


def _delete(rows: QuerySet[Any], *, order: str) -> int:
    model: type[Model] = rows.model
    ids = list(rows.order_by(order).values_list("pk", flat=True)[:BATCH])
    # Asked again as they are deleted: a delivery may have been sent once more meanwhile.
    _, deleted = rows.filter(pk__in=ids).delete() if ids else (0, {})
    return int(deleted.get(model._meta.label, 0))
