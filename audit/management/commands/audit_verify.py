"""``manage.py audit_verify``: exit 0 only if the chain, its signed heads and what else it is held against agree.

Exit status as of ``python -m audit.verify``, which checks an exported file where there is no vertex.
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from audit import chain, log
from audit.exported import Unusable, verify_file
from audit.verify import add_checks, checks_of


class Command(BaseCommand):
    help = "Check the audit log's hash chain and signed heads; names the first bad event and exits 1."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--file", type=Path, help="an exported log instead of the table")
        add_checks(parser, key="--pubkey")

    def handle(
        self,
        *args: Any,
        file: Path | None,
        key: Path | None,
        head: list[str],
        against: list[Path],
        witness_key: list[Path],
        **options: Any,
    ) -> None:
        try:
            checks = checks_of(key=key, head=head, against=against, witness_key=witness_key)
            report = log.verify_table(checks) if file is None else verify_file(file, checks)
        except chain.Broken as error:
            raise CommandError(f"the audit log does not hold: {error}") from error
        except (Unusable, OSError, DatabaseError) as error:
            raise CommandError(f"the audit log was not checked: {error}", returncode=2) from error
        for line in report.lines():
            self.stdout.write(line)
