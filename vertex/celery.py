"""The Celery application: queues `sign`, `protocol` and `life`."""

import gc
import os
from typing import Any

from celery import Celery
from celery.signals import worker_init, worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vertex.settings")
app = Celery("vertex")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def _worker_init(**kwargs: Any) -> None:
    """A worker that opens another keystore than this database's refuses to start."""
    from keys.keystore import KeystoreError
    from keys.node import ensure_node

    try:
        ensure_node()
    except KeystoreError as error:
        raise SystemExit(f"this worker can't use its keystore: {error}") from error


@worker_ready.connect
def _worker_ready(**kwargs: Any) -> None:
    from vertex.liveness import beat_forever

    # What is loaded stays: a full collection would go through it all again, in the middle of a signature (0.1 s).
    gc.freeze()
    beat_forever("worker")
