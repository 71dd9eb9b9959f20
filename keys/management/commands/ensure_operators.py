"""``manage.py ensure_operators < operators.json``: ``[{"username", "password", "groups": [...]}]``, idempotent."""

import sys
from typing import Any

import msgspec
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from keys.operators import OperatorEntry, groups_ensure, operator_ensure


class Command(BaseCommand):
    help = "Make the operators' groups and the operators given as JSON on standard input."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            entries = msgspec.json.decode(sys.stdin.buffer.read(), type=list[OperatorEntry])
            groups_ensure()
            changed = [entry.username for entry in entries if operator_ensure(entry=entry, actor="system")]
        except (ValueError, ValidationError) as error:
            raise CommandError(f"stopped: {error}") from error
        self.stdout.write(f"{len(entries)} operators, changed: {', '.join(changed) or 'none'}")
