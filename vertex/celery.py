"""The Celery application: queues `sign`, `protocol` and `life`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vertex.settings")
app = Celery("vertex")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
