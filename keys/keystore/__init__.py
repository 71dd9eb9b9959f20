"""The keystore: seals what a share follows from, under keys kept outside the database, and erases it verifiably.

``base`` is the interface; ``files``, ``pkcs11`` and ``vault`` are its providers; ``sealing`` is what they share.
"""

from keys.keystore.base import (
    InvalidName,
    Journal,
    JournalChanged,
    JournalExists,
    KeyGone,
    Keys,
    Keystore,
    KeystoreClosed,
    KeystoreError,
    KeystoreUnavailable,
    Tampered,
)
from keys.keystore.opening import keystore

__all__ = [
    "InvalidName",
    "Journal",
    "JournalChanged",
    "JournalExists",
    "KeyGone",
    "Keys",
    "Keystore",
    "KeystoreClosed",
    "KeystoreError",
    "KeystoreUnavailable",
    "Tampered",
    "keystore",
]
