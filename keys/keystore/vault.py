"""The keystore in HashiCorp Vault, for workers on any number of hosts: keys in Transit, the journal in KV version 2.

Transit: one key of type aes256-gcm96 for each reference, neither exportable nor to be backed up; it never leaves
Vault. What it seals is a content key, so that Vault sees no share (`Envelope`). KV: one secret for each journal
record, sealed under the master key, written with check-and-set. The marker, a Transit key named after the keystore's
id, and the header in KV tell that the mounts are this keystore's: "not there" is believed only while they are.
"""

import base64
import binascii
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from keys.keystore.base import KeyGone, KeystoreClosed, KeystoreUnavailable, Tampered
from keys.keystore.resealing import reseal
from keys.keystore.sealing import (
    KEY,
    Envelope,
    MasterKeys,
    Sealer,
    checked_ref,
    header_made,
    header_opened,
    header_resealed,
    is_ref,
    new_ref,
)
from keys.keystore.vault_http import VaultClient
from keys.keystore.vault_kv import Records, VaultJournal

_HEADER = "keystore"
_PREFIX = re.compile(r"[a-z0-9-]{1,64}\Z")
_NOT_OURS = ("message authentication failed", "invalid ciphertext")


@dataclass(frozen=True)
class VaultPlaces:
    """Where in Vault: the mounts, and the prefix that sets this vertex's keys and records apart."""

    transit: str = "transit"
    kv: str = "secret"
    prefix: str = "vertex"


class VaultKeystore:
    """Opens the keystore, making it if it isn't there. Raises KeystoreClosed, KeystoreUnavailable."""

    kind = "vault"
    method = "Transit key deleted"

    def __init__(self, client: VaultClient, places: VaultPlaces, masters: MasterKeys) -> None:
        if not _PREFIX.match(places.prefix):
            raise KeystoreClosed("a prefix in Vault is of lower-case letters, digits and hyphens")
        _check_mounts(client, places)
        self._header = Header(Records(client, places.kv, places.prefix), masters)
        self.id = self._header.opened() or self._initialised(client, places, masters)
        self.keys = VaultKeys(client, places, self.id)
        if not self.keys.has_marker():
            raise KeystoreClosed("this Transit mount does not hold the keys of this keystore")
        records = Records(client, places.kv, f"{places.prefix}/journal", present=self._check_header)
        self.journal = VaultJournal(records, Sealer(masters, self.id, "journal"))

    def __repr__(self) -> str:
        return f"VaultKeystore({self.id})"

    def stale(self) -> list[str]:
        """See `keys.keystore.base.Keystore`; Transit's keys are under no master key of ours."""
        return [*self.journal.stale(), *self._header.stale()]

    def reseal(self) -> Iterator[str]:
        """See `keys.keystore.base.Keystore`."""
        return reseal((self.journal,), self._header)

    def _initialised(self, client: VaultClient, places: VaultPlaces, masters: MasterKeys) -> str:
        """The marker first: a header without one would say that the keys were lost."""
        header = header_made(masters)
        identifier = header_opened(header, masters)
        keys = VaultKeys(client, places, identifier)
        if keys.of_any_keystore() and self._header.opened() is None:
            raise KeystoreClosed("the header of this keystore is gone; a new one would not open what is here")
        keys.make_marker()
        if self._header.create(header):
            return identifier
        keys.destroy_marker()  # another worker was faster
        return self._header.opened() or ""

    def _check_header(self) -> None:
        if self._header.opened() != self.id:
            raise KeystoreUnavailable("this keystore's records are no longer where they were")


class Header:
    """The record that tells whose keystore this is."""

    def __init__(self, records: Records, masters: MasterKeys) -> None:
        self._records = records
        self._masters = masters

    def opened(self) -> str | None:
        """The keystore's id, None where there is no header; raises KeystoreClosed."""
        record = self._records.read(_HEADER)
        return None if record is None else header_opened(record.value, self._masters)

    def create(self, header: bytes) -> bool:
        return self._records.write(_HEADER, 0, header)

    def stale(self) -> list[str]:
        record = self._records.read(_HEADER)
        return [_HEADER] if record is not None and header_resealed(record.value, self._masters) is not None else []

    def reseal(self) -> Iterator[str]:
        record = self._records.read(_HEADER)
        header = header_resealed(record.value, self._masters) if record is not None else None
        if record is not None and header is not None and self._records.write(_HEADER, record.version, header):
            yield _HEADER


