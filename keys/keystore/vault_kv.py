"""The journal in Vault's KV version 2: one secret for each record, every write a check-and-set on its version."""

import base64
import binascii
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from keys.keystore.base import JournalChanged, JournalExists, KeystoreUnavailable
from keys.keystore.sealing import Sealer, flat_name, named
from keys.keystore.vault_http import VaultClient

_FIELD = "sealed"
_NONE = 0  # the version that check-and-set takes for "nothing is there"
_MISMATCH = "check-and-set parameter did not match"
# Writers of one record wait for each other's lock in the database; who loses so often meets something else.
_TRIES = 16


@dataclass(frozen=True)
class Record:
    version: int
    value: bytes = field(repr=False)


class Records:
    """Secrets under one path of a KV mount. `present` raises where the mount isn't this keystore's (any more)."""

    def __init__(self, client: VaultClient, mount: str, path: str, present: Callable[[], None] = lambda: None) -> None:
        self._client = client
        self._data, self._metadata = f"{mount}/data/{path}", f"{mount}/metadata/{path}"
        self._present = present

    def read(self, name: str) -> Record | None:
        """Raises KeystoreUnavailable for a record whose version somebody deleted: we destroy records whole."""
        answer = self._client.get(f"{self._data}/{name}")
        if answer.missing:
            if answer.body.get("data") is not None:
                raise KeystoreUnavailable("a record of the keystore was deleted by somebody else; undelete it")
            self._present()
            return None
        version, text = answer.value("metadata", "version"), answer.value("data", _FIELD)
        try:
            return Record(int(version), base64.b64decode(str(text), validate=True))
        except (ValueError, binascii.Error):
            raise KeystoreUnavailable("a record of the keystore is not as it was written") from None

    def write(self, name: str, version: int, value: bytes) -> bool:
        """Write in place of that version (0: of nothing); False when another stands there."""
        body = {"options": {"cas": version}, "data": {_FIELD: base64.b64encode(value).decode()}}
        answer = self._client.post(f"{self._data}/{name}", body)
        if answer.status == 400 and _MISMATCH in answer.errors:
            return False
        answer.value("version")
        return True

    def names(self) -> list[str]:
        answer = self._client.get(self._metadata, list="true")
        if answer.missing:
            self._present()
            return []
        return sorted(str(name) for name in answer.value("keys"))

    def destroy(self, name: str) -> None:
        """Delete the metadata, and with it every version for good; look again."""
        self._client.delete(f"{self._metadata}/{name}").required()
        answer = self._client.get(f"{self._metadata}/{name}")
        if not answer.missing:
            raise KeystoreUnavailable("Vault still has the record that it was told to destroy")
        self._present()


class VaultJournal:
    """See `keys.keystore.base.Journal`. ``/`` of a name is written as ``.``, so that one call lists all."""

    def __init__(self, records: Records, sealer: Sealer) -> None:
        self._records = records
        self._sealer = sealer

    def create(self, name: str, data: bytes) -> None:
        if not self._records.write(flat_name(name), _NONE, self._sealer.seal(name, data)):
            raise JournalExists(name)

    def replace(self, name: str, data: bytes) -> None:
        self._write(name, data, lambda record: None)

    def swap(self, name: str, expected: bytes | None, data: bytes) -> None:
        def check(record: Record | None) -> None:
            if self._opened(name, record) != expected:
                raise JournalChanged(name)

        self._write(name, data, check)

    def _write(self, name: str, data: bytes, check: Callable[[Record | None], None]) -> None:
        """In place of what `check` lets pass. Another version need not be another content: a rotation seals again."""
        flat, sealed = flat_name(name), self._sealer.seal(name, data)
        for _ in range(_TRIES):
            record = self._records.read(flat)
            check(record)
            if self._records.write(flat, record.version if record else _NONE, sealed):
                return
        raise KeystoreUnavailable("others write the same record of the keystore all the time")

    def read(self, name: str) -> bytes | None:
        return self._opened(name, self._records.read(flat_name(name)))

    def list(self, prefix: str) -> list[str]:
        return sorted(name for name in map(named, self._records.names()) if name.startswith(prefix))

    def destroy(self, name: str) -> None:
        self._records.destroy(flat_name(name))

    def stale(self) -> Iterator[str]:
        for flat in self._records.names():
            record = self._records.read(flat)
            if record is not None and not self._sealer.is_current(record.value):
                yield named(flat)

    def reseal(self, name: str) -> bool:
        """Seal one record under the master key that writes; False when it is, is gone, or was just written."""
        flat = flat_name(name)
        record = self._records.read(flat)
        sealed = self._sealer.resealed(name, record.value) if record else None
        return record is not None and sealed is not None and self._records.write(flat, record.version, sealed)

    def _opened(self, name: str, record: Record | None) -> bytes | None:
        return self._sealer.unseal(name, record.value) if record else None
