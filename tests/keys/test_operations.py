"""Long calls: waiting, preferring not to, giving up, and being told how it went."""

import socket
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import BoundedSemaphore, Thread
from typing import Any

import pytest
import redis
from django.db import connection
from django.utils import timezone

from keys import create, operations
from keys.models import Operation
from tests.api import Api, error_of
from vertex import liveness
from vertex.errors import ApiError

pytestmark = pytest.mark.django_db(transaction=True)
CREATE = "GET /ecdsa/create"
MADE = {"key_id": "3b7c2a52-0d5c-4b5e-9a3c-6c8f5d1c2e11", "keygen_id": "vtx1" + "0" * 72}


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the operations whose tasks were queued; nobody works on them."""
    ids: list[str] = []
    monkeypatch.setattr(create.key_create_task, "apply_async", lambda args, queue: ids.append(args[0]))
    return ids


def in_thread(work: Callable[[], Any]) -> tuple[Thread, list[Any]]:
    results: list[Any] = []

    def run() -> None:
        results.append(work())
        connection.close()

    thread = Thread(target=run)
    thread.start()
    return thread, results


def waiting(queued: list[str], calls: int = 1) -> None:
    """Until that many calls block in Redis."""
    while sum(client["cmd"] == "blmove" for client in liveness.connection().client_list()) < calls or not queued:
        pass


@pytest.mark.usefixtures("worker")
def test_respond_async(alice: Api, bob: Api, admin: Api) -> None:
    response = alice.call(CREATE, prefer="respond-async")
    operation = Operation.objects.get()
    # Here the task ran while it was queued: it is told at once. See the next test for the other case.
    assert response.status_code == 202
    assert response["Location"] == f"/operations/{operation.id}"
    assert response.json() == {"operation_id": str(operation.id)}
    for caller in (alice, admin):
        told = caller.call(f"GET /operations/{operation.id}/").json()
        assert (told["state"], told["action"], told["status"], told["error"]) == ("done", "ecdsa.create", 200, None)
        assert set(told["result"]) == {"key_id", "keygen_id"}
    assert error_of(bob.call(f"GET /operations/{operation.id}")) == (404, "not_found")


def test_an_operation_in_work(alice: Api, queued: list[str]) -> None:
    before = timezone.now()
    response = alice.call(CREATE, prefer="wait=5, respond-async")
    assert response.status_code == 202
    told = alice.call(f"GET {response['Location']}").json()
    assert (told["state"], told["status"], told["result"], told["error"]) == ("pending", None, None, None)
    assert queued == [told["operation_id"]]
    deadline = Operation.objects.get().deadline
    assert before + timedelta(seconds=5) <= deadline <= timezone.now() + timedelta(seconds=5)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, (200, MADE)),
        (ApiError("executor_result", "m"), (400, {"err_type": "executor_result", "err_msg": "m"})),
    ],
)
def test_all_who_wait_are_woken(
    alice: Api, queued: list[str], error: ApiError | None, expected: tuple[int, dict[str, str]]
) -> None:
    headers = {"idempotency_key": "one"}
    calls = [in_thread(lambda: alice.call(CREATE, **headers)) for _ in range(3)]
    waiting(queued, calls=3)
    [operation] = Operation.objects.all()
    assert operations.finish(operation_id=operation.id, result=MADE, error=error)
    for thread, _ in calls:
        thread.join()
    assert [(result.status_code, result.json()) for _, [result] in calls] == [expected] * 3
    assert queued == [str(operation.id)]
    name = operations._list(operation.id)
    assert 0 < liveness.connection().ttl(name) <= 600
    # One that comes late is told at once.
    late = alice.call(CREATE, **headers)
    assert (late.status_code, late.json()) == expected


def test_what_is_not_finished_in_time(alice: Api, queued: list[str]) -> None:
    response = alice.call(CREATE, prefer="wait=1")
    assert error_of(response) == (400, "executor_result")
    assert f"/operations/{queued[0]}" in response.json()["err_msg"]
    assert Operation.objects.get().state == "pending"


def test_giving_up_ends_what_changed_nothing(alice: Api, queued: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    absent = ApiError("executor_result", "nobody came")

    def cancel(operation_id: Any) -> None:
        operations.finish(operation_id=operation_id, error=absent)

    perform = operations.perform
    monkeypatch.setattr(operations, "perform", lambda *args, **named: perform(*args, **{**named, "cancel": cancel}))
    response = alice.call(CREATE, prefer="wait=1")
    assert (response.status_code, response.json()) == (400, absent.body)


@pytest.mark.parametrize("prefer", ["wait=0", "wait=-1", "wait=x", "wait=", "wait=1.5", "wait=9999999999", "wait=٣"])
def test_a_wait_that_is_no_number_of_seconds(alice: Api, queued: list[str], prefer: str) -> None:
    assert error_of(alice.call(CREATE, prefer=prefer)) == (400, "bad_request_params")
    assert not queued
    assert not Operation.objects.exists()


def test_a_wait_never_exceeds_the_settings(alice: Api, queued: list[str], settings: Any) -> None:
    settings.VERTEX_ASYNC_TIMEOUT = 100.0
    before = timezone.now()
    alice.call(CREATE, prefer="respond-async, wait=999999, handling=lenient")
    assert Operation.objects.get().deadline <= timezone.now() + timedelta(seconds=100)
    assert Operation.objects.get().deadline >= before + timedelta(seconds=100)


def test_only_so_many_may_wait(alice: Api, queued: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    slots = BoundedSemaphore(1)
    monkeypatch.setattr(operations, "_slots", slots)
    with slots:
        response = alice.call(CREATE)
        assert error_of(response) == (503, "not_ready")
        assert "Retry-After" in response
        assert (queued, Operation.objects.count()) == ([], 0)
        assert alice.call(CREATE, prefer="respond-async").status_code == 202
    # Every way out of a call gives its place back.
    assert error_of(alice.call(CREATE, prefer="wait=1")) == (400, "executor_result")
    assert error_of(alice.call("POST /ecdsa/sign", {})) == (400, "bad_request_params")
    assert slots.acquire(blocking=False)


def test_a_call_that_could_not_start_leaves_nothing(alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(args: tuple[str, ...], queue: str) -> None:
        raise ApiError("not_ready", "no broker")

    monkeypatch.setattr(create.key_create_task, "apply_async", refuse)
    assert error_of(alice.call(CREATE, idempotency_key="k")) == (503, "not_ready")
    assert not Operation.objects.exists()


def test_finish_is_once(alice: Api, queued: list[str]) -> None:
    alice.call(CREATE, prefer="respond-async")
    operation = Operation.objects.get()
    assert operations.finish(operation_id=operation.id, result={"a": 1})
    assert not operations.finish(operation_id=operation.id, error=ApiError("executor_result", "late"))
    operation.refresh_from_db()
    assert (operation.state, operation.result) == ("done", {"a": 1})


def test_work_that_was_lost_is_ended_by_the_sweep(alice: Api, queued: list[str]) -> None:
    for _ in range(2):
        alice.call(CREATE, prefer="respond-async")
    late, early = Operation.objects.order_by("created_at")
    Operation.objects.filter(id=late.id).update(deadline=timezone.now() - timedelta(seconds=1))
    assert operations.expire() == 1
    late.refresh_from_db()
    early.refresh_from_db()
    assert (late.state, late.status, late.result["err_type"], early.state) == (
        "failed",
        400,
        "executor_result",
        "pending",
    )


def test_calls_that_were_done_at_once_are_listed_with_their_answers(admin: Api) -> None:
    """Those that named an Idempotency-Key; what was shown once is not in it. The document says so too."""
    made = admin.call("GET /admin/create-user?name=x", idempotency_key="k").json()
    [line] = admin.call("GET /operations").json()["results"]
    assert (line["action"], line["state"]) == ("create-user", "done")
    assert line["result"] == {"user_id": made["user_id"]}


def test_a_redis_that_has_vanished_holds_no_call_for_ever(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection and answers nothing, as a host does that is gone."""
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor() as pool:
        settings.REDIS_URL = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        settings.VERTEX_SYNC_TIMEOUT = settings.VERTEX_RULE_TIMEOUT = 0.1
        monkeypatch.setattr(operations, "_LATE", 0.1)
        operations._blocking.cache_clear()
        try:
            waiting = pool.submit(operations.wait_for, uuid.uuid4(), seconds=0.1)
            with pytest.raises(redis.TimeoutError):
                waiting.result(timeout=10)
        finally:
            silent.close()  # who still waits sees its connection end
            operations._blocking.cache_clear()
