"""The OpenAPI document at /schema and its page at /docs, which loads nothing from elsewhere."""

from functools import cache
from threading import Lock
from typing import Any

from django.http import HttpResponse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from vertex.openapi import ContractSchema

MEDIA_TYPE = "application/vnd.oai.openapi+json"
# Swagger UI sets styles from its scripts and has its icons in data: URLs; scripts and calls go to this host alone.
POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


_making = Lock()


def document() -> bytes:
    """The document as JSON, as `make schema` writes it; made once in a process, since anybody may ask for it."""
    with _making:  # drf-spectacular can't be called from two threads at once while it loads its extensions
        return _made()


@cache
def _made() -> bytes:
    made = SchemaGenerator().get_schema(request=None, public=True)
    rendered: bytes = OpenApiJsonRenderer().render(made, renderer_context={})
    return rendered


class Open(APIView):
    """For whoever asks."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()


class Schema(Open):
    """GET /schema"""

    schema = ContractSchema()

    @extend_schema(responses={(200, MEDIA_TYPE): dict[str, Any]}, auth=[])
    def get(self, request: Request) -> HttpResponse:
        """This document."""
        return HttpResponse(document(), content_type=MEDIA_TYPE)


class Docs(SpectacularSwaggerSplitView):
    """GET /docs"""

    authentication_classes = ()
    permission_classes = ()
    url_name = "schema"

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        finished: Response = super().finalize_response(request, response, *args, **kwargs)
        finished.headers["Content-Security-Policy"] = POLICY
        return finished
