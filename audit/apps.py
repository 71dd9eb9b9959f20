from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    name = "audit"
    verbose_name = "Audit"

    def ready(self) -> None:
        post_migrate.connect(grant_app_role, sender=self)


def grant_app_role(**kwargs: Any) -> None:
    """After every migrate, so that no new table is without rights, and none has too many."""
    from audit.grants import grant

    grant(settings.VERTEX_APP_ROLE)
