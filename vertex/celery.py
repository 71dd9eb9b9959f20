"""The Celery application: queues `sign`, `protocol` and `life`."""

import gc
import os
from typing import Any

import structlog
from celery import Celery
from celery.signals import worker_init, worker_ready
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vertex.settings")
app = Celery("vertex")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
log = structlog.get_logger()


@worker_init.connect
def _worker_init(**kwargs: Any) -> None:
    """A worker that opens another keystore than this database's refuses to start."""
    from keys.boxes import ensure_box
    from keys.keystore import KeystoreError, keystore
    from keys.node import ensure_node

    try:
        ensure_node()
        ensure_box()
    except KeystoreError as error:
        raise SystemExit(f"this worker can't use its keystore: {error}") from error
    if keystore().kind == "files" and not settings.VERTEX_KEYSTORE_UNCOPIED:
        log.warning("keystore_may_be_copied", advice="docs/keystore.md; VERTEX_KEYSTORE_UNCOPIED=1 says it is not")


@worker_ready.connect
def _worker_ready(**kwargs: Any) -> None:
    from vertex.liveness import beat_forever

    # What is loaded stays: a full collection would go through it all again, in the middle of a signature (0.1 s).
    gc.freeze()
    beat_forever("worker")