class VaultKeys:
    """See `keys.keystore.base.Keys`."""

    def __init__(self, client: VaultClient, places: VaultPlaces, identifier: str) -> None:
        self._client = client
        self._mount = places.transit
        self._prefix = f"{places.prefix}-"
        self._marker = f"{self._prefix}keystore-{identifier}"

    def make(self) -> str:
        ref = new_ref()
        self._make(self._prefix + ref)
        return ref

    def wrap(self, ref: str, plaintext: bytes, aad: bytes) -> bytes:
        content_key = os.urandom(KEY)
        body = {"plaintext": base64.b64encode(content_key).decode()}
        box = self._crypt("encrypt", checked_ref(ref), body, "ciphertext").encode()
        return Envelope.seal(content_key, box, ref, plaintext, aad)

    def unwrap(self, ref: str, sealed: bytes, aad: bytes) -> bytes:
        checked_ref(ref)
        try:
            box, rest = Envelope.box(sealed)
            body = {"ciphertext": box.decode("ascii")}
        except (Tampered, UnicodeDecodeError):
            if not self.exists(ref):
                raise KeyGone(ref) from None
            raise Tampered("not a sealed value of this keystore") from None
        try:
            content_key = base64.b64decode(self._crypt("decrypt", ref, body, "plaintext"), validate=True)
        except binascii.Error:
            raise KeystoreUnavailable("Vault's answer is not base64") from None
        return Envelope.open(content_key, rest, ref, aad)

    def destroy(self, ref: str) -> None:
        self._destroy(self._prefix + checked_ref(ref))
        if self.exists(ref):
            raise KeystoreUnavailable("Vault still has the key that it was told to delete")

    def exists(self, ref: str) -> bool:
        if not self._client.get(self._key(self._prefix + checked_ref(ref))).missing:
            return True
        self._check_marker()
        return False

    def list(self) -> list[str]:
        found = self.of_any_keystore()
        self._check_marker()
        return sorted(found)

    def of_any_keystore(self) -> set[str]:
        """The references under this prefix, whether or not there is a marker."""
        answer = self._client.get(f"{self._mount}/keys", list="true")
        names = [] if answer.missing else answer.value("keys")
        ours = (str(name).removeprefix(self._prefix) for name in names if str(name).startswith(self._prefix))
        return {ref for ref in ours if is_ref(ref)}

    def make_marker(self) -> None:
        self._make(self._marker)

    def destroy_marker(self) -> None:
        self._destroy(self._marker)

    def has_marker(self) -> bool:
        """Whether this mount holds the keys of this keystore."""
        return not self._client.get(self._key(self._marker)).missing

    def _check_marker(self) -> None:
        """Before "not there" is believed."""
        if not self.has_marker():
            raise KeystoreUnavailable("this keystore's keys are no longer where they were")

    def _make(self, name: str) -> None:
        options = {"type": "aes256-gcm96", "exportable": False, "allow_plaintext_backup": False}
        self._client.post(self._key(name), options).required()

    def _destroy(self, name: str) -> None:
        """Allow the deletion, delete. What Vault says to a key that is gone is left to the look that follows."""
        if not self._client.get(self._key(name)).missing:
            self._client.post(f"{self._key(name)}/config", {"deletion_allowed": True})
            self._client.delete(self._key(name))

    def _crypt(self, verb: str, ref: str, body: dict[str, str], field: str) -> str:
        answer = self._client.post(f"{self._mount}/{verb}/{self._prefix}{ref}", body)
        if answer.status == 400 or answer.missing:
            if not self.exists(ref):
                raise KeyGone(ref)
            if any(text in answer.errors for text in _NOT_OURS):
                raise Tampered("Vault does not open what was sealed")
        return str(answer.value(field))

    def _key(self, name: str) -> str:
        return f"{self._mount}/keys/{name}"


def _check_mounts(client: VaultClient, places: VaultPlaces) -> None:
    """Raises KeystoreClosed where the mounts are not set as a keystore needs them (docs/keystore.md)."""
    transit = client.get(f"{places.transit}/config/keys")
    if transit.missing or transit.value("disable_upsert") is not True:
        # To encrypt under a key that is gone would make it again.
        raise KeystoreClosed(f"Vault: set disable_upsert=true at {places.transit}/config/keys")
    kv = client.get(f"{places.kv}/config")
    if kv.missing or kv.value("cas_required") is not True or kv.value("max_versions") != 1:
        # Other versions would keep what was replaced; writes without check-and-set would undo promises.
        raise KeystoreClosed(f"Vault: set cas_required=true and max_versions=1 at {places.kv}/config")
