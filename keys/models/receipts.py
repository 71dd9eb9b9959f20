"""Receipts as such: signed statements of parties, and the statements (digest preimages) that they are about."""

from django.db import models


class Receipt(models.Model):
    """A verified receipt of any party, kept and re-sent for ever; its carrier needs no trust."""

    fingerprint = models.BinaryField(max_length=32, unique=True)  # TH("receipt-id", encoded)
    subject = models.BinaryField(max_length=32)  # keygen sid or reshare rid
    gid = models.BinaryField(max_length=32)  # the sharing that its party speaks about
    kind = models.CharField(max_length=10)
    party = models.BinaryField(max_length=32)
    encoded = models.BinaryField()
    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["subject", "kind"]), models.Index(fields=["gid", "party"])]


class Statement(models.Model):
    """The preimage of a digest that receipts sign, verified; it travels with them."""

    subject = models.BinaryField(max_length=32)
    digest = models.BinaryField(max_length=32, unique=True)
    preimage = models.BinaryField()

    class Meta:
        indexes = [models.Index(fields=["subject"])]
