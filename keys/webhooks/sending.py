"""Sending the outbox: a batch is claimed, sent all at once, and each row marked by what its endpoint answered.

A row is leased while it is being sent; a sender that dies leaves it to the next one, so that an endpoint may see a
message twice, with the same `webhook-id`.
"""

import asyncio
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import structlog
from celery import shared_task
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from audit import services as audit
from keys.models import WebhookDelivery, WebhookEndpoint
from keys.webhooks import signing
from keys.webhooks.endpoints import refusal
from keys.webhooks.events import SEND
from vertex import outbound
from vertex.celery import app

log = structlog.get_logger()
State = WebhookDelivery.State
BATCH = 20
TIMEOUT = 10.0  # seconds for a whole attempt
LEASE = timedelta(seconds=60)
GONE = 410
DISABLED = "the endpoint is disabled: it answered 410"
# Seconds before the next attempt: 5, 20, 80, … up to a day; with them the last one comes after some three days.
FIRST, FACTOR, LONGEST = 5, 4, 86_400
MAX_ATTEMPTS = 11
_JITTER = 0.1


@dataclass(frozen=True)
class Answer:
    """What came of an attempt: the status, or why there is none."""

    status: int | None = None
    error: str = ""

    @property
    def taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@shared_task(name=SEND)
def send_task() -> None:
    """Send what is due; asks for another task where there may be more."""
    if send_due() == BATCH:
        app.send_task(SEND, queue="life")


def ask_again() -> bool:
    """For the sweep: whether something is due, for which a worker is asked."""
    due = WebhookDelivery.objects.filter(state=State.PENDING, next_at__lte=Now()).exists()
    if due:
        app.send_task(SEND, queue="life")
    return due


def send_due() -> int:
    """One batch, at most `TIMEOUT` long; how many it had."""
    claimed = _claim()
    if claimed:
        connection.close()  # none is held while others are waited for
        for delivery, answer in zip(claimed, outbound.run(_send_all(claimed)), strict=True):
            _note(delivery, answer)
    return len(claimed)


@transaction.atomic
def _claim() -> list[WebhookDelivery]:
    due = WebhookDelivery.objects.filter(state=State.PENDING, next_at__lte=Now()).select_related("endpoint")
    rows = list(due.select_for_update(skip_locked=True, of=("self",)).order_by("next_at")[:BATCH])
    WebhookDelivery.objects.filter(id__in=[row.id for row in rows]).update(
        next_at=Now() + LEASE, attempts=F("attempts") + 1
    )
    for row in rows:
        row.attempts += 1
    return rows


async def _send_all(deliveries: Iterable[WebhookDelivery]) -> list[Answer]:
    # No proxy and no certificates from the environment, no redirect out of the list of hosts.
    async with httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False, trust_env=False) as client:
        return await asyncio.gather(*(_send(client, delivery) for delivery in deliveries))


async def _send(client: httpx.AsyncClient, delivery: WebhookDelivery) -> Answer:
    endpoint, payload = delivery.endpoint, delivery.payload.encode()
    if endpoint.disabled_at is not None:
        return Answer(error=DISABLED)
    if (why := refusal(endpoint.url)) is not None:
        return Answer(error=why)
    try:
        secret = signing.unseal(bytes(endpoint.sealed_secret), endpoint=endpoint.id)
        signed = signing.headers(
            secret, message_id=f"msg_{delivery.id.hex}", timestamp=int(time.time()), payload=payload
        )
        headers = {"content-type": "application/json", "user-agent": "vertex-webhooks", **signed}
        async with (
            asyncio.timeout(TIMEOUT),
            client.stream("POST", endpoint.url, content=payload, headers=headers) as response,
        ):
            return Answer(status=response.status_code)  # its body is never read
    except signing.Unsealable:
        return Answer(error="the secret was sealed under another VERTEX_SECRET_KEY: make the endpoint again")
    except TimeoutError:
        return Answer(error=f"no answer within {TIMEOUT:.0f} s")
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return Answer(error=type(error).__name__)


@transaction.atomic
def _note(delivery: WebhookDelivery, answer: Answer) -> None:
    """Only while this attempt is the last one: a sender whose lease ran out changes nothing."""
    fields: dict[str, Any] = {"status": answer.status, "error": answer.error[:200]}
    gone = answer.status == GONE
    if answer.taken:
        fields |= {"state": State.DELIVERED, "finished_at": Now()}
    elif gone or delivery.endpoint.disabled_at is not None or delivery.attempts >= MAX_ATTEMPTS:
        fields |= {"state": State.FAILED, "finished_at": Now()}
    else:
        fields["next_at"] = Now() + _pause(delivery.attempts)
    mine = WebhookDelivery.objects.filter(id=delivery.id, state=State.PENDING, attempts=delivery.attempts)
    if not mine.update(**fields):
        return
    log.info(
        "webhook_sent",
        delivery=str(delivery.id),
        attempts=delivery.attempts,
        state=fields.get("state", State.PENDING),
        status=answer.status,
        error=answer.error,
    )
    if gone:
        _disable(delivery.endpoint)


def _pause(attempts: int) -> timedelta:
    """Before the next attempt, a little scattered: many deliveries that failed together come back one by one."""
    seconds = min(LONGEST, FIRST * FACTOR ** (attempts - 1))
    scatter = 1 + _JITTER * (secrets.randbelow(2001) - 1000) / 1000
    return timedelta(seconds=seconds * scatter)


def _disable(endpoint: WebhookEndpoint) -> None:
    """It says that it wants no more (410): what is still to be sent has failed too."""
    if not WebhookEndpoint.objects.filter(id=endpoint.id, disabled_at=None).update(disabled_at=timezone.now()):
        return
    endpoint.deliveries.filter(state=State.PENDING).update(state=State.FAILED, finished_at=Now(), error=DISABLED)
    audit.record(action="webhook.disabled", actor="system", subject=str(endpoint.id), data={"url": endpoint.url})
