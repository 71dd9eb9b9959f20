"""Calls whose process died between their row and their work: nothing was begun, and nobody else would ever do it."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from keys import operations
from keys.models import Operation
from vertex.errors import ApiError

# What a worker does for these needs no more than the row: the sweep asks for it again. So it does for others whose
# arguments are written down with their beginning.
_BY_TASK = Q(action__endswith=".create") | Q(action="audit.head")
_BATCH = Q(action__endswith=".batch-sign")  # whose requests are asked of rule servers one after the other
BATCH_PATIENCE = timedelta(minutes=10)


def end() -> int:
    """For the sweep: end them as `not_ready`, so that they may be repeated at once, under the same Idempotency-Key.

    Rule servers may still be asked by a process that lives: it then finds its call ended (`still_wanted`).
    """
    patience = timedelta(seconds=10 * settings.VERTEX_SWEEP + 2 * settings.VERTEX_RULE_TIMEOUT)
    old = (Q(created_at__lt=Now() - patience) & ~_BATCH) | Q(created_at__lt=Now() - BATCH_PATIENCE)
    calls = Operation.objects.filter(state=Operation.State.PENDING, session=None, parts=None, arguments={}).filter(old)
    error = ApiError("not_ready", "the call was cut off before anything began: repeat it", retry_after=1)
    found = 0
    for operation_id in calls.exclude(_BY_TASK).values_list("id", flat=True)[:500]:
        with transaction.atomic():
            found += operations.finish(operation_id=operation_id, error=error)
    return found


def still_wanted(operation: Operation) -> None:
    """In the transaction that begins a call's work: raises `not_ready` where it was ended meanwhile."""
    calls = Operation.objects.select_for_update(of=("self",), no_key=True)
    if not calls.filter(id=operation.id, state=Operation.State.PENDING).exists():
        raise ApiError("not_ready", "the call took too long to begin: repeat it", retry_after=1)
