"""Answers about webhooks."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Webhook:
    """Who is told of which events; all where `events` is empty."""

    webhook_id: str
    url: str
    events: tuple[str, ...]
    user_id: str | None
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True)
class NewWebhook(Webhook):
    """`secret` signs its messages: told this once and not shown by `repr`."""

    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Delivery:
    """What an endpoint was told, or is still to be told."""

    delivery_id: str
    event: str
    state: str
    attempts: int
    next_at: datetime | None
    status: int | None
    error: str
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class DeliveryId:
    """A delivery's name."""

    delivery_id: str
