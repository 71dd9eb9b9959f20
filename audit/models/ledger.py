"""The deletion ledger: which old share of which reshare must die, who decided it, and whether it is gone."""

import uuid

from django.db import models
from django.db.models import F, Q


class Deletion(models.Model):
    """One old party's share in one reshare attempt; `own` marks this vertex's share, the one that is decided here.

    ::

        pending -> confirmed -> erased
           |           |          ^
           +-----------+-> aborted (a share is also erased after its party's ABORTED, by an attempt that went through)

    `proposed_*` and `approved_hash` serve two-person approval: an approval names the hash of the statement shown.
    """

    class State(models.TextChoices):
        PENDING = "pending"
        CONFIRMED = "confirmed"
        ERASED = "erased"
        ABORTED = "aborted"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    attempt = models.CharField(max_length=64)  # rid, hex
    party = models.BinaryField(max_length=32)
    keygen_id = models.CharField(max_length=120)
    own = models.BooleanField()
    gid = models.BinaryField(max_length=32)
    key_id = models.UUIDField(null=True)
    state = models.CharField(max_length=9, choices=State.choices, default=State.PENDING)
    statement = models.JSONField()  # audit.statement.DeletionStatement
    statement_hash = models.BinaryField(max_length=32)
    requested_by = models.CharField(max_length=200)
    owner = models.CharField(max_length=150, null=True)  # operator who owns the API user who asked
    ready_at = models.DateTimeField(null=True)  # since when it may be confirmed: all STORED at hand
    proposed_by = models.CharField(max_length=200, null=True)
    proposed_at = models.DateTimeField(null=True)
    proposed_hash = models.BinaryField(max_length=32, null=True)
    decided_by = models.CharField(max_length=200, null=True)
    decided_at = models.DateTimeField(null=True)
    approved_hash = models.BinaryField(max_length=32, null=True)
    reason = models.CharField(max_length=1000, default="", blank=True)
    exports_destroyed = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    confirmed_at = models.DateTimeField(null=True)
    erased_at = models.DateTimeField(null=True)
    aborted_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ("view",)
        permissions = [
            ("propose_deletion", "Can propose or reject the deletion of a share"),
            ("approve_deletion", "Can approve the deletion that another operator proposed"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["attempt", "party"], name="one_deletion_per_attempt_and_party"),
            models.CheckConstraint(
                name="deletion_time_follows_state",
                condition=Q(state="pending", confirmed_at__isnull=True, erased_at__isnull=True, aborted_at__isnull=True)
                | Q(state="confirmed", confirmed_at__isnull=False, erased_at__isnull=True)
                | Q(state="erased", erased_at__isnull=False)
                | Q(state="aborted", aborted_at__isnull=False, erased_at__isnull=True),
            ),
            models.CheckConstraint(
                name="own_deletion_names_its_share", condition=Q(own=False) | Q(key_id__isnull=False)
            ),
            models.CheckConstraint(
                name="own_deletion_confirmed_when_ready",
                condition=Q(own=False) | ~Q(state="confirmed") | Q(ready_at__isnull=False),
            ),
            models.CheckConstraint(
                name="deletion_proposal_is_whole",
                condition=Q(proposed_by__isnull=True, proposed_at__isnull=True, proposed_hash__isnull=True)
                | Q(proposed_by__isnull=False, proposed_at__isnull=False, proposed_hash__isnull=False),
            ),
            models.CheckConstraint(
                name="deletion_decision_is_whole",
                condition=Q(decided_by__isnull=True, decided_at__isnull=True, approved_hash__isnull=True)
                | Q(decided_by__isnull=False, decided_at__isnull=False, approved_hash__isnull=False),
            ),
            models.CheckConstraint(
                name="deletion_approved_as_shown",
                condition=Q(approved_hash__isnull=True) | Q(approved_hash=F("statement_hash")),
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def is_open(self) -> bool:
        return self.state == self.State.PENDING
