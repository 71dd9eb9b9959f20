"""The keystore: seals what a share follows from, under keys kept outside the database, and erases it verifiably."""

from functools import lru_cache
from pathlib import Path

from django.conf import settings

from keys.keystore.base import (
    InvalidName,
    Journal,
    JournalExists,
    KeyGone,
    Keys,
    Keystore,
    KeystoreClosed,
    KeystoreError,
    Tampered,
)
from keys.keystore.files import FileKeystore

__all__ = [
    "InvalidName",
    "Journal",
    "JournalExists",
    "KeyGone",
    "Keys",
    "Keystore",
    "KeystoreClosed",
    "KeystoreError",
    "Tampered",
    "keystore",
]


def keystore() -> Keystore:
    """This vertex's keystore, opened once per process; KeystoreClosed where the process has no master key."""
    if not settings.VERTEX_KEYSTORE or not settings.VERTEX_MASTER_KEY:
        raise KeystoreClosed("this process has no keystore: VERTEX_KEYSTORE and VERTEX_MASTER_KEY are for workers")
    return _open(settings.VERTEX_KEYSTORE, settings.VERTEX_MASTER_KEY)


@lru_cache(maxsize=4)
def _open(path: str, master_key: str) -> Keystore:
    try:
        key = bytes.fromhex(master_key)
    except ValueError:
        raise KeystoreClosed("VERTEX_MASTER_KEY is 32 bytes in hex") from None
    return FileKeystore(Path(path), key)
