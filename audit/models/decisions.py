"""What operators decide besides deletions: one word, or two where two persons must agree, about what was shown."""

import uuid

from django.db import models
from django.db.models import Q


class Decision(models.Model):
    """One decision about one subject; `kind` and `subject` are the caller's, `statement` is what was shown.

    ::

        proposed -> taken | void (what was shown has changed: whoever wants it proposes it again)
    """

    class State(models.TextChoices):
        PROPOSED = "proposed"
        TAKEN = "taken"
        VOID = "void"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=20)
    subject = models.CharField(max_length=100)
    state = models.CharField(max_length=8, choices=State.choices, default=State.PROPOSED)
    statement = models.JSONField()
    statement_hash = models.BinaryField(max_length=32)
    reason = models.CharField(max_length=1000, default="", blank=True)
    proposed_by = models.CharField(max_length=200)
    proposed_at = models.DateTimeField(auto_now_add=True)
    decided_by = models.CharField(max_length=200, null=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ("view",)
        indexes = [models.Index(fields=["kind", "subject"])]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject"], condition=Q(state="proposed"), name="one_open_proposal_per_subject"
            ),
            models.CheckConstraint(
                name="decision_is_whole",
                condition=Q(state="taken", decided_by__isnull=False, decided_at__isnull=False)
                | Q(state__in=["proposed", "void"], decided_by__isnull=True, decided_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)
