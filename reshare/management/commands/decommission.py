"""`manage.py decommission <key id>`: destroy a party's identity key once every party of the new quorum needs it no
more. Runs where workers do: it opens the keystore."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from reshare.decommission import decommission
from vertex.errors import ApiError


class Command(BaseCommand):
    help = (
        "Destroy the identity key of a party whose shares are gone, and of whose sharings reshares are known to be "
        "complete by all."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("key_id", type=UUID)
        parser.add_argument(
            "--abandon",
            action="store_true",
            help="although others may still need this party's word: a reshare of theirs may then never become "
            "active, and the key is lost. Right only if every other party has deleted its share or is gone for good.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = decommission(key_id=options["key_id"], actor="system", abandon=options["abandon"])
        except ApiError as error:
            raise CommandError(f"kept: {error.message}") from error
        self.stdout.write("identity key destroyed" if done else "was destroyed before")
