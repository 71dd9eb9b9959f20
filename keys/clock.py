"""One clock for all processes of a vertex: the database's. Deadlines that go by a process's own would let a worker
whose clock has jumped abort what is in time, or never end what is not."""

from datetime import datetime

from django.db import connection


def now() -> datetime:
    """The database's time at this moment, aware; inside a transaction too it goes on."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment
