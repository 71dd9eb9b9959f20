"""What holds for every request of the API, whatever its route."""

import re
import uuid
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from vertex.errors import CONSOLE, ApiError, json_error

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class ContractMiddleware:
    """Request ids, the limit on bodies, paths with a trailing slash; no caching, since some GETs create."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = request.headers.get("X-Request-Id", "")
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = uuid.uuid4().hex
        # Under this name django-structlog binds it to every log line of the request.
        request.META["HTTP_X_REQUEST_ID"] = request_id
        request.__dict__.pop("headers", None)  # a cached view of META
        if not request.path_info.startswith(CONSOLE):
            request.path_info = request.path_info.rstrip("/") or "/"
        response = _body_refused(request) or self.get_response(request)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Request-Id"] = request_id
        return response


def _body_refused(request: HttpRequest) -> HttpResponse | None:
    """The body's length is known before a byte of it is read; one without a length counts as empty (WSGI)."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit()):
        return json_error(ApiError("bad_request_params", "Content-Length is not a number"))
    if len(length) > 18 or int(length) > settings.VERTEX_MAX_BODY:
        message = f"a body has at most {settings.VERTEX_MAX_BODY} bytes"
        return json_error(ApiError("bad_request_params", message, http_status=413))
    return None
