"""The keystore as a directory: data keys wrapped under the node's master key, and the journal.

``<root>/keystore`` holds the id and says whether the master key is the right one; ``<root>/keys/<ref>`` one data key
each; ``<root>/journal/<name>`` one record each, ``/`` written as ``.``. Everything is sealed with AES-256-GCM under
keys derived from the master key and the id, and bound to its place: a file moved, renamed or brought in from another
keystore doesn't open. What the directory can't tell is a file put back in an older version (THREAT_MODEL.md).
"""

import os
import re
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keys.keystore.base import InvalidName, JournalExists, KeyGone, KeystoreClosed, Tampered
from keys.keystore.directory import Directory

_VERSION = b"\x01"
_NONCE = 12
_TAG = 16
_OVERHEAD = len(_VERSION) + _NONCE + _TAG
_ID = 16
_DATA_KEY = 32
_REF = re.compile(r"[0-9a-f]{32}\Z")
_JOURNAL_NAME = re.compile(r"[a-z0-9-]+(/[a-z0-9-]+)*\Z")
_JOURNAL_NAME_LENGTH = 200


class FileKeystore:
    """Opens the directory, making it if it isn't there. Raises KeystoreClosed."""

    kind = "files"

    def __init__(self, root: Path, master_key: bytes) -> None:
        if len(master_key) != 32:
            raise KeystoreClosed("the master key has 32 bytes")
        directory = Directory(root)
        identifier = directory.read("keystore") or _initialise(directory, master_key)
        self.id = _opened_id(identifier, master_key)
        self.keys = FileKeys(Directory(root / "keys"), _derived(master_key, self.id, "data keys"))
        self.journal = FileJournal(Directory(root / "journal"), _derived(master_key, self.id, "journal"))

    def __repr__(self) -> str:
        return f"FileKeystore({self.id})"


class FileKeys:
    """See `keys.keystore.base.Keys`. No key is kept in memory: destroyed in one process means destroyed in all."""

    def __init__(self, directory: Directory, wrapping: AESGCM) -> None:
        self._directory = directory
        self._wrapping = wrapping

    def make(self) -> str:
        ref = os.urandom(16).hex()
        self._directory.create(ref, _seal(self._wrapping, os.urandom(_DATA_KEY), "key", ref))
        return ref

    def wrap(self, ref: str, plaintext: bytes, aad: bytes) -> bytes:
        return _seal(self._data_key(ref), plaintext, "wrapped", ref, aad)

    def unwrap(self, ref: str, sealed: bytes, aad: bytes) -> bytes:
        return _unseal(self._data_key(ref), sealed, "wrapped", ref, aad)

    def destroy(self, ref: str) -> None:
        self._directory.destroy(_checked_ref(ref))

    def exists(self, ref: str) -> bool:
        return self._directory.exists(_checked_ref(ref))

    def list(self) -> list[str]:
        return self._directory.names()

    def _data_key(self, ref: str) -> AESGCM:
        wrapped = self._directory.read(_checked_ref(ref))
        if not wrapped or not any(wrapped):  # overwritten: a destroy is on its way or was cut short
            raise KeyGone(ref)
        return AESGCM(_unseal(self._wrapping, wrapped, "key", ref))


class FileJournal:
    """See `keys.keystore.base.Journal`."""

    def __init__(self, directory: Directory, sealing: AESGCM) -> None:
        self._directory = directory
        self._sealing = sealing

    def create(self, name: str, data: bytes) -> None:
        try:
            self._directory.create(_file_name(name), _seal(self._sealing, data, "journal", name))
        except FileExistsError:
            raise JournalExists(name) from None

    def replace(self, name: str, data: bytes) -> None:
        self._directory.replace(_file_name(name), _seal(self._sealing, data, "journal", name))

    def read(self, name: str) -> bytes | None:
        sealed = self._directory.read(_file_name(name))
        if sealed is None or (sealed and not any(sealed)):
            return None
        return _unseal(self._sealing, sealed, "journal", name)

    def list(self, prefix: str) -> list[str]:
        names = (file_name.replace(".", "/") for file_name in self._directory.names())
        return sorted(name for name in names if name.startswith(prefix))

    def destroy(self, name: str) -> None:
        self._directory.destroy(_file_name(name))


def _initialise(directory: Directory, master_key: bytes) -> bytes:
    identifier = os.urandom(_ID)
    sealed = identifier + _seal(_derived(master_key, identifier.hex(), "id"), b"", "id")
    try:
        directory.create("keystore", sealed)
    except FileExistsError:  # another worker of this vertex was faster
        return directory.read("keystore") or b""
    return sealed


def _opened_id(sealed: bytes, master_key: bytes) -> str:
    identifier = sealed[:_ID].hex()
    try:
        _unseal(_derived(master_key, identifier, "id"), sealed[_ID:], "id")
    except Tampered:
        raise KeystoreClosed("this master key does not open this keystore") from None
    return identifier


def _derived(master_key: bytes, identifier: str, purpose: str) -> AESGCM:
    info = b"vertex/keystore/1/" + purpose.encode()
    return AESGCM(HKDF(SHA256(), length=32, salt=bytes.fromhex(identifier), info=info).derive(master_key))


def _seal(key: AESGCM, plaintext: bytes, purpose: str, place: str = "", aad: bytes = b"") -> bytes:
    nonce = os.urandom(_NONCE)
    return _VERSION + nonce + key.encrypt(nonce, plaintext, _bound(purpose, place, aad))


def _unseal(key: AESGCM, sealed: bytes, purpose: str, place: str = "", aad: bytes = b"") -> bytes:
    if len(sealed) < _OVERHEAD or sealed[:1] != _VERSION:
        raise Tampered("not a sealed value of this version")
    try:
        return key.decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], _bound(purpose, place, aad))
    except InvalidTag:
        raise Tampered("does not open with this key, place and associated data") from None


def _bound(purpose: str, place: str, aad: bytes) -> bytes:
    parts = (_VERSION, purpose.encode(), place.encode(), aad)
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _checked_ref(ref: str) -> str:
    if not _REF.match(ref):
        raise InvalidName("not a reference of this keystore")
    return ref


def _file_name(name: str) -> str:
    if len(name) > _JOURNAL_NAME_LENGTH or not _JOURNAL_NAME.match(name):
        raise InvalidName("not a journal name")
    return name.replace("/", ".")
