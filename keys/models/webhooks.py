"""Who is told of what happens here, and the outbox of what they are told."""

import uuid

from django.db import models
from django.db.models import Q

from keys.models.people import ApiUser


class WebhookEndpoint(models.Model):
    """A URL that is told of events: of a user's own keys, or, without `user`, of everything here."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(ApiUser, null=True, on_delete=models.CASCADE, related_name="webhooks")
    url = models.CharField(max_length=500)
    events = models.JSONField(default=list)  # names of events; empty: all
    # 32 bytes that sign deliveries, sealed under a key derived from VERTEX_SECRET_KEY (keys.webhooks.signing).
    sealed_secret = models.BinaryField()
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    disabled_at = models.DateTimeField(null=True)  # it answered 410: it wants no more

    class Meta:
        verbose_name = "webhook endpoint"

    def __str__(self) -> str:
        return self.url


class WebhookDelivery(models.Model):
    """A message to one endpoint, written in the transaction that it tells of; sent until it is taken.

    ::

        pending -> delivered | failed
    """

    class State(models.TextChoices):
        PENDING = "pending"
        DELIVERED = "delivered"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=40)
    payload = models.TextField()  # as it is sent and signed, the same at every attempt
    state = models.CharField(max_length=9, choices=State.choices, default=State.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    # When it is due; while it is being sent, when another worker may take it up.
    next_at = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True)  # of the last attempt's answer
    error = models.CharField(max_length=200, default="", blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "webhook delivery"
        verbose_name_plural = "webhook deliveries"
        constraints = [
            models.CheckConstraint(
                name="delivery_ends_with_its_state",
                condition=Q(state="pending", finished_at__isnull=True)
                | Q(state__in=["delivered", "failed"], finished_at__isnull=False),
            )
        ]
        indexes = [
            models.Index(fields=["next_at"], name="delivery_due", condition=Q(state="pending")),
            models.Index(fields=["endpoint", "created_at"], name="delivery_of_endpoint"),
            models.Index(fields=["finished_at"], name="delivery_finished"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.id}"
