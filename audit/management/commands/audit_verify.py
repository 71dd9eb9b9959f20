"""``manage.py audit_verify [--file log.jsonl] [--pubkey vertex.pem]``: exit 0 only if the chain and its heads hold."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit import chain, log


class Command(BaseCommand):
    help = "Check the audit log's hash chain and signed heads; names the first bad event and exits 1."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--file", type=Path, help="an exported log instead of the table")
        parser.add_argument(
            "--pubkey", type=Path, help="the vertex's public key (GET /identity-pubkey): check signatures"
        )

    def handle(self, *args: Any, file: Path | None, pubkey: Path | None, **options: Any) -> None:
        try:
            pem = pubkey.read_bytes() if pubkey else None
            if file is None:
                seq, digest = log.verify_table(pem)
            else:
                with file.open(encoding="ascii") as lines:
                    seq, digest = log.verify_lines(lines, pem)
        except (chain.Broken, ValueError, OSError) as error:
            raise CommandError(f"the audit log does not hold: {error}") from error
        self.stdout.write(f"ok: {seq} events, head {digest.hex()}")
