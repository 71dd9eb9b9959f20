"""The id of the request that work is done for: in every log line and audit event of that work, whoever does it."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

_NAME = "request_id"  # as django-structlog binds it for the time of a request


def request_id() -> str:
    """The id that is bound here, or an empty string. Of `web` it is the one that `ContractMiddleware` lets through."""
    return str(structlog.contextvars.get_contextvars().get(_NAME, ""))


@contextmanager
def caused_by(given: str) -> Iterator[None]:
    """Work on behalf of an earlier request: its id is bound meanwhile; nothing changes where there is none."""
    if not given:
        yield
        return
    with structlog.contextvars.bound_contextvars(**{_NAME: given}):
        yield
