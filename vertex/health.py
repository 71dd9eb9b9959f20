"""Probes. Live: the process answers. Ready: everything that a protocol needs does."""

import time
from collections.abc import Callable
from threading import Lock

import httpx
import structlog
from django.conf import settings
from django.db import connection
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from vertex import liveness
from vertex.errors import ApiError
from vertex.openapi import Text, refuses
from vertex.version import VERSION

logger = structlog.get_logger(__name__)

_CACHED_FOR = 1.0  # seconds; probes are open to anybody and must not be worth repeating


def _database() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return bool(cursor.fetchone() == (1,))


def _redis() -> bool:
    return bool(liveness.connection().ping())


def _relay() -> bool:
    return httpx.get(f"{settings.VERTEX_RELAY_URL.rstrip('/')}/health/ready", timeout=2).status_code == 200


CHECKS: dict[str, Callable[[], bool]] = {
    "database": _database,
    "redis": _redis,
    "relay": _relay,
    "reconciled": liveness.reconciled,
    "worker": lambda: liveness.alive("worker"),
    "listen": lambda: liveness.alive("listen"),
}


class Readiness:
    """The checks' answer, asked for at most once a second in a process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._asked: float | None = None
        self._failing: list[str] = []

    def failing(self) -> list[str]:
        """Names of the checks that fail."""
        with self._lock:
            now = time.monotonic()
            if self._asked is None or now - self._asked > _CACHED_FOR:
                self._failing = [name for name, check in CHECKS.items() if not _passes(name, check)]
                self._asked = now
            return self._failing


readiness = Readiness()


def _passes(name: str, check: Callable[[], bool]) -> bool:
    try:
        return check()
    except Exception as error:
        # Whatever it is, the answer is "no"; a probe must never be the thing that fails.
        logger.warning("health_check_failed", check=name, error=type(error).__name__)
        return False


class Probe(APIView):
    """Open to whoever probes; tells no more than names of parts."""

    authentication_classes = ()
    throttle_classes = ()
    permission_classes = ()


class Live(Probe):
    """GET /health/live"""

    @extend_schema(responses=Text("status"), auth=[])
    def get(self, request: Request) -> Response:
        """The process answers."""
        return Response({"status": "live"})


class Ready(Probe):
    """GET /health/ready"""

    @refuses("not_ready")
    @extend_schema(responses=Text("status"), auth=[])
    def get(self, request: Request) -> Response:
        """Database, Redis, relay, reconciliation, and heartbeats of a worker and of `listen`."""
        if missing := readiness.failing():
            raise ApiError("not_ready", f"not ready: {', '.join(missing)}")
        return Response({"status": "ready"})


class Version(Probe):
    """GET /version"""

    @extend_schema(responses=Text("version"), auth=[])
    def get(self, request: Request) -> Response:
        """The version of this software."""
        return Response({"version": VERSION})
