"""Something changed for an attempt: have a worker look at it."""

from django.db import transaction

from keys.models import ProtocolSession
from keys.sessions import services as sessions
from reshare.models import Reshare
from vertex.celery import app


def poke(row: Reshare) -> None:
    """After the commit: through the session while it carries receipts in its room, else by a task of its own."""
    session = row.session
    if session is not None and session.finished_at is None and session.state == ProtocolSession.State.SETTLING:
        sessions.wake(session)
    else:
        transaction.on_commit(lambda: app.send_task("reshare.advance", args=[str(row.id)], queue="life"), robust=True)
