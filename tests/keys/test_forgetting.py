"""What is deleted once its time is over: never what is unfinished, never before, and a batch at a time."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from keys import forgetting, operations
from keys.models import (
    KeyShare,
    Operation,
    PartyIdentity,
    ProtocolSession,
    Rule,
    RuleCount,
    WebhookDelivery,
    WebhookEndpoint,
)
from reshare.management.commands import listen
from tests.api import Api

pytestmark = pytest.mark.django_db(transaction=True)
LIFE, DAY = 30 * 86_400, 86_400


@pytest.fixture(autouse=True)
def lives(settings: Any) -> None:
    settings.VERTEX_OPERATION_LIFE, settings.VERTEX_DELIVERY_LIFE = LIFE, LIFE - DAY


def ended(api: Api, *, seconds: float | None, state: str = "done", **fields: Any) -> Operation:
    """An operation that ended so long ago; None: it is pending, as old as it may be."""
    row = Operation.objects.create(
        user=api.user, caller="user:x", action="ecdsa.sign", deadline=timezone.now() - timedelta(days=999), **fields
    )
    made = {"created_at": timezone.now() - timedelta(days=999)}
    if seconds is not None:
        finished = timezone.now() - timedelta(seconds=seconds)
        made |= {"state": state, "status": 200, "result": {}, "finished_at": finished}
    Operation.objects.filter(id=row.id).update(**made)
    return row


def session_of(api: Api, operation: Operation, **fields: Any) -> ProtocolSession:
    share = KeyShare.objects.create(user=api.user, identity=PartyIdentity.objects.create(public=operation.id.bytes * 2))
    return ProtocolSession.objects.create(
        kind="sign", share=share, operation=operation, room=operation.id.hex, deadline=timezone.now(), **fields
    )


def left() -> set[Any]:
    return set(Operation.objects.values_list("id", flat=True))


@pytest.mark.parametrize("fields", [{}, {"idempotency_key": "k"}, {"state": "failed"}])
@pytest.mark.parametrize(("seconds", "kept"), [(LIFE + 60, False), (LIFE - 60, True), (None, True)])
def test_calls(alice: Api, fields: dict[str, Any], seconds: float | None, kept: bool) -> None:
    ended(alice, seconds=seconds, **fields)
    assert forgetting.forget()["operations"] == (0 if kept else 1)
    assert Operation.objects.exists() is kept


def test_a_batch_goes_with_its_parts_and_parts_never_alone(alice: Api) -> None:
    old, young = ended(alice, seconds=LIFE + 60), ended(alice, seconds=60)
    ended(alice, seconds=LIFE + 60, parent=old, index=0)
    part = ended(alice, seconds=LIFE + 60, parent=young, index=0)
    forgetting.forget()
    assert left() == {young.id, part.id}


@pytest.mark.parametrize("of_a_part", [False, True])
@pytest.mark.parametrize("over", [False, True])
def test_a_call_whose_session_goes_on_stays(alice: Api, of_a_part: bool, over: bool) -> None:
    call = ended(alice, seconds=LIFE + 60)
    worked = ended(alice, seconds=LIFE + 60, parent=call, index=0) if of_a_part else call
    fields = {"state": "done", "finished_at": timezone.now()} if over else {"state": "running"}
    session = session_of(alice, worked, **fields)
    forgetting.forget()
    assert Operation.objects.exists() is not over
    session.refresh_from_db()
    assert session.operation_id == (None if over else worked.id), "sessions stay: they know which sids were used"


def test_a_batch_at_a_time_the_oldest_first(alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "BATCH", 2)
    rows = [ended(alice, seconds=LIFE + 60 * age) for age in (1, 3, 5, 2, 4)]
    assert forgetting.forget()["operations"] == 2
    assert left() == {rows[0].id, rows[1].id, rows[3].id}
    assert [forgetting.forget()["operations"] for _ in range(3)] == [2, 1, 0]


def test_an_idempotency_key_answers_as_long_as_it_is_remembered_and_is_free_then(admin: Api) -> None:
    route, key = "GET /admin/create-user?name=x", {"idempotency_key": "k"}
    first = admin.call(route, **key).json()["user_id"]
    Operation.objects.update(finished_at=timezone.now() - timedelta(seconds=LIFE - 60))
    forgetting.forget()
    assert admin.call(route, **key).json() == {"user_id": first}
    Operation.objects.update(finished_at=timezone.now() - timedelta(seconds=LIFE + 60))
    forgetting.forget()
    assert admin.call(route, **key).json()["err_type"] == "user_name_already_exists", "a call like any other"
    assert not Operation.objects.exists()


def test_a_key_that_is_forgotten_while_it_is_asked_for(admin: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    admin.call("GET /admin/create-user?name=x", idempotency_key="k")
    [old] = Operation.objects.all()
    make = Operation.objects.bulk_create

    def forgotten(*args: Any, **named: Any) -> Any:
        made = make(*args, **named)
        Operation.objects.filter(id=old.id).delete()
        return made

    monkeypatch.setattr(Operation.objects, "bulk_create", forgotten)
    assert admin.call("GET /admin/create-user?name=y", idempotency_key="k").status_code == 200
    assert left().isdisjoint({old.id})


@pytest.mark.parametrize(
    ("state", "seconds", "kept"),
    [
        ("delivered", LIFE - DAY + 60, False),
        ("failed", LIFE - DAY + 60, False),
        ("delivered", LIFE - DAY - 60, True),
        ("pending", None, True),
    ],
)
def test_deliveries(alice: Api, state: str, seconds: float | None, kept: bool) -> None:
    endpoint = WebhookEndpoint.objects.create(user=alice.user, url="https://h/", sealed_secret=b"s", created_by="x")
    now = timezone.now()
    finished = None if seconds is None else now - timedelta(seconds=seconds)
    times = {"next_at": now - timedelta(days=999), "finished_at": finished}
    row = WebhookDelivery.objects.create(endpoint=endpoint, event="e", payload="{}", state=state, **times)
    WebhookDelivery.objects.filter(id=row.id).update(created_at=now - timedelta(days=999))
    assert forgetting.forget()["deliveries"] == (0 if kept else 1)
    assert WebhookDelivery.objects.exists() is kept


@pytest.mark.parametrize(("past_its_end", "kept"), [(forgetting.GRACE + 60, False), (60, True), (-60, True)])
def test_counts_of_periods(db: None, past_its_end: int, kept: bool) -> None:
    rule = Rule.objects.create(name="r", kind="rate", parameters={"calls": 1, "seconds": 60})
    end = int(timezone.now().timestamp()) - past_its_end
    RuleCount.objects.create(rule=rule, subject="s", period=end - 60, ends=end)
    assert forgetting.forget()["counts"] == (0 if kept else 1)
    assert RuleCount.objects.exists() is kept


def test_the_sweep_forgets(alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "reconciled", lambda: True)
    ended(alice, seconds=LIFE + 60)
    listen.sweep_once()
    assert not Operation.objects.exists()


def test_ends_go_by_the_databases_clock(alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose clock has jumped back makes nothing look old."""
    row = Operation.objects.create(user=alice.user, caller="x", action="a", deadline=timezone.now())
    before = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: before - timedelta(days=999))
    operations.finish(operation_id=row.id, result={})
    row.refresh_from_db()
    assert row.finished_at is not None
    assert row.finished_at > before - timedelta(days=1)
