"""A lock per name, for all threads and processes that use one directory, gone with the process that holds it."""

import errno
import fcntl
import hashlib
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

from keys.keystore.base import KeystoreUnavailable

LOCK_FILE = "lock~"
# The work under a lock is a few flushes; who holds one for longer is stopped or its disk hangs.
WAIT_SECONDS = 5.0
_PAUSE_SECONDS = 0.002
_BUSY = (errno.EAGAIN, errno.EACCES)


@contextmanager
def locked(directory: int, name: str) -> Iterator[None]:
    """Hold the lock of `name` in an open directory; raises KeystoreUnavailable.

    One byte of the lock file stands for a name (two names that share one only wait for each other). The lock belongs to
    the open file description, not to the process as POSIX locks do: threads exclude each other, too.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(LOCK_FILE, flags, 0o600, dir_fd=directory)
    try:
        _acquire(fd, int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big"))
        yield
    finally:
        os.close(fd)


def _acquire(fd: int, start: int) -> None:
    # struct flock with the platform's own alignment: type, whence, start, length, pid.
    request = struct.pack("@hhqqi0q", fcntl.F_WRLCK, os.SEEK_SET, start, 1, 0)
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, request)
            return
        except OSError as error:
            if error.errno not in _BUSY:
                raise
        if time.monotonic() > deadline:
            raise KeystoreUnavailable("another process holds a record of the keystore for too long")
        time.sleep(_PAUSE_SECONDS)
