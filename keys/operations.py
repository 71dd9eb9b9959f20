"""Calls whose answer takes a protocol, and the memory of idempotent ones.

A call is a row first; a worker finishes it. Whoever waits for it holds a thread and a Redis connection, never one of
the database. The token that wakes waiters is moved onto its own list, so that any number of them sees it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from threading import BoundedSemaphore
from typing import Any
from uuid import UUID

import msgspec
import redis
from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now
from redis.backoff import ExponentialBackoff
from redis.retry import Retry
from rest_framework.request import Request
from rest_framework.response import Response

from keys import boxes, clock
from keys.auth import principal_in
from keys.boxes import AnswerKey
from keys.models import Operation
from keys.webhooks.events import operation_finished
from mpc.hashing import TH
from vertex import liveness
from vertex.errors import ApiError
from vertex.requests import request_id

State = Operation.State
MAX_KEY = 200  # characters of an Idempotency-Key
SEALED = "sealed"  # the part of a result that is sealed to the view which waits for it
MAX_AGAIN = 20  # tasks that one sweep asks for again
_WAKE_TTL = 600  # seconds
_LATE = 5.0  # seconds by which the answer to a wait that is over may be late
_slots = BoundedSemaphore(settings.VERTEX_MAX_WAITERS)


@dataclass(frozen=True)
class Preference:
    """What the `Prefer` header asks for: an answer at once, and the seconds that the protocol may take."""

    respond_async: bool
    seconds: float

    @property
    def deadline(self) -> datetime:
        """The end of the protocol's time."""
        return clock.now() + timedelta(seconds=self.seconds)


def preference(request: Request) -> Preference:
    """Read `Prefer: respond-async, wait=<seconds>` within the settings' limits; other preferences are ignored."""
    parts = [part.strip().lower() for part in request.headers.get("Prefer", "").split(",")]
    respond_async = "respond-async" in parts
    limit: float = settings.VERTEX_ASYNC_TIMEOUT if respond_async else settings.VERTEX_SYNC_TIMEOUT
    for part in parts:
        name, _, value = part.partition("=")
        if name.strip() == "wait":
            value = value.strip()
            if not (value.isascii() and value.isdigit() and len(value) < 10 and int(value)):
                raise ApiError("bad_request_params", "Prefer: wait= takes a number of seconds, at least 1")
            limit = min(limit, int(value))
    return Preference(respond_async, limit)


def perform(
    request: Request,
    *,
    action: str,
    start: Callable[[Operation, datetime], None],
    cancel: Callable[[UUID], object] = lambda operation_id: None,
    answer_key: AnswerKey | None = None,
) -> Response:
    """Make the row, start the work (``start(operation, deadline)``), answer as the caller prefers.

    ``cancel(operation_id)`` is called when the time is over: it ends what has changed nothing yet. Whatever ``start``
    raises leaves no pending row behind: nothing was begun, and the same Idempotency-Key may be used again.
    ``answer_key``: of an answer with a secret, which this view alone can open, once, and only while it waits.
    """
    wanted = preference(request)
    if answer_key is not None and wanted.respond_async:
        raise ApiError("bad_request_params", "the answer holds a secret, kept nowhere: this call can't be async")
    with _slot(wanted):
        deadline = wanted.deadline
        operation, fresh = begin(request, action=action, deadline=deadline)
        if fresh:
            try:
                start(operation, deadline)
            except BaseException:
                Operation.objects.filter(id=operation.id, state=State.PENDING).delete()
                raise
        return respond(operation, wanted, cancel=cancel, answer_key=answer_key if fresh else None)


def once(request: Request, *, action: str, make: Callable[[], tuple[dict[str, Any], dict[str, Any]]]) -> Response:
    """A creating call that is done at once: ``make`` returns its answer and what may be repeated of it.

    All in one transaction, so that a repeated call finds all or nothing.
    """
    with transaction.atomic():
        operation, fresh = begin(request, action=action, deadline=clock.now())
        if not fresh:
            return answer(operation)
        given, repeatable = make()
        if operation.idempotency_key is None:
            operation.delete()
        else:
            _end(operation.id, result=repeatable)
    return Response(given)


