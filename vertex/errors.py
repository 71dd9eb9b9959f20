"""Errors of the REST API: one table of types with their HTTP status, and the handler that gives every failure its form.

Every answer that is not a success is ``{"err_msg": string, "err_type": string}``; nothing from inside leaks into it.
"""

from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any

import redis
import structlog
from django.core import exceptions as django_exceptions
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions, status
from rest_framework.response import Response

logger = structlog.get_logger(__name__)

_BAD_REQUESTS = (
    "already_performed_keygen",
    "already_voted",
    "api_key_not_found",
    "bad_n_and_t_params",
    "bad_receipt",
    "bad_request_params",
    "batch_too_large",
    "deletion_not_ready",
    "executor_result",
    "key_id_not_exists",
    "key_operation_before_keygen",
    "policy_in_use_by_keys",
    "policy_in_use_by_users",
    "policy_not_found",
    "policy_validation_failed",
    "reshare_conflict",
    "reshare_not_complete",
    "room_creation_problem",
    "rule_in_use",
    "rule_not_found",
    "rule_not_in_policy",
    "server_share_backup_setting_disabled",
    "share_erased",
    "share_superseded",
    "unique_violation",
    "user_has_associated_keys",
    "user_id_not_exists",
    "user_name_already_exists",
    "you_have_to_be_admin",
)
# The one table: error type -> HTTP status.
ERROR_STATUS: dict[str, int] = dict.fromkeys(_BAD_REQUESTS, status.HTTP_400_BAD_REQUEST) | {
    "access_denied": status.HTTP_401_UNAUTHORIZED,
    "not_found": status.HTTP_404_NOT_FOUND,
    "method_not_allowed": status.HTTP_405_METHOD_NOT_ALLOWED,
    "too_many_requests": status.HTTP_429_TOO_MANY_REQUESTS,
    "internal_problem": status.HTTP_500_INTERNAL_SERVER_ERROR,
    "not_ready": status.HTTP_503_SERVICE_UNAVAILABLE,
}
RETRY_AFTER = 2  # seconds
CONSOLE = "/console/"


class ApiError(Exception):
    """A refusal in the contract's words. An unknown ``err_type`` is a programming error: KeyError.

    ``status`` differs from the table's only where one type has several (413 and 415 are `bad_request_params`).
    """

    def __init__(
        self, err_type: str, message: str, *, retry_after: int | None = None, http_status: int | None = None
    ) -> None:
        super().__init__(message)
        self.err_type = err_type
        self.message = message
        self.status = http_status or ERROR_STATUS[err_type]
        busy = ERROR_STATUS[err_type] in (status.HTTP_429_TOO_MANY_REQUESTS, status.HTTP_503_SERVICE_UNAVAILABLE)
        self.retry_after = retry_after if retry_after is not None else RETRY_AFTER if busy else None

    @property
    def body(self) -> dict[str, str]:
        """The answer's JSON."""
        return {"err_msg": self.message, "err_type": self.err_type}

    @property
    def headers(self) -> dict[str, str]:
        """The answer's further headers."""
        if self.status == status.HTTP_401_UNAUTHORIZED:
            return {"WWW-Authenticate": "Bearer"}
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


def json_error(error: ApiError) -> HttpResponse:
    """The answer to a request that never reaches a view of the API."""
    return JsonResponse(error.body, status=error.status, headers=error.headers)


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's hook: every exception of a view becomes the contract's error."""
    error = as_api_error(exc)
    return Response(error.body, status=error.status, headers=error.headers)


def as_api_error(exc: Exception) -> ApiError:
    """Any exception in the contract's words; what is nobody's request's fault is logged and tells nothing."""
    match exc:
        case ApiError():
            return exc
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return ApiError("access_denied", "no valid token was given")
        case Http404() | exceptions.NotFound():
            return ApiError("not_found", "there is nothing here by that name")
        case exceptions.MethodNotAllowed():
            return ApiError("method_not_allowed", str(exc.detail))
        case exceptions.UnsupportedMediaType():
            return ApiError(
                "bad_request_params",
                "the body must be application/json",
                http_status=status.HTTP_415_UNSUPPORTED_MEDIA_TYPE,
            )
        case exceptions.Throttled():
            wait = getattr(exc, "wait", None) or RETRY_AFTER
            return ApiError("too_many_requests", "too many requests", retry_after=max(1, ceil(wait)))
        case exceptions.ValidationError():
            return ApiError("bad_request_params", "; ".join(_sentences(exc.detail)))
        case exceptions.APIException() if exc.status_code < status.HTTP_500_INTERNAL_SERVER_ERROR:
            return ApiError("bad_request_params", str(exc.detail))
        case django_exceptions.SuspiciousOperation() | django_exceptions.BadRequest():
            return ApiError("bad_request_params", "the request is malformed")
        case OperationalError() | redis.ConnectionError() | redis.TimeoutError():
            logger.exception("back_end_unavailable", exc_info=exc)
            return ApiError("not_ready", "a back end of this vertex does not answer")
    logger.exception("internal_problem", exc_info=exc)
    return ApiError("internal_problem", "something went wrong inside this vertex")


def _sentences(detail: Any, path: str = "") -> Iterator[str]:
    """DRF's tree of messages as ``field.0: message`` lines; keys of the request are cut, values never quoted."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            step = "" if name == "non_field_errors" else str(name)[:60]
            yield from _sentences(inner, f"{path}.{step}" if path and step else path or step)
    elif isinstance(detail, list):
        for inner in detail:
            yield from _sentences(inner, path)
    else:
        yield f"{path}: {detail}" if path else str(detail)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404: no route."""
    if request.path.startswith(CONSOLE):
        return defaults.page_not_found(request, exception)
    return json_error(ApiError("not_found", "there is no such route"))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400: a request that it refuses before any view."""
    if request.path.startswith(CONSOLE):
        return defaults.bad_request(request, exception)
    return json_error(as_api_error(exception))


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500; Django has logged the exception."""
    if request.path.startswith(CONSOLE):
        return defaults.server_error(request)
    return json_error(ApiError("internal_problem", "something went wrong inside this vertex"))
