"""``manage.py backup_open``: where the backup key is kept, opens an encrypted backup and seals it to one vertex."""

import sys
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from django.core.management.base import BaseCommand, CommandError, CommandParser

from keys.backup import BACKUP, FORMAT, TO_VERTEX, Container
from keys.boxes import BoxClosed, seal, unseal
from mpc.errors import Malformed


class Command(BaseCommand):
    help = "Open an encrypted backup (standard input) with the backup key and seal it to a vertex. --new: make a key."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--new", action="store_true", help="write a new backup key to --key, print its public half")
        parser.add_argument("--key", type=Path, required=True, help="file of the private half, 32 bytes in hex")
        parser.add_argument("--vertex", help="the vertex's box key, in hex, as its refusal of the backup names it")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["key"]
        if options["new"]:
            key = X25519PrivateKey.generate()
            path.touch(mode=0o600, exist_ok=False)
            path.write_text(key.private_bytes_raw().hex())
            self.stdout.write(key.public_key().public_bytes_raw().hex())
            return
        try:
            key = X25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text().strip()))
            vertex = bytes.fromhex(options["vertex"] or "")
            given = Container.parse(sys.stdin.read().strip())
            if given.kind != "encrypted":
                raise CommandError("this backup is not sealed to a backup key")
            content = unseal(key, given.body, BACKUP)
            body = vertex + seal(vertex, content, TO_VERTEX)
        except (OSError, ValueError, Malformed, BoxClosed) as error:
            raise CommandError(f"not opened: {error}") from error
        self.stdout.write(Container(format=FORMAT, kind="vertex", body=body).text())
