"""`create`: a key with an identity of its own, made by a worker, asked for over REST."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from audit.models import Event
from keys import create, heads
from keys.create import key_create, key_create_task
from keys.heads import head_task
from keys.models import KeyShare, Operation, PartyIdentity
from keys.shares import identity_open
from mpc.identity import decode_keygen_id
from tests.api import Api, error_of, footprint

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("worker")]


def test_create(alice: Api) -> None:
    response = alice.call("GET /ecdsa/create")
    assert response.status_code == 200
    answer = response.json()
    assert set(answer) == {"key_id", "keygen_id"}
    key = KeyShare.objects.select_related("identity").get(id=answer["key_id"])
    assert (key.user, key.scheme, key.state, key.generation) == (alice.user, "ecdsa", "created", 1)
    public = decode_keygen_id(answer["keygen_id"])
    assert bytes(key.identity.public) == public == identity_open(key.identity).public
    event = Event.objects.latest("seq")
    assert (event.action, event.actor, event.subject) == ("key.created", f"user:{alice.user.id}", answer["key_id"])  # type: ignore[union-attr]


def test_each_create_is_another_key(alice: Api) -> None:
    answers = [alice.call("GET /ecdsa/create/").json() for _ in range(2)]
    assert len({answer["key_id"] for answer in answers}) == 2
    assert len({answer["keygen_id"] for answer in answers}) == 2


def test_the_task_may_run_twice(alice: Api) -> None:
    alice.call("GET /ecdsa/create")
    before = footprint()
    assert key_create(operation_id=Operation.objects.get().id, scheme="ecdsa") is None
    assert key_create(operation_id=UUID(int=0), scheme="ecdsa") is None
    assert footprint() == before
    assert PartyIdentity.objects.count() == 1


def test_without_a_keystore_nothing_is_made(alice: Api, settings: object) -> None:
    settings.VERTEX_KEYSTORE = ""  # type: ignore[attr-defined]
    before = footprint()
    assert error_of(alice.call("GET /ecdsa/create")) == (500, "internal_problem")
    assert footprint() == before


@pytest.mark.parametrize("action", ["ecdsa.create", "audit.head"])
def test_a_task_that_was_lost_is_asked_for_again(
    alice: Api, settings: Any, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    sent: list[tuple[str, ...]] = []
    task, again = (key_create_task, create.ask_again) if action == "ecdsa.create" else (head_task, heads.ask_again)
    monkeypatch.setattr(task, "apply_async", lambda args, queue: sent.append(args))
    later = timezone.now() + timedelta(minutes=1)
    lost = Operation.objects.create(user=alice.user, caller="x", action=action, deadline=later)
    assert again() == 0, "it may be on its way"
    Operation.objects.update(created_at=timezone.now() - timedelta(seconds=settings.VERTEX_SWEEP + 2))
    assert again() == 1
    assert sent == [(str(lost.id), "ecdsa") if action == "ecdsa.create" else (str(lost.id),)]
    Operation.objects.update(state="done", status=200, result={})
    assert again() == 0
