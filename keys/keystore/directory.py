"""A directory of small files, durable on return: whole or not at all, private to the owner, no links followed."""

import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from keys.keystore.base import InvalidName, KeystoreClosed

_NAME = re.compile(r"[a-z0-9.-]{1,230}\Z")
_TEMPORARY = "new~"
# A temporary file so old belongs to a process that died while it wrote.
_STALE_SECONDS = 600


class Directory:
    """Reads, writes and destroys files by plain name; the directory is opened once and addressed by descriptor."""

    def __init__(self, path: Path) -> None:
        try:
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
        try:
            fd = self._open(name, os.O_RDONLY)
        except FileNotFoundError:
            return None
        with os.fdopen(fd, "rb") as file:
            return file.read()

    def create(self, name: str, data: bytes) -> None:
        """Raises FileExistsError; a reader never sees a part."""
        with self._written(data) as temporary:
            os.link(temporary, _checked(name), src_dir_fd=self._fd, dst_dir_fd=self._fd, follow_symlinks=False)
            os.unlink(temporary, dir_fd=self._fd)

    def replace(self, name: str, data: bytes) -> None:
        with self._written(data) as temporary:
            os.rename(temporary, _checked(name), src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def destroy(self, name: str) -> None:
        """Overwrite in place (so that every link to it is empty), then unlink."""
        try:
            fd = self._open(name, os.O_WRONLY)
        except FileNotFoundError:
            return
        try:
            os.pwrite(fd, bytes(os.fstat(fd).st_size), 0)
            os.fsync(fd)
        finally:
            os.close(fd)
        with suppress(FileNotFoundError):  # a second destroyer was faster
            os.unlink(name, dir_fd=self._fd)
        os.fsync(self._fd)

    def exists(self, name: str) -> bool:
        try:
            os.stat(_checked(name), dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def names(self) -> list[str]:
        return sorted(name for name in os.listdir(self._fd) if _NAME.match(name))

    def _open(self, name: str, flags: int) -> int:
        return os.open(_checked(name), flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._fd)

    @contextmanager
    def _written(self, data: bytes) -> Iterator[str]:
        """A flushed temporary file with `data`; the body gives it its name, then the directory is flushed."""
        temporary = _TEMPORARY + secrets.token_hex(16)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(temporary, flags, 0o600, dir_fd=self._fd), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=self._fd)
            raise
        os.fsync(self._fd)

    def _remove_stale(self) -> None:
        """Remove what a crash left: half-written files, and files overwritten but not yet unlinked."""
        with os.scandir(self._fd) as entries:
            files = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
        for name in files:
            if name.startswith(_TEMPORARY):
                self._remove_if_old(name)
            elif _NAME.match(name) and (content := self.read(name)) is not None and not any(content):
                self.destroy(name)

    def _remove_if_old(self, name: str) -> None:
        with suppress(FileNotFoundError):  # its writer is alive and has just finished
            if time.time() - os.stat(name, dir_fd=self._fd, follow_symlinks=False).st_mtime > _STALE_SECONDS:
                os.unlink(name, dir_fd=self._fd)


def _checked(name: str) -> str:
    if not _NAME.match(name) or name.startswith("."):
        raise InvalidName("not a name in this keystore")
    return name
