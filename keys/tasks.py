"""Tasks of the workers. Arguments are ids or queue names; every task may run twice."""

import structlog
from celery import shared_task

from keys.backup import backup_export
from keys.boxes import box_renew
from keys.create import key_create_task
from keys.heads import head_task
from keys.policies.external import question_task
from keys.sessions.worker import work
from keys.webhooks.sending import send_task
from vertex.liveness import reconciled

log = structlog.get_logger()

__all__ = [
    "backup_export",
    "box_renew",
    "head_task",
    "key_create_task",
    "question_task",
    "send_task",
    "session_run",
]


@shared_task(name="keys.session_run")
def session_run(queue: str) -> None:
    """Work on the next session of a queue. Before the vertex has been reconciled nothing is taken; the sweep asks
    again."""
    if reconciled():
        work(queue)
