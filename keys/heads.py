"""The signed head of the audit chain, on request: `web` asks, a worker signs."""

from typing import Any
from uuid import UUID

from celery import shared_task
from django.db import transaction

from audit.models import AuditHead
from keys import node, operations
from keys.models import Operation


def head_request(*, operation: Operation) -> None:
    """Hand the call to a worker."""
    transaction.on_commit(lambda: head_task.apply_async(args=(str(operation.id),), queue="life"))


def ask_again() -> int:
    """For the sweep, as keys.create's."""
    asked = operations.unattended(action="audit.head")
    for operation in asked:
        head_task.apply_async(args=(str(operation.id),), queue="life")
    return len(asked)


@shared_task(name="keys.audit_head")
def head_task(operation_id: str) -> None:
    """Sign the chain's end, unless it is signed already, and answer the call with it."""
    head = node.sign_audit_head()
    with transaction.atomic():
        operations.finish(operation_id=UUID(operation_id), result=head_data(head))


def head_data(head: AuditHead) -> dict[str, Any]:
    """A signed head as the API answers it; `signature` is over the bytes of `statement`."""
    return {
        "seq": head.seq,
        "hash": bytes(head.hash).hex(),
        "time": head.time.isoformat(),
        "statement": head.statement,
        "signature": bytes(head.signature).hex(),
    }
