"""To what `web` seals a secret on its way to a worker."""

from django.db import models


class BoxKey(models.Model):
    """An X25519 key of the workers, its private half sealed. The newest is in use; one that has served is replaced and
    destroyed, and with it whatever database and broker keep of what was sealed to it."""

    public = models.BinaryField(max_length=32, unique=True)
    sealed_secret = models.BinaryField()
    data_key = models.CharField(max_length=64)
    used_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = ("view",)
