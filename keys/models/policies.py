"""Rules of policies, and what they have counted, asked for and heard."""

import uuid

from django.db import models
from django.db.models import Q

from keys.models.people import ApiUser
from keys.models.shares import KeyShare


class Rule(models.Model):
    """One rule. `external` asks a server: parameters ``url``, ``pubkey`` (PEM), ``jwt_alg``; the other kinds are
    built in (`keys.policies.builtin`), each with parameters of its own."""

    EXTERNAL = "external"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=20)
    parameters = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class RuleCount(models.Model):
    """What a rule has let pass for one key in one period: calls, or wei. One row a rule, key and period."""

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="counts")
    # The public key (hex): a key's successors after a reshare go on with its count.
    subject = models.CharField(max_length=80)
    period = models.BigIntegerField()  # its beginning, in seconds since 1970
    ends = models.BigIntegerField(db_index=True)  # its end: the row says nothing any more
    amount = models.DecimalField(max_digits=80, decimal_places=0, default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rule", "subject", "period"], name="one_count_per_period")]


class Approval(models.Model):
    """A call that waits for an operator; it is repeated once that is given, and passes once.

    ::

        pending -> approved -> used
               \\         \\-> expired
                -> denied
    """

    class State(models.TextChoices):
        PENDING = "pending"
        APPROVED = "approved"
        DENIED = "denied"
        USED = "used"
        EXPIRED = "expired"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    rule = models.ForeignKey(Rule, on_delete=models.PROTECT, related_name="approvals")
    share = models.ForeignKey(KeyShare, on_delete=models.PROTECT, related_name="approvals")
    user = models.ForeignKey(ApiUser, on_delete=models.PROTECT, related_name="approvals")
    action = models.CharField(max_length=20)
    request = models.JSONField()
    digest = models.BinaryField(max_length=32)  # of share, action and request, without the room
    state = models.CharField(max_length=8, choices=State.choices, default=State.PENDING)
    created_at = models.DateTimeField(auto_now_add=True)
    decided_by = models.CharField(max_length=200, default="", blank=True)
    decided_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=1000, default="", blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "digest"],
                condition=Q(state__in=["pending", "approved"]),
                name="one_open_approval_per_request",
            )
        ]

    def __str__(self) -> str:
        return str(self.id)


class RuleRequest(models.Model):
    """One question to a rule server: the claims, and the token that a worker signs over them; until it is answered."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="requests")
    claims = models.JSONField()
    token = models.TextField(default="", blank=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
