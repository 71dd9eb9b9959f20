"""Private run directories for embedded servers: found, locked, and cleaned when their owner is gone."""

import fcntl
import os
import pwd
import shutil
import stat
import tempfile
from pathlib import Path

PREFIX = "vertex-run-"
NEEDED = 1 << 30
TMPFS = Path("/dev/shm")  # noqa: S108  a private directory is made in it
DISKS = (Path("/var/tmp"), Path("/tmp"))  # noqa: S108


def server_user() -> int | None:
    """The user id that servers run as: None for our own, an unprivileged one when we are root (PostgreSQL insists)."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return 65534


def _usable(base: Path) -> bool:
    """Reachable for any user, programs may be executed there, and 1 GiB is free."""
    if not (base.is_dir() and os.access(base, os.W_OK | os.X_OK)):
        return False
    if not all(part.stat().st_mode & stat.S_IXOTH for part in (base, *base.parents)):
        return False
    space = os.statvfs(base)
    return not space.f_flag & os.ST_NOEXEC and space.f_bavail * space.f_frsize >= NEEDED


def _lock(directory: Path) -> int | None:
    """The descriptor that holds the directory's lock, or None when somebody lives there. Children don't inherit it."""
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def clean_stale(base: Path) -> None:
    """Removes the run directories of this user whose owner died without cleaning up."""
    for directory in base.glob(f"{PREFIX}*"):
        try:
            if directory.is_symlink() or directory.stat().st_uid != os.geteuid():
                continue
            descriptor = _lock(directory)
        except OSError:
            continue
        if descriptor is not None:
            shutil.rmtree(directory, ignore_errors=True)
            os.close(descriptor)


class RunDir:
    """A directory that only its owner lists and others may pass through; paths below it are short and lower-case.

    Short for the 107 bytes of a Unix socket's name, lower-case since URL parsers lower the host part.
    """

    def __init__(self, *, tmpfs: bool) -> None:
        bases = [base for base in ((TMPFS, *DISKS) if tmpfs else DISKS) if _usable(base)]
        if not bases:
            raise RuntimeError("no directory with 1 GiB free in which programs may run: set DATABASE_URL and REDIS_URL")
        for base in bases:
            clean_stale(base)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=bases[0]))
        self.path.chmod(0o711)
        self._descriptor = _lock(self.path)

    def make(self, name: str, *, user: int | None, mode: int = 0o700) -> Path:
        """A new directory below, owned by `user`."""
        path = self.path / name
        path.mkdir(mode=mode)
        if user is not None:
            os.chown(path, user, user)
        return path

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
