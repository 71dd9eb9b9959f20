"""``manage.py keystore_check``: whether this keystore opens, works, and is the database's; changes nothing."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from keys.keystore import KeystoreError, keystore
from keys.models import KeyShare, Node, PairState, PartyIdentity, ProtocolSession

_HOLDERS = (KeyShare, PairState, PartyIdentity, ProtocolSession, Node)


class Command(BaseCommand):
    help = "Check the keystore: master key, a sealing round trip, the database's keystore id, rows without their key."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            store = keystore()
            _round_trip()
        except (KeystoreError, OSError) as error:
            raise CommandError(str(error)) from error
        node = Node.objects.first()
        if node is not None and node.keystore_id != store.id:
            raise CommandError(f"the database belongs to keystore {node.keystore_id}, this is {store.id}")
        present, named = set(store.keys.list()), _named()
        for ref in sorted(named - present):
            self.stdout.write(f"row without its key (erased): {ref}")
        for ref in sorted(present - named):
            self.stdout.write(f"key without a row (a restored database, or a session that died early): {ref}")
        records = len(store.journal.list(""))
        self.stdout.write(f"keystore {store.id}: {len(present)} keys, {records} journal records")
        if named - present:
            raise CommandError("rows name keys that the keystore does not have")


def _named() -> set[str]:
    return {
        ref
        for model in _HOLDERS
        for ref in model._default_manager.values_list("data_key", flat=True)
        if ref is not None
    }


def _round_trip() -> None:
    keys = keystore().keys
    ref = keys.make()
    try:
        if keys.unwrap(ref, keys.wrap(ref, b"probe", b"check"), b"check") != b"probe":
            raise KeystoreError("what was sealed does not open as it was")
    finally:
        keys.destroy(ref)
