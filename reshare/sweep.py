"""What `listen` asks every few seconds: attempts that no session carries any more, or whose order waits for its
vote."""

from datetime import timedelta

from django.conf import settings
from django.db.models import Q

from keys import clock
from reshare.models import Reshare
from reshare.poke import poke


def sweep() -> int:
    """Poke the attempts that are due; the older they are, the rarer. Returns how many."""
    now = clock.now()
    open_rows = Reshare.objects.filter(rid__isnull=False, ended_at=None)
    unattended = Q(session=None) | Q(session__finished_at__isnull=False)
    due = open_rows.filter(unattended).filter(Q(poll_at=None) | Q(poll_at__lt=now))
    rows = list(due.select_related("session")[:100])
    for row in rows:
        age = (now - row.created_at).total_seconds()
        pause = min(60.0, max(settings.VERTEX_SWEEP, age / 10))
        Reshare.objects.filter(id=row.id).update(poll_at=now + timedelta(seconds=pause))
        poke(row)
    return len(rows)
