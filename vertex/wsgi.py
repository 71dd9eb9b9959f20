"""WSGI entry point of `web` (gunicorn, gthread)."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vertex.settings")
application = get_wsgi_application()
