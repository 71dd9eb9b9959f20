"""A user's client that does not give up: calls are repeated while a vertex is away, with the same Idempotency-Key."""

import time
import uuid
from typing import Any

import httpx

from tests.cluster.outside import Answer, Caller

PAUSE = 0.2  # seconds before a call is repeated
NO_ROOM = "room_creation_problem"  # the relay was away
AWAY = frozenset({429, 500, 502, 503, 504})


class Unanswered(Exception):
    """A vertex did not answer for too long."""


def call(caller: Caller, route: str, body: Any = None, *, patience: float, **headers: str) -> Answer:
    """The first answer that is one; calls that create something carry an Idempotency-Key."""
    if route.startswith("POST") and "idempotency_key" not in headers:
        headers["idempotency_key"] = uuid.uuid4().hex
    deadline = time.monotonic() + patience
    last: object = None
    while time.monotonic() < deadline:
        try:
            answer = caller.call(route, body, **headers)
            if answer.status not in AWAY and not (answer.status == 400 and answer.body.get("err_type") == NO_ROOM):
                return answer
            last = answer.body
        except (httpx.HTTPError, ValueError) as error:  # ValueError: cut off in the middle of its JSON
            last = error
        time.sleep(PAUSE)
    raise Unanswered(f"{caller.url} {route}: {last!r}")


def ok(caller: Caller, route: str, body: Any = None, *, patience: float) -> Any:
    """The JSON of a call that must succeed in the end."""
    answer = call(caller, route, body, patience=patience)
    if answer.status != 200:
        raise Unanswered(f"{caller.url} {route}: {answer.status} {answer.body}")
    return answer.body
