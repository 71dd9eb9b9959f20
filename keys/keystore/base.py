"""The two small interfaces of a keystore: keys that can be destroyed, and a journal that no restored database touches.

Only workers open one. What is destroyed here is gone from the vertex: neither database nor backup holds it. All
providers keep one promise about failures: who can't answer raises KeystoreUnavailable, and never says "gone" for it; a
write that raised it may or may not have happened, and can be repeated. All calls may be made from any number of
threads.
"""

from collections.abc import Iterator
from typing import Protocol


class KeystoreError(Exception):
    """Something about the keystore is not as it must be; the caller stops."""


class KeystoreClosed(KeystoreError):
    """This process must not use this keystore: no master key or the wrong one, or its place is not what it must be."""


class KeystoreUnavailable(KeystoreError):
    """The keystore can't answer now: full, unreachable, refused, busy. Nothing is known about what was asked."""


class KeyGone(KeystoreError):
    """The data key does not exist (any more): whatever it sealed is erased."""


class Tampered(KeystoreError):
    """Bytes that don't authenticate under their key, name and associated data."""


class JournalExists(KeystoreError):
    """An exclusive create found an entry of that name."""


class JournalChanged(KeystoreError):
    """A check-and-set found another entry than the one expected."""


class InvalidName(KeystoreError):
    """A reference or journal name that this keystore never gives out."""


class Keys(Protocol):
    """Keys of 256 bits, each used for one share, one identity or one protocol session, and destroyed with it."""

    def make(self) -> str:
        """Make a key, durable on return, and give its reference (32 hex digits)."""

    def wrap(self, ref: str, plaintext: bytes, aad: bytes) -> bytes:
        """Seal under the key, at most 256 bytes longer than the plaintext. Raises KeyGone, Tampered (the key's own
        record)."""

    def unwrap(self, ref: str, sealed: bytes, aad: bytes) -> bytes:
        """Open what `wrap` sealed for the same reference and associated data. Raises KeyGone, Tampered."""

    def destroy(self, ref: str) -> None:
        """Destroy the key, durable on return and looked for again: it is gone when this returns. Again is no error."""

    def exists(self, ref: str) -> bool:
        """Whether the key is there; raises KeystoreUnavailable where that can't be told."""

    def list(self) -> list[str]: ...


class Journal(Protocol):
    """Small records, durable on return, authenticated and bound to their names.

    Names are lower-case words, digits and hyphens joined by ``/``: ``acceptor/<gid hex>/<identity hex>``.
    """

    def create(self, name: str, data: bytes) -> None:
        """Write a new entry. Raises JournalExists; of two racing creators one wins."""

    def replace(self, name: str, data: bytes) -> None:
        """Write an entry in place of whatever stands there; a crash leaves the old or the new one."""

    def swap(self, name: str, expected: bytes | None, data: bytes) -> None:
        """Check and set, in one step for all workers: write in place of `expected` (None: no entry). Raises
        JournalChanged."""

    def read(self, name: str) -> bytes | None:
        """The entry, or None. Raises Tampered."""

    def list(self, prefix: str) -> list[str]:
        """The names that start with `prefix`, sorted."""

    def destroy(self, name: str) -> None:
        """Destroy the entry in all its versions, durable on return and looked for again. Again is no error."""


class Keystore(Protocol):
    @property
    def id(self) -> str:
        """Random, made with the keystore (32 hex digits): the database knows which keystore belongs to it."""

    @property
    def kind(self) -> str:
        """What the deletion receipt names as the place of the key: ``files``, ``pkcs11`` or ``vault``."""

    @property
    def method(self) -> str:
        """How a key is destroyed there, for the deletion receipt."""

    @property
    def keys(self) -> Keys: ...

    @property
    def journal(self) -> Journal: ...

    def stale(self) -> list[str]:
        """Names of what is sealed under another master key than the one that writes: what `reseal` has left to do."""

    def reseal(self) -> Iterator[str]:
        """Seal all that again under the master key that writes, while workers read and write; yields each name when it
        is durable. Can be cut short at any point and run again."""
