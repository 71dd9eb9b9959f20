"""``manage.py keystore_rotate``: seal again under the new master key while workers run; cut short, run it again.

The environment is a worker's: ``VERTEX_MASTER_KEY`` is the new key, ``VERTEX_MASTER_KEY_OTHER`` the old one
(docs/keystore.md). Keys that a token or Vault holds are under no master key of ours and are left as they are.
"""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from audit import services as audit
from keys.keystore import KeystoreError, keystore
from keys.node import known_node


class Command(BaseCommand):
    help = "Seal the keystore's records again under VERTEX_MASTER_KEY; the other one must be readable meanwhile."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            node = known_node()
            if node is None:
                raise CommandError("no worker has started with this keystore yet: there is nothing to rotate")
            store, done = keystore(), 0
            for name in store.reseal():
                done += 1
                if options["verbosity"] > 1:
                    self.stdout.write(name)
            left = store.stale()
        except KeystoreError as error:
            raise CommandError(f"not finished, run it again: {error}") from error
        if left:
            raise CommandError(f"{len(left)} records were sealed under the other master key meanwhile: workers use it")
        if done:
            with transaction.atomic():
                audit.record(
                    action="keystore.rotated",
                    actor="system",
                    subject=settings.VERTEX_NAME,
                    data={"keystore": store.id, "kind": store.kind, "records": done},
                )
        self.stdout.write(f"keystore {store.id}: {done} records sealed again, none is left under another master key")
