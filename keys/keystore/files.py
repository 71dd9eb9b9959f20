"""The keystore as a directory: data keys wrapped under the node's master key, and the journal.

``<root>/keystore`` holds the id and says whether the master key is the right one; ``<root>/keys/<ref>`` one data key
each; ``<root>/journal/<name>`` one record each. Everything is sealed with AES-256-GCM under keys derived from the
master key and the id, and bound to its place: a file moved, renamed or brought in from another keystore doesn't open.
What the directory can't tell is a file put back in an older version (THREAT_MODEL.md).
"""

import os
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.keystore.base import KeyGone
from keys.keystore.directory import Directory, is_wiped
from keys.keystore.journal import FileJournal, Root
from keys.keystore.resealing import reseal
from keys.keystore.sealing import KEY, MasterKeys, Sealer, checked_ref, is_ref, new_ref, seal, unseal


class FileKeystore:
    """Opens the directory, making it if it isn't there. Raises KeystoreClosed, KeystoreUnavailable."""

    kind = "files"
    method = "data key overwritten and unlinked"

    def __init__(self, root: Path, masters: MasterKeys) -> None:
        self._root = Root(root, masters, ("keys", "journal"))
        self.id = self._root.id
        self.keys = FileKeys(self._root.parts["keys"], Sealer(masters, self.id, "data keys"))
        self.journal = FileJournal(self._root.parts["journal"], Sealer(masters, self.id, "journal"))

    def __repr__(self) -> str:
        return f"FileKeystore({self.id})"

    def stale(self) -> list[str]:
        """See `keys.keystore.base.Keystore`."""
        return [*self.keys.stale(), *self.journal.stale(), *self._root.stale()]

    def reseal(self) -> Iterator[str]:
        """See `keys.keystore.base.Keystore`."""
        return reseal((self.keys, self.journal), self._root)


class FileKeys:
    """See `keys.keystore.base.Keys`. No key is kept in memory: destroyed in one process means destroyed in all."""

    def __init__(self, directory: Directory, sealer: Sealer) -> None:
        self._directory = directory
        self._sealer = sealer

    def make(self) -> str:
        ref = new_ref()
        self._directory.create(ref, self._sealer.seal(ref, os.urandom(KEY)))
        return ref

    def wrap(self, ref: str, plaintext: bytes, aad: bytes) -> bytes:
        return seal(self._data_key(ref), plaintext, "wrapped", ref, aad)

    def unwrap(self, ref: str, sealed: bytes, aad: bytes) -> bytes:
        return unseal(self._data_key(ref), sealed, "wrapped", ref, aad)

    def destroy(self, ref: str) -> None:
        self._directory.destroy(checked_ref(ref))

    def exists(self, ref: str) -> bool:
        return self._directory.exists(checked_ref(ref))

    def list(self) -> list[str]:
        return [name for name in self._directory.names() if is_ref(name)]

    def stale(self) -> Iterator[str]:
        for ref in self.list():
            wrapped = self._directory.read(ref)
            if wrapped and not is_wiped(wrapped) and not self._sealer.is_current(wrapped):
                yield ref

    def reseal(self, ref: str) -> bool:
        """Wrap one key under the master key that writes; False when it is, or is gone. The old file is overwritten."""
        return self._directory.update(ref, lambda wrapped: self._sealer.resealed(ref, wrapped), wipe=True)

    def _data_key(self, ref: str) -> AESGCM:
        wrapped = self._directory.read(checked_ref(ref))
        if wrapped and is_wiped(wrapped):  # overwritten: destroyed, or moved by a rotation while it was read
            wrapped = self._directory.read(ref)
        if not wrapped or is_wiped(wrapped):
            raise KeyGone(ref)
        return AESGCM(self._sealer.unseal(ref, wrapped))
