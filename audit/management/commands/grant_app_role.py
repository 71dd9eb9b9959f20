"""``manage.py grant_app_role``: as the tables' owner, after the application's role was made (migrate does it too)."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from audit.grants import grant


class Command(BaseCommand):
    help = "Grant the application's role (VERTEX_APP_ROLE) its rights: no UPDATE or DELETE on the audit log."

    def handle(self, *args: Any, **options: Any) -> None:
        if not grant(settings.VERTEX_APP_ROLE):
            raise CommandError(f"there is no role {settings.VERTEX_APP_ROLE}, or it owns the tables itself")
