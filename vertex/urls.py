"""All routes of a vertex. Those of the API have no trailing slash (`ContractMiddleware` takes it off)."""

from django.contrib import admin
from django.urls import include, path

from vertex.document import Docs, Schema
from vertex.health import Live, Ready, Version
from vertex.metrics import Metrics

handler400 = "vertex.errors.bad_request"
handler404 = "vertex.errors.not_found"
handler500 = "vertex.errors.server_error"

urlpatterns = [
    path("console/", admin.site.urls),
    path("health/live", Live.as_view()),
    path("health/ready", Ready.as_view()),
    path("version", Version.as_view()),
    path("metrics", Metrics.as_view()),
    path("schema", Schema.as_view(), name="schema"),
    path("docs", Docs.as_view()),
    path("", include("keys.urls")),
    path("", include("reshare.urls")),
]
