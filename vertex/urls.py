"""All routes of a vertex. Those of the API have no trailing slash (`ContractMiddleware` takes it off)."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerView

from vertex.health import Live, Ready, Version
from vertex.metrics import Metrics

handler400 = "vertex.errors.bad_request"
handler404 = "vertex.errors.not_found"
handler500 = "vertex.errors.server_error"

OPEN = {"authentication_classes": (), "permission_classes": ()}

urlpatterns = [
    path("console/", admin.site.urls),
    path("health/live", Live.as_view()),
    path("health/ready", Ready.as_view()),
    path("version", Version.as_view()),
    path("metrics", Metrics.as_view()),
    path("schema", SpectacularJSONAPIView.as_view(**OPEN), name="schema"),
    path("docs", SpectacularSwaggerView.as_view(url_name="schema", **OPEN)),
    path("", include("keys.urls")),
    path("", include("reshare.urls")),
]
