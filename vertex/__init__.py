"""The Django project of one vertex: settings, URLs, Celery and the conventions of its REST API."""
