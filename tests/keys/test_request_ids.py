"""The id of a request: in the events and log lines of all that it causes, in other processes too."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from audit import chain
from audit.models import Event
from keys.models import Operation, ProtocolSession
from keys.sessions import services, worker
from tests.api import Api
from tests.life import Vertex
from vertex.errors import ApiError
from vertex.requests import caused_by, request_id


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """The log as the configured handler writes it."""
    root = logging.getLogger()
    made = next(h for h in root.handlers if isinstance(h.formatter, structlog.stdlib.ProcessorFormatter))
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(made.formatter)
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)


def test_it_is_bound_for_a_while() -> None:
    assert request_id() == ""
    with caused_by("one"):
        with caused_by("two"):
            assert request_id() == "two"
        with caused_by(""):
            assert request_id() == "one"
        assert request_id() == "one"
    assert request_id() == ""


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("worker")
def test_an_event_of_a_call_and_its_task(alice: Api, admin: Api) -> None:
    assert request_id() == ""  # nothing of an earlier request is left on this thread
    answer = alice.call("GET /ecdsa/create", x_request_id="call-1")
    assert answer["X-Request-Id"] == "call-1"
    admin.call("GET /admin/create-user?name=x", x_request_id="call-2")
    found = dict(Event.objects.exclude(subject=str(alice.user.id)).values_list("action", "data__request_id"))  # type: ignore[union-attr]
    assert found == {"key.created": "call-1", "user.created": "call-2"}
    chain.verify(event.entry for event in Event.objects.order_by("seq"))
    assert Operation.objects.get(action="ecdsa.create").request_id == "call-1"
    [told] = admin.call("GET /operations").json()["results"]
    assert told["request_id"] == "call-1"


def test_a_session_is_worked_on_in_the_name_of_its_call(vertex: Vertex, lines: io.StringIO) -> None:
    parties = [vertex.party(name) for name in "ab"]
    room = vertex.room(2)
    for party in parties:
        operation = vertex.ask_keygen(party, parties, 2, room)
        Operation.objects.filter(id=operation.id).update(request_id=f"call-{party.name}")
    vertex.run()
    for party in parties:
        events = Event.objects.filter(subject=str(party.key_id)).exclude(action="keygen.requested")
        assert events.count() > 1
        assert {event.data.get("request_id") for event in events} == {f"call-{party.name}"}
    assert request_id() == ""


def test_a_crash_in_a_session_is_logged_in_the_name_of_its_call(
    vertex: Vertex, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    parties = [vertex.party(name) for name in "ab"]
    room = vertex.room(2)
    for party in parties:
        operation = vertex.ask_keygen(party, parties, 2, room)
        Operation.objects.filter(id=operation.id).update(request_id=f"call-{party.name}")

    def broken(*args: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(worker, "_run_protocol", broken)
    while worker.work("protocol"):
        ProtocolSession.objects.update(woken=False)
    crashed = [json.loads(line) for line in lines.getvalue().splitlines() if "session_interrupted" in line]
    assert {line["request_id"] for line in crashed} <= {"call-a", "call-b"}
    assert crashed


def test_a_session_that_the_sweep_ends(vertex: Vertex) -> None:
    parties = [vertex.party(name) for name in "ab"]
    operation = vertex.ask_keygen(parties[0], parties, 2, vertex.room(2))
    Operation.objects.filter(id=operation.id).update(request_id="call-a")
    session = ProtocolSession.objects.get()
    error = ApiError("executor_result", "m")
    assert services.session_fail(session_id=session.id, error=error, actor="system")
    assert Event.objects.get(action="keygen.failed").data["request_id"] == "call-a"
