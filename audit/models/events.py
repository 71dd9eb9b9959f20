"""The event log and its signed heads. Both are append-only: a trigger refuses UPDATE and DELETE (first migration)."""

from django.db import models
from django.db.models import Q

from audit.chain import Entry


class Event(models.Model):
    """Something that happened, chained to the event before it; written in the transaction that it tells of."""

    seq = models.BigIntegerField(primary_key=True)
    time = models.DateTimeField()
    action = models.CharField(max_length=64)
    actor = models.CharField(max_length=200)
    subject = models.CharField(max_length=200)
    data = models.JSONField(default=dict)
    previous = models.BinaryField(max_length=32)
    hash = models.BinaryField(max_length=32, unique=True)

    class Meta:
        default_permissions = ("view",)
        permissions = [("export_event", "Can export the event log")]
        constraints = [models.CheckConstraint(name="event_seq_from_one", condition=Q(seq__gte=1))]
        indexes = [
            models.Index(fields=["subject", "seq"], name="event_by_subject"),
            models.Index(fields=["action", "seq"], name="event_by_action"),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.action}"

    @property
    def entry(self) -> Entry:
        return Entry(
            seq=self.seq,
            time=self.time,
            action=self.action,
            actor=self.actor,
            subject=self.subject,
            data=self.data,
            previous=bytes(self.previous),
            hash=bytes(self.hash),
        )


class AuditHead(models.Model):
    """The chain's end at a moment, signed by the vertex's ES256 identity key.

    `signature` (DER) is over `statement`, canonical JSON of format, vertex, seq, hash and time, as it stands here.
    """

    seq = models.BigIntegerField()
    hash = models.BinaryField(max_length=32)
    time = models.DateTimeField()
    statement = models.TextField()
    signature = models.BinaryField()

    class Meta:
        default_permissions = ("view",)
        indexes = [models.Index(fields=["seq"], name="head_by_seq")]

    def __str__(self) -> str:
        return f"head {self.seq}"