def begin(request: Request, *, action: str, deadline: datetime) -> tuple[Operation, bool]:
    """The row of this call and True, or that of the earlier call with the same Idempotency-Key and False."""
    principal = principal_in(request)
    name = request.headers.get("Idempotency-Key")
    if name is not None and not (0 < len(name) <= MAX_KEY and name.isascii() and name.isprintable()):
        raise ApiError("bad_request_params", f"an Idempotency-Key has 1 to {MAX_KEY} printable ASCII characters")
    operation = Operation(
        user=principal.user,
        caller=principal.actor,
        action=action,
        idempotency_key=name,
        request_digest=_digest(request, action),
        request_id=request_id(),
        deadline=deadline,
    )
    if name is None:
        operation.save(force_insert=True)
        return operation, True
    found = None
    while found is None:  # again where the earlier call's row was forgotten in between
        # Waits for a transaction that is about to use the same key, then sees its row.
        Operation.objects.bulk_create([operation], ignore_conflicts=True)
        found = Operation.objects.filter(caller=principal.actor, idempotency_key=name).first()
    if bytes(found.request_digest or b"") != operation.request_digest:
        raise ApiError("bad_request_params", "this Idempotency-Key was used for another request")
    return found, found.id == operation.id


def _digest(request: Request, action: str) -> bytes:
    # A GET's body means nothing and is not looked at.
    data = {} if request.method == "GET" else request.data
    parts = (data, request.query_params.lists(), request.parser_context["kwargs"])
    key = settings.SECRET_KEY.encode()  # a request may hold a secret that could be guessed
    return TH(
        "request", key, action.encode(), *(msgspec.json.encode(_plain(part), order="deterministic") for part in parts)
    )


def _plain(part: Any) -> Any:
    return part if isinstance(part, dict) else list(part)


def respond(
    operation: Operation,
    wanted: Preference,
    *,
    cancel: Callable[[UUID], object],
    answer_key: AnswerKey | None = None,
) -> Response:
    """The answer once there is one; 202 at once for who prefers that; `executor_result` when the time is over."""
    if operation.state == State.PENDING and wanted.respond_async:
        location = f"/operations/{operation.id}"
        headers = {"Location": location, "Preference-Applied": "respond-async"}
        return Response({"operation_id": str(operation.id)}, status=202, headers=headers)
    if operation.state == State.PENDING:
        wait_for(operation.id, seconds=wanted.seconds)
        operation.refresh_from_db()
    if operation.state == State.PENDING:
        cancel(operation.id)
        operation.refresh_from_db()
    if operation.state == State.PENDING:
        raise ApiError("executor_result", f"not finished in time; it may go on: see /operations/{operation.id}")
    return answer(operation, answer_key)


def answer(operation: Operation, answer_key: AnswerKey | None = None) -> Response:
    """The answer of a finished operation: its result or its error; with the secret in it for who has the key."""
    result, sealed = public_result(operation), _sealed(operation)
    if sealed is not None and answer_key is not None:
        result |= msgspec.json.decode(answer_key.open(bytes.fromhex(sealed), operation.id.bytes))
        Operation.objects.filter(id=operation.id).update(result=public_result(operation))
    return Response(result, status=operation.status)


def seal_answer(operation_id: UUID, secret: dict[str, str], *, public: bytes) -> dict[str, Any]:
    """Worker: the result of an operation whose view alone, by its answer key, can read it."""
    return {SEALED: boxes.seal(public, msgspec.json.encode(secret), "answer", operation_id.bytes).hex()}


def public_result(operation: Operation) -> Any:
    """What may be told of a result later."""
    result = operation.result
    return {name: part for name, part in result.items() if name != SEALED} if isinstance(result, dict) else result


def _sealed(operation: Operation) -> str | None:
    return operation.result.get(SEALED) if isinstance(operation.result, dict) else None


def split(operation: Operation, *, parts: int) -> list[Operation]:
    """The parts of a batch: operations of their own, whose answers become the batch's once the last has ended."""
    return Operation.objects.bulk_create(
        Operation(
            parent=operation,
            index=index,
            user=operation.user,
            caller=operation.caller,
            action=operation.action,
            deadline=operation.deadline,
        )
        for index in range(parts)
    )


