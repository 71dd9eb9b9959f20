"""``manage.py keystore_check``: whether this keystore opens, works, and is the database's; leaves it as it was."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from keys.keystore import Keystore, KeystoreError, keystore
from keys.models import BoxKey, KeyShare, Node, PairState, PartyIdentity, ProtocolSession
from keys.node import known_node

_HOLDERS = (KeyShare, PairState, PartyIdentity, ProtocolSession, Node, BoxKey)


class Command(BaseCommand):
    help = "Check the keystore: a key's whole life, the journal, the database's keystore id, rows without their key."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            store = keystore()
            known_node()
            _key_lives_and_dies(store)
            _journal_writes(store)
            present, records, stale = set(store.keys.list()), len(store.journal.list("")), store.stale()
        except KeystoreError as error:
            raise CommandError(str(error)) from error
        named = _named()
        for ref in sorted(named - present):
            self.stdout.write(f"row without its key (erased): {ref}")
        for ref in sorted(present - named):
            self.stdout.write(f"key without a row (a restored database, or a session that died early): {ref}")
        if stale:
            self.stdout.write(f"{len(stale)} records are under the other master key: keep it, run keystore_rotate")
        if store.kind == "files" and not settings.VERTEX_KEYSTORE_UNCOPIED:
            self.stdout.write("is its volume copied or snapshotted? VERTEX_KEYSTORE_UNCOPIED=1 says that it is not")
        self.stdout.write(f"keystore {store.id} ({store.kind}): {len(present)} keys, {records} journal records")
        if named - present:
            raise CommandError("rows name keys that the keystore does not have")


def _named() -> set[str]:
    return {
        ref
        for model in _HOLDERS
        for ref in model._default_manager.values_list("data_key", flat=True)
        if ref is not None
    }


def _key_lives_and_dies(store: Keystore) -> None:
    ref = store.keys.make()
    try:
        if store.keys.unwrap(ref, store.keys.wrap(ref, b"probe", b"check"), b"check") != b"probe":
            raise KeystoreError("what was sealed does not open as it was")
    finally:
        store.keys.destroy(ref)


def _journal_writes(store: Keystore) -> None:
    name = "check/probe"
    try:
        store.journal.replace(name, b"one")
        store.journal.swap(name, b"one", b"two")
        if store.journal.read(name) != b"two":
            raise KeystoreError("what was written to the journal does not read as it was")
    finally:
        store.journal.destroy(name)
