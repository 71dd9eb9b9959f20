"""One worker at a time works on a party's sharing, in any process of this vertex."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from django.db import connection

from mpc.hashing import TH

# Threads of one process wait for each other here, without a database connection.
_WAITING = tuple(Lock() for _ in range(64))


@contextmanager
def exclusively(identity: bytes, gid: bytes) -> Iterator[None]:
    """One worker at a time for a party's sharing: an advisory lock of the database session.

    It is lost with its connection; the acceptor record is therefore replaced only after a query on that connection.
    """
    number = int.from_bytes(TH("advance", identity, gid)[:8], "big", signed=True)
    mine = _WAITING[number % len(_WAITING)]
    if not mine.acquire(blocking=False):
        connection.close()
        mine.acquire()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [number])
            try:
                yield
            finally:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [number])
    finally:
        mine.release()
