"""Every failure has the contract's form, and nothing from inside leaks into it."""

import pytest
import redis
from django.core.exceptions import SuspiciousOperation
from django.db import OperationalError
from django.http import Http404
from rest_framework import exceptions

from vertex.errors import ERROR_STATUS, ApiError, as_api_error, exception_handler

LEAK = "host=db.internal password=hunter2"


def test_the_table_has_the_contracts_statuses() -> None:
    others = {
        "access_denied": 401,
        "not_found": 404,
        "method_not_allowed": 405,
        "too_many_requests": 429,
        "internal_problem": 500,
        "not_ready": 503,
    }
    assert {name: code for name, code in ERROR_STATUS.items() if code != 400} == others
    assert len(ERROR_STATUS) == 29 + len(others)


def test_an_unknown_type_is_a_programming_error() -> None:
    with pytest.raises(KeyError):
        ApiError("no_such_type", "message")


@pytest.mark.parametrize(
    ("exc", "status", "err_type"),
    [
        (ApiError("share_erased", "gone"), 400, "share_erased"),
        (exceptions.NotAuthenticated(), 401, "access_denied"),
        (exceptions.AuthenticationFailed(), 401, "access_denied"),
        (exceptions.MethodNotAllowed("PUT"), 405, "method_not_allowed"),
        (exceptions.UnsupportedMediaType("text/plain"), 415, "bad_request_params"),
        (exceptions.ParseError("bad"), 400, "bad_request_params"),
        (exceptions.Throttled(wait=7), 429, "too_many_requests"),
        (Http404(LEAK), 404, "not_found"),
        (SuspiciousOperation(LEAK), 400, "bad_request_params"),
        (OperationalError(LEAK), 503, "not_ready"),
        (redis.ConnectionError(LEAK), 503, "not_ready"),
        (RuntimeError(LEAK), 500, "internal_problem"),
        (KeyError("x"), 500, "internal_problem"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_exceptions_become_answers(exc: Exception, status: int, err_type: str) -> None:
    response = exception_handler(exc, {})
    assert (response.status_code, response.data["err_type"]) == (status, err_type)
    assert set(response.data) == {"err_msg", "err_type"}
    assert "hunter2" not in response.data["err_msg"]
    assert ("Retry-After" in response.headers) == (status in (429, 503))


def test_validation_errors_name_their_fields() -> None:
    nested = exceptions.ValidationError({"ids": {0: ["Bad."]}, "n": ["Too big.", "Odd."], "non_field_errors": ["No."]})
    assert as_api_error(nested).message == "ids.0: Bad.; n: Too big.; n: Odd.; No."


def test_throttling_says_when_to_come_back() -> None:
    assert exception_handler(exceptions.Throttled(wait=7), {}).headers["Retry-After"] == "7"
