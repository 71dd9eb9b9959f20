"""What endpoints can be told of, and writing it to the outbox."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from keys.models import Operation, WebhookDelivery, WebhookEndpoint
from vertex.celery import app

log = structlog.get_logger()
EVENTS = (
    "operation.finished",
    "reshare.state_changed",
    "deletion.pending",
    "deletion.confirmed",
    "deletion.erased",
)
TEST = "webhook.test"
SEND = "keys.webhooks_send"


def announce(event: str, *, user_id: UUID, data: Mapping[str, Any]) -> None:
    """Tell the endpoints that want this event of this user, and those that want it of all, once the transaction has
    committed. ``data``: ids and states, never a secret. Raises RuntimeError outside a transaction."""
    if not connection.in_atomic_block:
        raise RuntimeError("an event is announced in the transaction that it tells of")
    if not settings.VERTEX_WEBHOOK_HOSTS:
        return
    listening = WebhookEndpoint.objects.filter(Q(user=None) | Q(user_id=user_id), disabled_at=None)
    told = [endpoint for endpoint in listening if not endpoint.events or event in endpoint.events]
    write(event, endpoints=told, data={**data, "user_id": str(user_id)})


def write(event: str, *, endpoints: list[WebhookEndpoint], data: Mapping[str, Any]) -> list[WebhookDelivery]:
    """A delivery to each of the endpoints, sent after the commit; the sweep asks again where the broker is gone."""
    if not endpoints:
        return []
    now = timezone.now()
    body = {"type": event, "timestamp": now.isoformat(), "vertex": settings.VERTEX_NAME, "data": data}
    payload = msgspec.json.encode(body).decode()
    rows = [WebhookDelivery(endpoint=each, event=event, payload=payload, next_at=now) for each in endpoints]
    WebhookDelivery.objects.bulk_create(rows)
    transaction.on_commit(lambda: app.send_task(SEND, queue="life"), robust=True)
    return rows


def operation_finished(operation_id: UUID) -> None:
    """An operation has ended, in this transaction; its result is left to `GET /operations/{id}`."""
    if not settings.VERTEX_WEBHOOK_HOSTS:
        return
    operation = Operation.objects.get(id=operation_id)
    if operation.user_id is None or operation.parent_id is not None:
        return  # nobody's, or a part of a batch, which is told of as a whole
    failed = operation.state == Operation.State.FAILED
    data = {
        "operation_id": str(operation.id),
        "action": operation.action,
        "state": operation.state,
        "status": operation.status,
        "err_type": dict(operation.result or {}).get("err_type") if failed else None,
        "request_id": operation.request_id or None,
    }
    announce("operation.finished", user_id=operation.user_id, data=data)
