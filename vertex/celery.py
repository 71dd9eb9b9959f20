"""The Celery application: queues `sign`, `protocol` and `life`."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vertex.settings")
app = Celery("vertex")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_ready.connect
def _worker_ready(**kwargs: Any) -> None:
    from vertex.liveness import beat_forever

    beat_forever("worker")
