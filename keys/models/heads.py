"""Heads of other parties' audit chains, as their receipts carried them."""

from django.db import models
from django.db.models import Q


class PeerHead(models.Model):
    """One head of one party; `receipt` is the fingerprint of the receipt that it signed with it, kept beside.

    `number` orders a party's heads as it shared them. `rival` is one that contradicts this one, `conflict` says how.
    """

    party = models.BinaryField(max_length=32)
    receipt = models.BinaryField(max_length=32, unique=True)
    seq = models.BigIntegerField()
    hash = models.BinaryField(max_length=32)
    number = models.BigIntegerField()
    compared = models.BooleanField(default=False)
    rival = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="rivals")
    conflict = models.CharField(max_length=12, blank=True, default="")
    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(name="peer_head_in_range", condition=Q(seq__gte=0, number__gte=1)),
            models.CheckConstraint(
                name="peer_head_conflict_names_its_rival",
                condition=Q(rival=None, conflict="") | (Q(rival__isnull=False) & ~Q(conflict="")),
            ),
        ]
        indexes = [
            models.Index(fields=["party", "number"], name="peer_head_by_number"),
            models.Index(fields=["party", "seq"], name="peer_head_by_seq"),
            models.Index(fields=["id"], name="peer_head_not_compared", condition=Q(compared=False)),
        ]

    def __str__(self) -> str:
        return f"head {self.number} of {bytes(self.party).hex()[:8]}"
