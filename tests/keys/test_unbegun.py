"""Calls whose process died between their row and their work: they end soon, and may be repeated as they were."""

from datetime import timedelta
from typing import Any

import pytest

from keys import clock, handed, unbegun
from keys.models import Operation, ProtocolSession
from keys.sessions import services
from tests.life import Vertex
from vertex.errors import ApiError

State = Operation.State


def call(vertex: Vertex, age: timedelta, **fields: Any) -> Operation:
    party = vertex.party("a")
    operation = vertex.operation(party)
    Operation.objects.filter(id=operation.id).update(
        **{"created_at": clock.now() - age, "action": "ecdsa.sign", "idempotency_key": "again"} | fields
    )
    return operation


LONG = timedelta(minutes=1)
ENDED = [
    (timedelta(), {}, False),
    (LONG, {}, True),
    (LONG, {"action": "ecdsa.reshare"}, True),
    (LONG, {"action": "ecdsa.delete"}, True),
    # A worker is asked for these again.
    (LONG, {"action": "ecdsa.create"}, False),
    (LONG, {"action": "audit.head"}, False),
    (LONG, {"action": "ecdsa.delete", "task": "reshare.delete", "arguments": {"key_id": "x"}}, False),
    (LONG, {"action": "share.agree", "arguments": {"agreed": "x"}}, False),
    (LONG, {"action": "share.agree"}, True),
    # A batch asks rule servers for each of its requests.
    (LONG, {"action": "ecdsa.batch-sign"}, False),
    (unbegun.BATCH_PATIENCE + LONG, {"action": "ecdsa.batch-sign"}, True),
]


@pytest.mark.parametrize(("age", "fields", "ended"), ENDED)
def test_what_was_never_begun_ends_and_frees_its_key(
    vertex: Vertex, age: timedelta, fields: dict[str, Any], ended: bool
) -> None:
    operation = call(vertex, age, **fields)
    services.sweep()
    operation.refresh_from_db()
    if not ended:
        assert (operation.state, operation.idempotency_key) == (State.PENDING, "again")
        return
    assert (operation.state, operation.status, operation.idempotency_key) == (State.FAILED, 503, None)
    assert operation.result is not None
    assert operation.result["err_type"] == "not_ready"


def test_what_has_a_session_or_parts_goes_on(vertex: Vertex) -> None:
    parties, room = [vertex.party(name) for name in "ab"], vertex.room(2)
    operation = vertex.ask_keygen(parties[0], parties, 2, room)
    batch = call(vertex, unbegun.BATCH_PATIENCE + LONG, action="ecdsa.batch-sign")
    part = Operation.objects.create(
        user=batch.user, caller="a", action=batch.action, parent=batch, index=0, deadline=batch.deadline
    )
    Operation.objects.filter(id=operation.id).update(created_at=clock.now() - LONG)
    services.sweep()
    assert set(Operation.objects.values_list("state", flat=True)) == {State.PENDING}
    # A part that was never begun ends as all others do, and the batch with its last one.
    Operation.objects.filter(id=part.id).update(created_at=clock.now() - unbegun.BATCH_PATIENCE - LONG)
    services.sweep()
    batch.refresh_from_db()
    assert batch.state == State.DONE
    assert [answer["Error"]["err_type"] for answer in batch.result or []] == ["not_ready"]


def test_a_process_that_lives_finds_its_call_ended_and_begins_nothing(
    vertex: Vertex, monkeypatch: pytest.MonkeyPatch
) -> None:
    parties, room = [vertex.party(name) for name in "ab"], vertex.room(2)
    ended = call(vertex, LONG)
    services.sweep()
    monkeypatch.setattr(vertex, "operation", lambda party: ended)
    with pytest.raises(ApiError, match="repeat it") as error:
        vertex.ask_keygen(parties[0], parties, 2, room)
    assert (error.value.err_type, error.value.retry_after) == ("not_ready", 1)
    assert not ProtocolSession.objects.exists()
    with pytest.raises(ApiError, match="repeat it"):
        handed.hand(ended, task="keys.backup_export", arguments={})
    assert not Operation.objects.exclude(task="").exists()
