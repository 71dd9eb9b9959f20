"""Who may ask: operators (people who log in to the console), API users (software) and the policies that bind both."""

import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q


class Operator(AbstractUser):
    """A person at the console; what they may do follows from the groups viewer, operator, approver and auditor."""

    class Meta(AbstractUser.Meta):
        verbose_name = "operator"
        verbose_name_plural = "operators"


class Policy(models.Model):
    """A named set of rules that every guarded action of a key must pass; without rules it passes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200, unique=True)
    # Deletions of shares under this policy are confirmed without an operator (scheduled refreshes).
    confirms_deletion = models.BooleanField(default=False)
    rules = models.ManyToManyField("keys.Rule", related_name="policies", blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "policies"

    def __str__(self) -> str:
        return self.name


class ApiUser(models.Model):
    """Software that drives this vertex; it has no login. Its owner can't approve what it asked for."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200, unique=True)
    owner = models.ForeignKey(Operator, null=True, blank=True, on_delete=models.PROTECT, related_name="api_users")
    default_policy = models.ForeignKey(Policy, null=True, blank=True, on_delete=models.PROTECT)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "API user"

    def __str__(self) -> str:
        return self.name

    @property
    def owner_name(self) -> str | None:
        """The login of its owner."""
        return self.owner.username if self.owner else None


class ApiKey(models.Model):
    """A token of an API user or, made in the console, of an operator. Stored hashed, shown once.

    A token is ``<public_id>_<secret>``; ``digest`` = SHA-256 of the whole token (the secret has 256 random bits).
    """

    public_id = models.CharField(primary_key=True, max_length=16)
    digest = models.BinaryField(max_length=32)
    user = models.ForeignKey(ApiUser, null=True, blank=True, on_delete=models.CASCADE, related_name="api_keys")
    operator = models.ForeignKey(Operator, null=True, blank=True, on_delete=models.CASCADE, related_name="tokens")
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)  # to the minute

    class Meta:
        verbose_name = "API key"
        constraints = [
            models.CheckConstraint(
                name="api_key_has_one_bearer",
                condition=Q(user__isnull=False, operator__isnull=True) | Q(user__isnull=True, operator__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return self.public_id
