"""What a reshare tells webhooks: each state once, each deletion once, to its user's endpoints and in its order."""

import json
from typing import Any

import pytest

from keys.models import WebhookDelivery, WebhookEndpoint
from keys.sessions import services
from reshare import orders
from reshare.requests import Room, existing_request
from tests.life import Party, Vertex
from tests.reshare.test_whole_life import confirm, reshare


@pytest.fixture(autouse=True)
def endpoints(settings: Any) -> None:
    settings.VERTEX_WEBHOOK_HOSTS = ["hooks.example"]


def listens(party: Party) -> WebhookEndpoint:
    return WebhookEndpoint.objects.create(user=party.user, url="https://hooks.example/", sealed_secret=b"x")


def told(endpoint: WebhookEndpoint, *names: str) -> list[dict[str, Any]]:
    """The data of events of these names, in the order in which they were written."""
    rows = WebhookDelivery.objects.filter(endpoint=endpoint, event__in=names).order_by("created_at")
    return [json.loads(row.payload)["data"] for row in rows]


def test_a_reshare_that_completes(vertex: Vertex) -> None:
    old = vertex.keygen("abc", 2)
    endpoint = listens(old[0])
    rows = reshare(vertex, old, [], 2)
    for row in rows[:2]:
        confirm(row)
        vertex.run()
    states = told(endpoint, "reshare.state_changed")
    # All parties are on one vertex here, and go through the end in one go: what was passed through is not told.
    order = ["running", "voting", "committed", "complete", "clean"]
    names = [each["state"] for each in states]
    assert names == [state for state in order if state in names]
    assert {"running", "voting", "clean"} <= set(names)
    assert {each["reshare_id"] for each in states} == {str(rows[0].id)}
    assert {each["rid"] for each in states} == {rows[0].attempt}
    assert {each["user_id"] for each in states} == {str(old[0].user.id)}
    for event in ("deletion.pending", "deletion.confirmed", "deletion.erased"):
        deletions = told(endpoint, event)
        own = [each["keygen_id"] for each in deletions if each["old_key_id"] == str(old[0].key_id)]
        assert len(own) == len(deletions), event
        assert len({each["deletion_id"] for each in deletions}) == len(deletions), event
        assert old[0].keygen_id in own, event
    [finished] = told(endpoint, "operation.finished")
    assert (finished["state"], finished["err_type"]) == ("done", None)
    payloads = "".join(WebhookDelivery.objects.values_list("payload", flat=True))
    assert "key_share" not in payloads


def test_a_reshare_that_is_aborted(vertex: Vertex) -> None:
    old = vertex.keygen("abc", 2)
    endpoint = listens(old[0])
    rows = reshare(vertex, old, [], 2)
    for row in rows[1:]:
        orders.abort(row=row, actor="admin", reason="no")
    vertex.run()
    assert [each["state"] for each in told(endpoint, "reshare.state_changed")] == ["running", "voting", "aborted"]
    assert told(endpoint, "deletion.confirmed", "deletion.erased") == []


def test_an_attempt_that_never_began(vertex: Vertex) -> None:
    old = vertex.keygen("ab", 2)
    endpoint, operation = listens(old[0]), vertex.operation(old[0])
    existing_request(
        user=old[0].user,
        operation=operation,
        key_id=old[0].key_id,
        scheme="ecdsa",
        keygen_ids=[party.keygen_id for party in old],
        new_threshold=2,
        room=Room(vertex.room(2), None, operation.deadline),
    )
    assert services.session_cancel(operation_id=operation.id)
    [failed] = told(endpoint, "reshare.state_changed")
    assert (failed["state"], failed["rid"], failed["new_key_id"]) == ("failed", None, None)
    [finished] = told(endpoint, "operation.finished")
    assert (finished["state"], finished["err_type"]) == ("failed", "executor_result")
