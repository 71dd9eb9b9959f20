"""Who works on a session: the order of claims, fencing, parking against waking, and what a dead worker leaves."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from audit.models import Event
from keys.keystore import KeystoreUnavailable, keystore
from keys.models import Operation, ProtocolSession
from keys.sessions import services, worker
from keys.sessions.kinds import kind_of
from keys.sessions.lease import Lease, LeaseLost, claim
from tests.life import Party, Vertex
from vertex.errors import ApiError

State = ProtocolSession.State
PROTOCOLS = ["keygen", "reshare"]


@pytest.fixture
def party(vertex: Vertex) -> Party:
    return vertex.party("a")


@pytest.fixture
def session_of(vertex: Vertex, party: Party) -> Any:
    def make(**fields: Any) -> ProtocolSession:
        number = ProtocolSession.objects.count()
        settled: dict[str, Any] = {
            "kind": "keygen",
            "state": "ready",
            "share": party.share,
            "operation": vertex.operation(party),
            "params": {"threshold": 2, "parties": []},
            "relay": "http://relay.test",
            "room": str(number),
            "filled": number,
            "woken": True,
            "deadline": timezone.now() + timedelta(minutes=1),
        }
        return ProtocolSession.objects.create(**settled | fields)

    return make


def past(seconds: float = 1.0) -> Any:
    return timezone.now() - timedelta(seconds=seconds)


def test_rooms_are_claimed_in_the_order_in_which_the_relay_filled_them(session_of: Any) -> None:
    made = [session_of(filled=filled) for filled in (7, None, 3, 5)]
    claimed = [lease.session_id for lease in iter(lambda: claim(PROTOCOLS), None)]
    assert claimed == [made[index].id for index in (2, 3, 0, 1)]


@pytest.mark.parametrize(
    "fields",
    [
        {"woken": False},
        {"state": "waiting"},
        {"state": "joining"},
        {"lease_until": timezone.now() + timedelta(hours=1)},
        {"kind": "sign"},
        {"state": "failed", "finished_at": timezone.now()},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_is_not_claimed(session_of: Any, fields: dict[str, Any]) -> None:
    session_of(**fields)
    assert claim(PROTOCOLS) is None


def test_a_lease_that_was_taken_over_changes_nothing_any_more(session_of: Any) -> None:
    session = session_of()
    first = claim(PROTOCOLS)
    assert first is not None
    assert claim(PROTOCOLS) is None
    ProtocolSession.objects.update(lease_until=past(), woken=True)
    second = claim(PROTOCOLS)
    assert second is not None
    assert second.fence == first.fence + 1
    first.renewed -= 100
    for stale in (lambda: first.update(round=9), first.renew, lambda: first.park(poll_in=timedelta(0))):
        with pytest.raises(LeaseLost):
            stale()
    second.update(round=2)
    session.refresh_from_db()
    assert session.round == 2


def test_news_while_parking_are_not_lost(session_of: Any) -> None:
    session = session_of()
    lease = claim(PROTOCOLS)
    assert lease is not None
    services.wake(session)
    assert not lease.park(poll_in=timedelta(seconds=5)), "still leased: look again"
    assert lease.park(poll_in=timedelta(seconds=5))
    session.refresh_from_db()
    assert (session.lease_until, session.woken) == (None, False)
    assert session.poll_at > timezone.now()
    services.wake(session)
    again = claim(PROTOCOLS)
    assert again is not None
    assert again.session_id == session.id


def test_a_broker_that_does_not_answer_fails_no_wake(
    session_of: Any, vertex: Vertex, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_of(woken=False)

    def down(*args: Any, **options: Any) -> None:
        raise ConnectionError("no broker")

    monkeypatch.setattr(services.app, "send_task", down)
    services.wake(session)
    session.refresh_from_db()
    assert session.woken
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("state", "fields"),
    [
        ("running", {"lease_until": past(), "woken": False}),
        ("settling", {"lease_until": None, "woken": False, "poll_at": past()}),
        ("ready", {"lease_until": None, "woken": True}),
    ],
)
def test_the_sweep_takes_up_what_nobody_works_on(
    session_of: Any, vertex: Vertex, state: str, fields: dict[str, Any]
) -> None:
    session = session_of(state=state, **fields)
    vertex.tasks.clear()
    services.sweep()
    assert vertex.tasks == [("keys.session_run", ["protocol"])]
    lease = claim(PROTOCOLS)
    assert lease is not None
    assert lease.session_id == session.id


def test_a_room_that_does_not_fill_in_time_ends_its_session(session_of: Any) -> None:
    session = session_of(state="waiting", deadline=past(), room_size=3)
    services.sweep()
    session.refresh_from_db()
    assert session.state == State.FAILED
    operation = Operation.objects.get(id=session.operation_id)
    assert operation.state == "failed"
    assert "not all 3 parties joined" in operation.result["err_msg"]
    assert Event.objects.latest("seq").action == "keygen.failed"


def test_a_clock_that_jumped_ends_nothing(session_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    session = session_of(state="waiting", room_size=3)
    later = timezone.now() + timedelta(hours=1)
    monkeypatch.setattr(timezone, "now", lambda: later)
    services.sweep()
    session.refresh_from_db()
    assert session.state == State.WAITING
    assert Operation.objects.get(id=session.operation_id).state == "pending"


@pytest.mark.parametrize("state", ["joining", "waiting", "ready"])
def test_a_call_that_waited_too_long_ends_what_has_not_begun(session_of: Any, state: str) -> None:
    session = session_of(state=state)
    assert services.session_cancel(operation_id=session.operation_id)
    assert claim(PROTOCOLS) is None
    assert not services.session_cancel(operation_id=session.operation_id)


def test_a_call_that_waited_too_long_leaves_alone_what_a_worker_has_begun(session_of: Any) -> None:
    session = session_of()
    lease = claim(PROTOCOLS)
    assert lease is not None
    assert not services.session_cancel(operation_id=session.operation_id)
    session.refresh_from_db()
    assert session.state == State.READY
    lease.update(state=State.RUNNING)


def test_who_lost_the_lease_does_not_destroy_the_key_of_the_next(session_of: Any) -> None:
    ref = keystore().keys.make()
    session = session_of(state="running", data_key=ref)
    stale = claim(PROTOCOLS)
    ProtocolSession.objects.update(lease_until=past(), woken=True)
    live = claim(PROTOCOLS)
    assert stale is not None
    assert live is not None
    error = ApiError("executor_result", "too late")
    with pytest.raises(LeaseLost):
        services.session_fail(session_id=session.id, error=error, actor="system", lease=stale)
    assert keystore().keys.exists(ref)
    assert services.session_fail(session_id=session.id, error=error, actor="system", lease=live)
    assert not keystore().keys.exists(ref)
    session.refresh_from_db()
    assert (session.state, session.data_key) == (State.FAILED, None)


@pytest.mark.parametrize("by", ["sweep", "worker"])
def test_a_signature_whose_worker_died_is_never_run_again(
    session_of: Any, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    session = session_of(kind="sign", state="running", lease_until=past(), params={"digest": "00" * 32, "path": []})
    monkeypatch.setattr(worker, "Driver", None)  # must not be asked
    if by == "sweep":
        services.sweep()
    else:
        assert worker.work("sign")
    session.refresh_from_db()
    assert session.state == State.FAILED
    assert "worker that ran this was lost" in Operation.objects.get(id=session.operation_id).result["err_msg"]


class _Failing:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def __call__(self, *args: Any) -> "_Failing":
        return self

    def run(self) -> None:
        raise self._error


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (OperationalError("gone"), "running"),
        (OSError("no space left"), "running"),
        (KeystoreUnavailable("Vault does not answer"), "running"),
        (TypeError("a bug"), "failed"),
        (ApiError("executor_result", "no"), "failed"),
    ],
)
def test_passing_trouble_is_tried_again_and_nothing_else(
    session_of: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, state: str
) -> None:
    session = session_of()
    monkeypatch.setattr(worker, "Driver", _Failing(error))
    assert worker.work("protocol")
    session.refresh_from_db()
    assert session.state == state
    assert (session.lease_until, session.woken) == (None, False), "no lease is left behind"
    if state == "running":
        assert session.poll_at > timezone.now(), "and not at once"


def test_a_result_is_not_thrown_away_because_it_could_not_be_stored_at_once(
    session_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_of()

    class Done:
        def __call__(self, *args: Any) -> "Done":
            return self

        def run(self) -> str:
            return "result"

    def finish(*args: Any) -> None:
        raise RuntimeError("keystore on fire")

    monkeypatch.setattr(worker, "Driver", Done())
    monkeypatch.setattr(kind_of(session), "finish", finish, raising=False)
    assert worker.work("protocol")
    session.refresh_from_db()
    assert (session.state, session.lease_until) == (State.RUNNING, None)
    assert Operation.objects.get(id=session.operation_id).state == "pending"


def test_trouble_while_settling_gives_the_lease_back(session_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    session = session_of(state="settling", sid=bytes(32))
    monkeypatch.setattr(kind_of(session), "advance", lambda _: (_ for _ in ()).throw(RuntimeError("no")), raising=False)
    assert worker.work("protocol")
    session.refresh_from_db()
    assert (session.state, session.lease_until) == (State.SETTLING, None)
    assert session.poll_at > timezone.now()


def test_a_lease_is_renewed_when_a_third_has_passed(session_of: Any) -> None:
    session = session_of()
    lease = claim(PROTOCOLS)
    assert lease is not None
    before = ProtocolSession.objects.get(id=session.id).lease_until
    lease.renew()
    assert ProtocolSession.objects.get(id=session.id).lease_until == before
    lease.renewed -= 6
    lease.renew()
    assert ProtocolSession.objects.get(id=session.id).lease_until > before
    assert Lease(session.id, lease.fence).fence == lease.fence
