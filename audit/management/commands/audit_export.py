"""``manage.py audit_export > log.jsonl``: the event log and its newest signed head as JSON lines."""

from typing import Any

from django.core.management.base import BaseCommand

from audit import log


class Command(BaseCommand):
    help = "Write the audit log as JSON lines to standard output; audit_verify --file checks it anywhere."

    def handle(self, *args: Any, **options: Any) -> None:
        for line in log.export():
            self.stdout.write(line)
