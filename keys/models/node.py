"""What this vertex is to outsiders, and which keystore belongs to its database."""

from django.db import models
from django.db.models import Q


class Node(models.Model):
    """One row: the ES256 identity key (rule servers, audit heads), private half sealed, and the keystore's id."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    keystore_id = models.CharField(max_length=32)
    public_pem = models.TextField()
    sealed_secret = models.BinaryField()
    data_key = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = ("view",)
        constraints = [models.CheckConstraint(name="one_node", condition=Q(id=1))]