@transaction.atomic(savepoint=False)
def finish(
    *,
    operation_id: UUID,
    result: dict[str, Any] | list[dict[str, Any]] | None = None,
    error: ApiError | None = None,
) -> bool:
    """End a pending operation, inside the caller's transaction; waiters wake on commit, and webhooks tell of it. False
    when it had ended.

    The last part of a batch ends the batch. One that ended as `not_ready` did nothing and may be repeated: its
    Idempotency-Key is free again, or the repeated call would get the same refusal for ever.
    """
    if not _end(operation_id, result=result, error=error):
        return False
    operation_finished(operation_id)
    # Whoever waits reads the row when its time is over, should Redis not answer.
    transaction.on_commit(lambda: wake(operation_id), robust=True)
    _gather(operation_id)
    return True


def _end(
    operation_id: UUID,
    *,
    result: dict[str, Any] | list[dict[str, Any]] | None = None,
    error: ApiError | None = None,
) -> bool:
    freed = {"idempotency_key": None} if error and error.retry_after is not None else {}
    rows = Operation.objects.filter(id=operation_id, state=State.PENDING).update(
        **freed,
        state=State.FAILED if error else State.DONE,
        status=error.status if error else 200,
        result=error.body if error else result or {},
        finished_at=Now(),
        arguments={},
    )
    return bool(rows)


def _gather(part_id: UUID) -> None:
    """Of parts that end at once the one that gets the batch's lock last sees all others ended."""
    batch = Operation.objects.select_for_update(of=("self",)).filter(parts=part_id, state=State.PENDING).first()
    if batch is None or batch.parts.filter(state=State.PENDING).exists():
        return
    ended = batch.parts.order_by("index").values_list("state", "result")
    answers = [{"Signature" if state == State.DONE else "Error": result} for state, result in ended]
    finish(operation_id=batch.id, result=answers)


def expire() -> int:
    """For the sweep: end operations whose work was lost with a process; others end with their sessions or parts."""
    overdue = Operation.objects.filter(state=State.PENDING, session=None, parts=None, deadline__lt=Now())
    error = ApiError("executor_result", "it was not finished in time")
    return sum(finish(operation_id=operation_id, error=error) for operation_id in overdue.values_list("id", flat=True))


def unattended(**which: Any) -> list[Operation]:
    """For the sweep: the oldest pending calls of those that are one task, sent some time ago and maybe lost."""
    now = clock.now()
    sent = now - timedelta(seconds=max(1.0, settings.VERTEX_SWEEP))
    pending = Operation.objects.filter(state=State.PENDING, session=None, created_at__lt=sent, deadline__gt=now)
    return list(pending.filter(**which).order_by("created_at")[:MAX_AGAIN])


@contextmanager
def _slot(wanted: Preference) -> Iterator[None]:
    """A place among those that may wait, taken before anything starts; who does not wait needs none."""
    if wanted.respond_async:
        yield
        return
    if not _slots.acquire(blocking=False):
        raise ApiError("not_ready", "too many calls are waiting here; repeat it, or use Prefer: respond-async")
    try:
        yield
    finally:
        _slots.release()


@lru_cache(maxsize=1)
def _blocking() -> redis.Redis:
    """A client whose reads may last as long as anything here waits, and a little longer: a server that has vanished
    holds no thread for ever. Only a connection that was lost is tried again, which costs no time."""
    longest = max(settings.VERTEX_SYNC_TIMEOUT, settings.VERTEX_RULE_TIMEOUT)
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=longest + _LATE,
        socket_connect_timeout=5,
        socket_keepalive=True,
        retry=Retry(ExponentialBackoff(), 3, supported_errors=(redis.ConnectionError,)),
    )


def _list(operation_id: UUID) -> str:
    return f"{settings.VERTEX_NAME}:operation:{operation_id}"


def wake(operation_id: UUID) -> None:
    """Wake whoever waits for this id, now or within the next minutes."""
    with liveness.connection().pipeline(transaction=True) as pipeline:
        pipeline.rpush(_list(operation_id), b"1")
        pipeline.expire(_list(operation_id), _WAKE_TTL)
        pipeline.execute()


def wait_for(operation_id: UUID, *, seconds: float) -> None:
    """Until `wake` was called for this id, at most so long; holds no database connection meanwhile."""
    connection.close()
    name = _list(operation_id)
    _blocking().blmove(name, name, seconds, "LEFT", "RIGHT")  # type: ignore[arg-type]
