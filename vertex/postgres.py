"""Options of the connections to PostgreSQL: a peer that vanishes is noticed within half a minute, on either side.

A worker's host that is gone holds its advisory locks, for all others, until the server gives the connection up: by the
kernel's defaults after two hours. Over a socket of the same host none of this has a meaning, and it is ignored.
"""

from collections.abc import Mapping
from typing import Any

IDLE, INTERVAL, COUNT = 10, 5, 3  # seconds without traffic, seconds between probes, probes without an answer
UNANSWERED = 25_000  # milliseconds that sent bytes may stay unacknowledged

_OF_CLIENT = {
    "keepalives": 1,
    "keepalives_idle": IDLE,
    "keepalives_interval": INTERVAL,
    "keepalives_count": COUNT,
    "tcp_user_timeout": UNANSWERED,
}
_OF_SERVER = (
    f"-c tcp_keepalives_idle={IDLE} -c tcp_keepalives_interval={INTERVAL} -c tcp_keepalives_count={COUNT}"
    f" -c tcp_user_timeout={UNANSWERED}"
)


def options(given: Mapping[str, Any], *, pool: int) -> dict[str, Any]:
    """What Django hands to the driver. ``given``: the query of `DATABASE_URL`, which goes before what stands here.
    ``pool``: connections that a process keeps at most, 0 for none kept."""
    of_server = f"{_OF_SERVER} {given.get('options', '')}".strip()  # of two settings the later one holds
    kept = {"pool": {"min_size": 1, "max_size": pool, "timeout": 10}} if pool else {}
    return _OF_CLIENT | dict(given) | {"options": of_server} | kept
