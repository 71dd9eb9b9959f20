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
        "Destroy the identity key of a party whose shares are gone and whose reshares are known to be complete by all."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("key_id", type=UUID)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = decommission(key_id=options["key_id"], actor="system")
        except ApiError as error:
            raise CommandError(f"kept: {error.message}") from error
        self.stdout.write("identity key destroyed" if done else "was destroyed before")
