"""Calls whose work is one task of a worker, which is told the id only: what it needs stands in the call's row.

So a task that was lost, with its worker or with all that the broker remembered, is sent again from the database.
"""

from typing import Any
from uuid import UUID

from django.db import transaction

from keys import operations, unbegun
from keys.models import Operation
from vertex.celery import app


def hand(operation: Operation, *, task: str, arguments: dict[str, Any]) -> None:
    """Give a pending call to a worker. ``arguments`` (JSON) go when the call has ended; a secret in them is sealed.

    Inside the caller's transaction, if it has one. Raises ApiError `not_ready` where the call has ended meanwhile.
    """
    with transaction.atomic():
        unbegun.still_wanted(operation)
        Operation.objects.filter(id=operation.id).update(task=task, arguments=arguments)
        transaction.on_commit(lambda: _send(operation.id, task))


def waiting(operation_id: str) -> Operation | None:
    """A worker's first look at a call: None where it has ended."""
    calls = Operation.objects.select_related("user")
    return calls.filter(id=UUID(operation_id), state=Operation.State.PENDING).first()


def taken(operation_id: UUID) -> bool:
    """Whether the call is this transaction's to do: it waits, and no other worker is at it."""
    calls = Operation.objects.select_for_update(of=("self",), skip_locked=True)
    return calls.filter(id=operation_id, state=Operation.State.PENDING).first() is not None


def ask_again() -> int:
    """For the sweep."""
    asked = operations.unattended(task__gt="")
    for operation in asked:
        _send(operation.id, operation.task)
    return len(asked)


def _send(operation_id: UUID, task: str) -> None:
    app.send_task(task, args=[str(operation_id)], queue="life")
