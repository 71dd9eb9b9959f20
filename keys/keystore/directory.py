"""A directory of small files, durable on return: whole or not at all, private to the owner, no links followed."""

import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from keys.keystore.base import InvalidName, KeystoreClosed, KeystoreUnavailable
from keys.keystore.locks import locked

_NAME = re.compile(r"[a-z0-9.-]{1,230}\Z")
_TEMPORARY = "new~"  # then the name that it is for, another ~ and 16 random hex digits
# A temporary file so old belongs to a process that died while it wrote.
_STALE_SECONDS = 600
# How a file begins once its overwriting has begun; no sealed value and no keystore's random id does.
_WIPED = bytes(8)


class Directory:
    """Reads, writes and destroys files by plain name; the directory is opened once and addressed by descriptor.

    What the system refuses (a full disk, a limit, an I/O error) raises KeystoreUnavailable and leaves no part of a
    file.
    """

    def __init__(self, path: Path, *, make: bool = True) -> None:
        try:
            if make:
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise KeystoreClosed(f"the keystore's directory can't be opened: {error.strerror}") from None
        info = os.fstat(self._fd)
        if info.st_uid != os.geteuid() or stat.S_IMODE(info.st_mode) & 0o077:
            os.close(self._fd)
            raise KeystoreClosed("the keystore's directories must belong to the vertex's user, mode 0700")
        self._remove_stale()

    def read(self, name: str) -> bytes | None:
        with _answered():
            try:
                fd = self._open(name, os.O_RDONLY)
            except FileNotFoundError:
                self._check_present()
                return None
            with os.fdopen(fd, "rb") as file:
                return file.read()

    def create(self, name: str, data: bytes) -> bool:
        """False when the name is taken; a reader never sees a part."""
        with _answered():
            try:
                with self._written(name, data) as temporary:
                    os.link(temporary, _checked(name), src_dir_fd=self._fd, dst_dir_fd=self._fd, follow_symlinks=False)
                    os.unlink(temporary, dir_fd=self._fd)
            except FileExistsError:
                return False
        return True

    def replace(self, name: str, data: bytes) -> None:
        with _answered(), locked(self._fd, _checked(name)):
            self._rename_over(name, data)

    def update(self, name: str, change: Callable[[bytes | None], bytes | None], *, wipe: bool = False) -> bool:
        """Replace what stands there by what `change` makes of it, in one step for all threads and processes; False when
        it makes None. With `wipe` the file that was there is overwritten, so that no old version stays on the disk."""
        with _answered(), locked(self._fd, _checked(name)):
            new = change(self.read(name))
            if new is None:
                return False
            displaced = self._open(name, os.O_WRONLY) if wipe else None
            try:
                self._rename_over(name, new)
                if displaced is not None:
                    _overwrite(displaced)
            finally:
                if displaced is not None:
                    os.close(displaced)
        return True

    def destroy(self, name: str) -> None:
        """Overwrite in place (so that every link to it is empty), then unlink; and look again. With it goes what a
        writer that died, a rotation for one, had written for this name."""
        with _answered(), locked(self._fd, _checked(name)):
            for each in [name, *self._unfinished(name)]:
                with suppress(FileNotFoundError):
                    self._overwrite_and_unlink(each)
            os.fsync(self._fd)
            if self.exists(name) or self._unfinished(name):
                raise KeystoreUnavailable("what was destroyed in the keystore is still there")

    def exists(self, name: str) -> bool:
        with _answered():
            try:
                os.stat(_checked(name), dir_fd=self._fd, follow_symlinks=False)
            except FileNotFoundError:
                self._check_present()
                return False
        return True

    def names(self) -> list[str]:
        with _answered():
            self._check_present()
            return sorted(name for name in os.listdir(self._fd) if _NAME.match(name))

    def _check_present(self) -> None:
        """Before "not there" is believed: a directory that was removed under us has nothing."""
        if os.fstat(self._fd).st_nlink == 0:
            raise KeystoreUnavailable("the keystore's directory was removed")

    def _unfinished(self, name: str) -> list[str]:
        return [each for each in os.listdir(self._fd) if each.startswith(f"{_TEMPORARY}{name}~")]

    def _overwrite_and_unlink(self, name: str) -> None:
        fd = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._fd)
        try:
            _overwrite(fd)
        finally:
            os.close(fd)
        os.unlink(name, dir_fd=self._fd)

    def _open(self, name: str, flags: int) -> int:
        return os.open(_checked(name), flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._fd)

    def _rename_over(self, name: str, data: bytes) -> None:
        with self._written(name, data) as temporary:
            os.rename(temporary, _checked(name), src_dir_fd=self._fd, dst_dir_fd=self._fd)

    @contextmanager
    def _written(self, name: str, data: bytes) -> Iterator[str]:
        """A flushed temporary file with `data`; the body gives it its name, then the directory is flushed."""
        temporary = f"{_TEMPORARY}{_checked(name)}~{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(temporary, flags, 0o600, dir_fd=self._fd), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        except BaseException:
            with suppress(FileNotFoundError):
                self._discard(temporary)
            raise
        os.fsync(self._fd)

    def _remove_stale(self) -> None:
        """Remove what a crash left: half-written files, and files overwritten but not yet unlinked."""
        with _answered():
            with os.scandir(self._fd) as entries:
                files = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
            for name in files:
                if name.startswith(_TEMPORARY):
                    self._remove_if_old(name)
                elif _NAME.match(name) and is_wiped(self.read(name) or b""):
                    self._finish_destroying(name)

    def _finish_destroying(self, name: str) -> None:
        """Unlink an overwritten file, unless a rotation has put another in its place since it was read."""
        with locked(self._fd, name):
            if is_wiped(self.read(name) or b""):
                self._overwrite_and_unlink(name)
                os.fsync(self._fd)

    def _remove_if_old(self, name: str) -> None:
        with suppress(FileNotFoundError):  # its writer is alive and has just finished
            if time.time() - os.stat(name, dir_fd=self._fd, follow_symlinks=False).st_mtime > _STALE_SECONDS:
                # Under another name a writer that was only frozen can't link it any more.
                mine = f"{name.rpartition('~')[0]}~{secrets.token_hex(8)}"
                os.rename(name, mine, src_dir_fd=self._fd, dst_dir_fd=self._fd)
                self._discard(mine)

    def _discard(self, temporary: str) -> None:
        """Unlink a temporary file; overwritten, unless it is also the file that it was written for."""
        fd = os.open(temporary, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._fd)
        try:
            if os.fstat(fd).st_nlink == 1:
                _overwrite(fd)
        finally:
            os.close(fd)
            os.unlink(temporary, dir_fd=self._fd)


@contextmanager
def _answered() -> Iterator[None]:
    """What the operating system refuses is the keystore's refusal, said once, in its words."""
    try:
        yield
    except OSError as error:
        raise KeystoreUnavailable(f"the keystore's directory: {error.strerror or error}") from error


def is_wiped(data: bytes) -> bool:
    """Whether a file's overwriting has begun: what is left of it is nobody's."""
    return data[: len(_WIPED)] == _WIPED


def _overwrite(fd: int) -> None:
    """Its beginning reaches the disk before the rest: a file that was overwritten in part says so."""
    size = os.fstat(fd).st_size
    os.pwrite(fd, _WIPED, 0)
    os.fsync(fd)
    if os.pwrite(fd, bytes(size), 0) != size:
        raise KeystoreUnavailable("a file of the keystore was overwritten in part only")
    os.fsync(fd)


def _checked(name: str) -> str:
    if not _NAME.match(name) or name.startswith("."):
        raise InvalidName("not a name in this keystore")
    return name
