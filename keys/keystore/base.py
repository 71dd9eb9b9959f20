"""The two small interfaces of a keystore: keys that can be destroyed, and a journal that no restored database touches.

Only workers open one. What is destroyed here is gone from the vertex: neither database nor backup holds it.
"""

from typing import Protocol


class KeystoreError(Exception):
    """Something about the keystore is not as it must be; the caller stops."""


class KeystoreClosed(KeystoreError):
    """This process has no keystore: no master key, the wrong one, or a directory that others can read."""


class KeyGone(KeystoreError):
    """The data key does not exist (any more): whatever it sealed is erased."""


class Tampered(KeystoreError):
    """Bytes that don't authenticate under their key, name and associated data."""


class JournalExists(KeystoreError):
    """An exclusive create found an entry of that name."""


class InvalidName(KeystoreError):
    """A reference or journal name that this keystore never gives out."""


class Keys(Protocol):
    """Data keys of 32 bytes, each used for one share, one identity or one protocol session, and destroyed with it."""

    def make(self) -> str:
        """Make a key, durable on return, and give its reference (32 hex digits)."""

    def wrap(self, ref: str, plaintext: bytes, aad: bytes) -> bytes:
        """Seal under the key: ``len(plaintext) + 29`` bytes. Raises KeyGone, Tampered (the key's own file)."""

    def unwrap(self, ref: str, sealed: bytes, aad: bytes) -> bytes:
        """Open what `wrap` sealed for the same reference and associated data. Raises KeyGone, Tampered."""

    def destroy(self, ref: str) -> None:
        """Destroy the key, durable on return; again is no error."""

    def exists(self, ref: str) -> bool: ...

    def list(self) -> list[str]: ...


class Journal(Protocol):
    """Small records, durable on return, authenticated and bound to their names.

    Names are lower-case words, digits and hyphens joined by ``/``: ``acceptor/<gid hex>/<identity hex>``.
    """

    def create(self, name: str, data: bytes) -> None:
        """Write a new entry. Raises JournalExists; of two racing creators one wins."""

    def replace(self, name: str, data: bytes) -> None:
        """Write an entry in place of whatever stands there; a crash leaves the old or the new one."""

    def read(self, name: str) -> bytes | None:
        """The entry, or None. Raises Tampered."""

    def list(self, prefix: str) -> list[str]:
        """The names that start with `prefix`, sorted."""

    def destroy(self, name: str) -> None:
        """Destroy the entry, durable on return; again is no error."""


class Keystore(Protocol):
    @property
    def id(self) -> str:
        """Random, made with the keystore (32 hex digits): the database knows which keystore belongs to it."""

    @property
    def kind(self) -> str:
        """What the deletion receipt names as the place of the key: ``files``."""

    @property
    def keys(self) -> Keys: ...

    @property
    def journal(self) -> Journal: ...
