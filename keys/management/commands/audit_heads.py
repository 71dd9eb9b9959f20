"""``manage.py audit_heads > heads.jsonl``, as a worker: what this vertex has seen of its peers' audit logs, signed.

A peer's operator holds the log against it: ``audit_verify --against heads.jsonl --witness-key this-vertex.pem``.
"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from keys.keystore import KeystoreError
from keys.witness import countersigned
from mpc.identity import decode_keygen_id


class Command(BaseCommand):
    help = "Write the heads of one party's audit log that its receipts carried here, countersigned, as JSON lines."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("party", help="keygen id of the party whose log is to be checked")

    def handle(self, *args: Any, party: str, **options: Any) -> None:
        try:
            lines = list(countersigned(decode_keygen_id(party)))
        except ValueError as error:
            raise CommandError(f"not a keygen id: {error}") from error
        except KeystoreError as error:
            raise CommandError(str(error)) from error
        if not lines:
            raise CommandError("no receipt of this party has carried a head here")
        for line in lines:
            self.stdout.write(line)
