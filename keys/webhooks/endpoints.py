"""Endpoints: writes, and which URLs may be one."""

from urllib.parse import SplitResult, urlsplit
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from audit import services as audit
from keys.models import ApiUser, WebhookDelivery, WebhookEndpoint
from keys.webhooks import signing
from keys.webhooks.events import SEND, TEST, write
from vertex.celery import app
from vertex.errors import ApiError

MAX_ENDPOINTS = 20  # of one user, or of the admins together
_PORTS = {"https": 443, "http": 80}


def refusal(url: str) -> str | None:
    """Why a URL may not be told of anything; None where it may. The list of hosts is what keeps webhooks from reaching
    into the operator's network, so without it there are none."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return "not a URL"
    schemes = ("https", "http") if settings.INSECURE_HTTP else ("https",)
    if parts.scheme not in schemes or not _plain(url, parts):
        return f"a URL is {' or '.join(schemes)}://host[:port]/path, without user, fragment and white space"
    allowed = settings.VERTEX_WEBHOOK_HOSTS
    if f"{parts.hostname}:{port}" in allowed or (port == _PORTS[parts.scheme] and parts.hostname in allowed):
        return None
    return "this host is not on the vertex's list of webhook hosts (VERTEX_WEBHOOK_HOSTS)"


def _plain(url: str, parts: SplitResult) -> bool:
    written = url.isascii() and url.isprintable() and not set(url) & set(' \\"<>^`{|}')
    return written and bool(parts.hostname) and "@" not in parts.netloc and "#" not in url


@transaction.atomic
def endpoint_create(*, url: str, events: list[str], user: ApiUser | None, actor: str) -> tuple[WebhookEndpoint, str]:
    """An endpoint and its secret, shown once. Raises ApiError: bad_request_params."""
    if (why := refusal(url)) is not None:
        raise ApiError("bad_request_params", f"url: {why}")
    if WebhookEndpoint.objects.filter(user=user).count() >= MAX_ENDPOINTS:
        raise ApiError("bad_request_params", f"there are {MAX_ENDPOINTS} endpoints already")
    secret = signing.new_secret()
    endpoint = WebhookEndpoint(url=url, events=sorted(set(events)), user=user, created_by=actor)
    endpoint.sealed_secret = signing.seal(secret, endpoint=endpoint.id)
    endpoint.save(force_insert=True)
    data = {"url": url, "events": endpoint.events, "user": str(user.id) if user else None}
    audit.record(action="webhook.created", actor=actor, subject=str(endpoint.id), data=data)
    return endpoint, signing.shown(secret)


@transaction.atomic
def endpoint_delete(*, endpoint: WebhookEndpoint, actor: str) -> None:
    """Remove an endpoint, with what it has not been told yet."""
    endpoint_id, url = endpoint.id, endpoint.url
    endpoint.delete()
    audit.record(action="webhook.deleted", actor=actor, subject=str(endpoint_id), data={"url": url})


@transaction.atomic
def endpoint_test(*, endpoint: WebhookEndpoint) -> WebhookDelivery:
    """A message that tells nothing, to see whether it arrives."""
    [delivery] = write(TEST, endpoints=[endpoint], data={"endpoint_id": str(endpoint.id)})
    return delivery


@transaction.atomic
def delivery_retry(*, delivery_id: UUID, actor: str) -> None:
    """Send a delivery that was given up, again from the first attempt. Raises ApiError."""
    State = WebhookDelivery.State
    rows = WebhookDelivery.objects.filter(id=delivery_id, state=State.FAILED, endpoint__disabled_at=None).update(
        state=State.PENDING, attempts=0, next_at=Now(), finished_at=None, error=""
    )
    if not rows:
        raise ApiError("bad_request_params", "only a failed delivery to an enabled endpoint can be sent again")
    audit.record(action="webhook.retried", actor=actor, subject=str(delivery_id), data={})
    transaction.on_commit(lambda: app.send_task(SEND, queue="life"), robust=True)
