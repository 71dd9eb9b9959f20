"""GET /metrics, for Prometheus: the scraper's own token or an admin's; closed where neither is set."""

import hmac

import prometheus_client
from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.views import APIView

from vertex.auth import IsAdmin


class Scraper:
    """The bearer of the metrics token: no principal, no other view knows it."""

    kind = "operator"

    def in_groups(self, names: frozenset[str]) -> bool:
        """It may read metrics."""
        return "metrics" in names


class MetricsTokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer <VERTEX_METRICS_TOKEN>`; another token is left to the usual check."""

    def authenticate(self, request: Request) -> tuple[Scraper, None] | None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip().encode()
        token: str = settings.VERTEX_METRICS_TOKEN
        if not token or not hmac.compare_digest(given, token.encode()):
            return None
        return Scraper(), None


class Metrics(APIView):
    """GET /metrics"""

    authentication_classes = [MetricsTokenAuthentication, *APIView.authentication_classes]
    permission_classes = (IsAdmin,)
    operator_groups = frozenset({"metrics", "viewer", "operator", "approver", "auditor"})

    @extend_schema(responses={(200, "text/plain"): str})
    def get(self, request: Request) -> HttpResponse:
        """The metrics of this process, in Prometheus' text format."""
        return HttpResponse(prometheus_client.generate_latest(), content_type=prometheus_client.CONTENT_TYPE_LATEST)
