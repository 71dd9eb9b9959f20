"""One worker at a time: a lease with a fencing number that stands in every guarded UPDATE."""

import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from keys.models import ProtocolSession


class LeaseLost(Exception):
    """Another worker has the session now, or it has ended: stop, touch nothing."""


@dataclass
class Lease:
    """The right to work on one session, held until it is parked, ended or overdue."""

    session_id: UUID
    fence: int
    renewed: float = field(default_factory=time.monotonic)

    def update(self, **fields: Any) -> None:
        """A guarded UPDATE of the session; raises LeaseLost when the fence has moved on or the session has ended."""
        rows = ProtocolSession.objects.filter(id=self.session_id, fence=self.fence, finished_at=None).update(**fields)
        if rows != 1:
            raise LeaseLost(str(self.session_id))

    def extend(self) -> None:
        """Extend the lease; raises LeaseLost."""
        self.update(lease_until=Now() + timedelta(seconds=settings.VERTEX_LEASE))
        self.renewed = time.monotonic()

    def renew(self) -> None:
        """Extend the lease when a third of it has passed."""
        if time.monotonic() - self.renewed > settings.VERTEX_LEASE / 3:
            self.extend()

    def park(self, *, poll_in: timedelta) -> bool:
        """Give the session back, to be polled later; False (and still leased) when news came in the meantime."""
        rows = ProtocolSession.objects.filter(
            id=self.session_id, fence=self.fence, finished_at=None, woken=False
        ).update(lease_until=None, poll_at=Now() + poll_in)
        if rows:
            return True
        self.update(woken=False)
        return False

    def give_back(self, *, poll_in: timedelta) -> None:
        """Give the session back whatever has come in the meantime: it is looked at again at that time."""
        self.update(lease_until=None, woken=False, poll_at=Now() + poll_in)


def claim(kinds: list[str]) -> Lease | None:
    """Take the next session of these kinds that has something to do, in the order in which the relay filled the
    rooms."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE keys_protocolsession AS session
               SET fence = session.fence + 1, woken = false, lease_until = now() + %s * interval '1 second'
             WHERE id = (SELECT id FROM keys_protocolsession
                          WHERE kind = ANY(%s) AND finished_at IS NULL AND woken
                            AND state IN ('ready', 'running', 'settling')
                            AND (lease_until IS NULL OR lease_until < now())
                          ORDER BY filled NULLS LAST, created_at
                          LIMIT 1 FOR UPDATE SKIP LOCKED)
         RETURNING id, fence
            """,
            [settings.VERTEX_LEASE, kinds],
        )
        row = cursor.fetchone()
    return Lease(session_id=row[0], fence=row[1]) if row else None
