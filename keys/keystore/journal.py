"""A journal in a directory, a sealed file for each record; and the header that tells whose keystore it is."""

from collections.abc import Callable, Iterator
from pathlib import Path

from keys.keystore.base import JournalChanged, JournalExists, KeystoreClosed
from keys.keystore.directory import Directory, is_wiped
from keys.keystore.sealing import MasterKeys, Sealer, flat_name, header_made, header_opened, header_resealed, named

_HEADER = "keystore"


class Root:
    """The directory of a keystore: its header, and the parts that were made with it.

    A part that is missing later is not made again: an empty one would say that every share is erased. `prepare` is
    told the id of a new keystore before the header makes it one.
    """

    def __init__(
        self,
        path: Path,
        masters: MasterKeys,
        parts: tuple[str, ...],
        prepare: Callable[[str], None] = lambda identifier: None,
    ) -> None:
        self._directory = Directory(path)
        header = self._directory.read(_HEADER)
        self.parts = {part: Directory(path / part, make=header is None) for part in parts}
        if header is None:
            if any(part.names() for part in self.parts.values()) and not self._directory.exists(_HEADER):
                raise KeystoreClosed("the header of this keystore is gone; a new one would not open what is here")
            new = header_made(masters)
            prepare(header_opened(new, masters))
            self._directory.create(_HEADER, new)
            header = self._directory.read(_HEADER) or b""  # another worker's, if it was faster
        self.id = header_opened(header, masters)
        self._masters = masters

    def stale(self) -> list[str]:
        """The header's name, where another master key sealed it."""
        return [_HEADER] if header_resealed(self._directory.read(_HEADER), self._masters) is not None else []

    def reseal(self) -> Iterator[str]:
        if self._directory.update(_HEADER, lambda header: header_resealed(header, self._masters)):
            yield _HEADER


class FileJournal:
    """See `keys.keystore.base.Journal`. ``/`` of a name is written as ``.``."""

    def __init__(self, directory: Directory, sealer: Sealer) -> None:
        self._directory = directory
        self._sealer = sealer

    def create(self, name: str, data: bytes) -> None:
        if not self._directory.create(flat_name(name), self._sealer.seal(name, data)):
            raise JournalExists(name)

    def replace(self, name: str, data: bytes) -> None:
        self._directory.replace(flat_name(name), self._sealer.seal(name, data))

    def swap(self, name: str, expected: bytes | None, data: bytes) -> None:
        def changed(sealed: bytes | None) -> bytes:
            if self._opened(name, sealed) != expected:
                raise JournalChanged(name)
            return self._sealer.seal(name, data)

        self._directory.update(flat_name(name), changed)

    def read(self, name: str) -> bytes | None:
        return self._opened(name, self._directory.read(flat_name(name)))

    def list(self, prefix: str) -> list[str]:
        return sorted(name for name in map(named, self._directory.names()) if name.startswith(prefix))

    def destroy(self, name: str) -> None:
        self._directory.destroy(flat_name(name))

    def stale(self) -> Iterator[str]:
        for flat in self._directory.names():
            sealed = self._directory.read(flat)
            if sealed and not is_wiped(sealed) and not self._sealer.is_current(sealed):
                yield named(flat)

    def reseal(self, name: str) -> bool:
        """Seal one record under the master key that writes; False when it is, or is gone."""
        return self._directory.update(flat_name(name), lambda sealed: self._sealer.resealed(name, sealed))

    def _opened(self, name: str, sealed: bytes | None) -> bytes | None:
        if sealed is None or is_wiped(sealed):  # overwritten: a destroy is on its way or was cut short
            return None
        return self._sealer.unseal(name, sealed)
