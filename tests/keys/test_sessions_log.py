"""The durable record of a session: the same bytes again, the first message of a slot for ever, and a database that was
rolled back."""

from typing import Any

import pytest
from django.utils import timezone

from keys.keystore import keystore
from keys.models import KeyShare, Operation, ProtocolSession, SessionMessage
from keys.sessions import services, worker
from keys.sessions.kinds import kind_of
from keys.sessions.lease import Lease, LeaseLost
from keys.sessions.log import RolledBack, SessionLog
from keys.sessions.records import forgotten_destroy, record_read, session_material_destroy
from keys.shares import session_keys_left
from mpc.protocol import Frame
from tests.keys.sessions import held, parties, session_of
from tests.life import Party, Vertex

__all__ = ["parties"]
State = ProtocolSession.State
ME, YOU = bytes(32), bytes([1] * 32)


def frame(body: bytes, round: int = 1, sender: bytes = YOU) -> Frame:
    return Frame(round, sender, b"", body)


def test_seed_and_messages_are_found_again_and_sealed_at_rest(parties: list[Party]) -> None:
    session, lease = held(parties[0])
    log = SessionLog(session, lease)
    log.send(0, (frame(b"hello, sent", 0, ME),))
    log.receive(0, [frame(b"hello, heard", 0)])
    again = SessionLog(session_of(parties[0]), lease)
    assert again.seed == log.seed
    assert len(again.seed) == 32
    assert again.inbound(0) == [frame(b"hello, heard", 0)]
    again.send(0, (frame(b"hello, sent", 0, ME),))
    stored = b"".join(bytes(row.sealed) for row in SessionMessage.objects.all())
    assert b"hello" not in stored
    assert log.seed not in bytes(session_of(parties[0]).sealed_seed or b"")


def test_the_first_message_of_a_slot_stays(parties: list[Party]) -> None:
    session, lease = held(parties[0])
    log = SessionLog(session, lease)
    log.receive(1, [frame(b"first")])
    log.receive(1, [frame(b"second")])
    assert SessionLog(session_of(parties[0]), lease).inbound(1) == [frame(b"first")]


def test_a_replay_that_makes_other_bytes_ends(parties: list[Party]) -> None:
    session, lease = held(parties[0])
    SessionLog(session, lease).send(0, (frame(b"one", 0, ME),))
    with pytest.raises(RolledBack, match="other messages"):
        SessionLog(session_of(parties[0]), lease).send(0, (frame(b"two", 0, ME),))


@pytest.mark.parametrize("lost", ["round", "all", "key"])
def test_a_database_that_was_rolled_back_is_unmasked(parties: list[Party], lost: str) -> None:
    session, lease = held(parties[0])
    log = SessionLog(session, lease)
    log.send(0, (frame(b"0", 0, ME),))
    log.send(1, (frame(b"1", 1, ME),))
    if lost == "round":
        SessionMessage.objects.filter(outbound=True, round=1).delete()
    elif lost == "all":
        SessionMessage.objects.all().delete()
        ProtocolSession.objects.update(data_key=None, sealed_seed=None)
    else:
        keystore().keys.destroy(str(session.data_key))
    with pytest.raises(RolledBack):
        SessionLog(session_of(parties[0]), lease)


def test_a_stored_message_that_was_moved_to_another_slot_does_not_open(parties: list[Party]) -> None:
    session, lease = held(parties[0])
    SessionLog(session, lease).receive(1, [frame(b"1")])
    SessionMessage.objects.update(round=2)
    with pytest.raises(RolledBack):
        SessionLog(session_of(parties[0]), lease)


def test_a_round_is_in_the_journal_before_it_can_leave(parties: list[Party], monkeypatch: pytest.MonkeyPatch) -> None:
    session, lease = held(parties[0])
    log = SessionLog(session, lease)
    monkeypatch.setattr(keystore().journal, "swap", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        log.send(0, (frame(b"0", 0, ME),))


def test_what_is_destroyed_stays_destroyed(parties: list[Party]) -> None:
    session, lease = held(parties[0])
    SessionLog(session, lease).send(0, (frame(b"0", 0, ME),))
    session = session_of(parties[0])
    for _ in range(2):
        session_material_destroy(session)
    assert not keystore().keys.exists(str(session.data_key))
    assert keystore().journal.list("session/") == []
    with pytest.raises(RolledBack):
        SessionLog(session, lease)


# --- what the keystore knows of a session ------------------------------------------------------------------------


def rolled_back(session: ProtocolSession, **fields: Any) -> ProtocolSession:
    """The row as a database of before the session's begin has it."""
    ProtocolSession.objects.filter(id=session.id).update(data_key=None, sealed_seed=None, **fields)
    return ProtocolSession.objects.select_related("share__identity").get(id=session.id)


def begun(party: Party) -> tuple[ProtocolSession, str]:
    """A session of a worker that has sent round 0, and its key."""
    session, lease = held(party)
    ProtocolSession.objects.filter(id=session.id).update(state=State.RUNNING)
    SessionLog(session, lease).send(0, (frame(b"0", 0, ME),))
    session = session_of(party)
    return session, str(session.data_key)


class Died(BaseException):
    """The process is gone at this place."""


@pytest.mark.parametrize("where", ["make", "create", "update"])
def test_who_dies_while_a_session_begins_leaves_one_that_begins_again(
    parties: list[Party], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """After the key was made, after its record, after the row."""
    (session, lease), store = held(parties[0]), keystore()
    owner, name = {"make": (store.keys, "make"), "create": (store.journal, "swap"), "update": (lease, "update")}[where]
    does = getattr(owner, name)

    def dies(*args: Any, **fields: Any) -> None:
        does(*args, **fields)
        if where != "update" or "data_key" in fields:
            raise Died

    before = set(store.keys.list())
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, dies)
        with pytest.raises(Died):
            SessionLog(session, lease)
    [orphan] = set(store.keys.list()) - before
    record = record_read(session.id)
    assert (record.data_key if record else None) == (None if where == "make" else orphan)
    log = SessionLog(session_of(parties[0]), lease)
    log.send(0, (frame(b"0", 0, ME),))
    left = set(store.keys.list()) - before
    now = str(session_of(parties[0]).data_key)
    assert left == ({orphan, now} if where == "make" else {now}), "what never sealed anything may stay"
    assert record_read(session.id) == (now, 0)
    assert SessionLog(session_of(parties[0]), lease).seed == log.seed


def test_a_key_has_its_record_before_the_row_names_it(parties: list[Party], monkeypatch: pytest.MonkeyPatch) -> None:
    session, lease = held(parties[0])
    monkeypatch.setattr(keystore().journal, "swap", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        SessionLog(session, lease)
    assert session_of(parties[0]).data_key is None


def test_a_session_whose_begin_the_database_forgot_loses_its_key_as_it_fails(
    vertex: Vertex, parties: list[Party]
) -> None:
    session, ref = begun(parties[0])
    rolled_back(session, woken=True, lease_until=None)
    assert session_keys_left(parties[0].share)
    vertex.run()
    session.refresh_from_db()
    assert (session.state, keystore().keys.exists(ref)) == (State.FAILED, False)
    assert "does not know that it had begun" in session.error["err_msg"]
    assert keystore().journal.list("session/") == []
    assert not session_keys_left(parties[0].share)


@pytest.mark.parametrize(
    ("row", "key", "record"),
    [
        ("none", False, False),
        ("failed", False, False),
        ("ready", False, True),
        ("waiting", False, True),
        ("running", True, True),
    ],
)
def test_what_the_database_forgot_of_a_session_is_destroyed_at_start(
    parties: list[Party], row: str, key: bool, record: bool
) -> None:
    """What runs is left to its worker; of what may be claimed yet, the record stays: what it sent is not said anew."""
    session, ref = begun(parties[0])
    if row == "none":
        session.delete()
    else:
        ended = timezone.now() if row == "failed" else None
        session = rolled_back(session, state=row, finished_at=ended)
        assert session_keys_left(parties[0].share)
    forgotten_destroy()
    assert (keystore().keys.exists(ref), keystore().journal.list("session/") != []) == (key, record)
    if record:
        assert session_keys_left(parties[0].share) is key
        with pytest.raises(RolledBack):
            SessionLog(session, Lease(session.id, session.fence))


def test_a_session_in_flight_when_the_vertex_was_upgraded_goes_on(parties: list[Party]) -> None:
    """Earlier versions wrote the round alone, and nothing before the first one was sent."""
    session, ref = begun(parties[0])
    lease, name = Lease(session.id, 77), f"session/{session.id.hex}"
    for earlier, now in ((b"0", (ref, 0)), (None, (ref, -1))):
        keystore().journal.destroy(name)
        if earlier is not None:
            keystore().journal.create(name, earlier)
        assert (record_read(session.id) or (None, 0))[0] is None
        SessionLog(session_of(parties[0]), lease)
        assert record_read(session.id) == now
    keystore().journal.replace(name, b"0")
    with pytest.raises(RolledBack):
        SessionLog(rolled_back(session), lease)


def test_a_record_that_names_another_key_ends_the_session(parties: list[Party]) -> None:
    session, _ = begun(parties[0])
    other = keystore().keys.make()
    keystore().journal.replace(f"session/{session.id.hex}", f"{other} 0".encode())
    with pytest.raises(RolledBack, match="another key"):
        SessionLog(session_of(parties[0]), Lease(session.id, 77))
    session_material_destroy(session)
    assert not {other, session.data_key} & set(keystore().keys.list())


def test_a_worker_that_was_frozen_takes_nothing_from_the_next_one(
    parties: list[Party], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It wakes within its begin, before its key has a record, or within a round, before it is marked."""
    session, lease = held(parties[0])
    make, next_one = keystore().keys.make, Lease(session.id, 78)

    def frozen() -> str:
        ref = make()
        monkeypatch.setattr(keystore().keys, "make", make)
        ProtocolSession.objects.filter(id=session.id).update(fence=78)
        SessionLog(session_of(parties[0]), next_one)
        return ref

    before = set(keystore().keys.list())
    monkeypatch.setattr(keystore().keys, "make", frozen)
    with pytest.raises(LeaseLost):
        SessionLog(session, lease)
    [now] = set(keystore().keys.list()) - before
    assert now == session_of(parties[0]).data_key
    with pytest.raises(LeaseLost):  # it knows no record, and no row
        SessionLog(session, lease)
    log, spoken = SessionLog(session_of(parties[0]), next_one), (frame(b"0", 0, ME),)
    log._store(spoken, outbound=True)
    session_material_destroy(session_of(parties[0]))
    with pytest.raises(LeaseLost):
        log.send(0, spoken)
    assert keystore().journal.list("session/") == []


def test_a_write_that_was_carried_twice_is_written(parties: list[Party], monkeypatch: pytest.MonkeyPatch) -> None:
    session, lease = held(parties[0])
    swap = keystore().journal.swap

    def twice(*args: Any) -> None:
        swap(*args)
        swap(*args)

    monkeypatch.setattr(keystore().journal, "swap", twice)
    SessionLog(session, lease).send(0, (frame(b"0", 0, ME),))
    assert record_read(session.id) == (session_of(parties[0]).data_key, 0)


def test_a_key_generation_that_dies_after_any_round_goes_on_with_the_same_bytes(
    vertex: Vertex, parties: list[Party]
) -> None:
    """Every wake replays from the log: each message is posted again, and the relay keeps the first."""
    posted: dict[Any, set[bytes]] = {}
    exchange = vertex.relay.exchange

    def watched(room: str, *, messages: Any = (), **rest: Any) -> Any:
        for message in messages:
            posted.setdefault((message.sender, message.round, message.receiver, message.session), set()).add(
                message.body
            )
        return exchange(room, messages=messages, **rest)

    vertex.relay.exchange = watched  # type: ignore[method-assign]
    vertex.run()
    assert [party.state for party in parties] == ["active"] * 2
    rounds = {place[1] for place in posted if place[3] == "protocol"}
    assert rounds == {0, 1, 2, 3, 4}
    assert all(len(bodies) == 1 for bodies in posted.values()), "another body in the same slot"
    assert not SessionMessage.objects.exists()
    assert keystore().journal.list("session/") == []
    assert set(ProtocolSession.objects.values_list("state", "data_key")) == {("done", None)}


@pytest.mark.parametrize("lost", ["share", "lease"])
def test_a_key_generation_whose_end_is_late_stores_nothing(
    vertex: Vertex, parties: list[Party], monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """Its worker was frozen: meanwhile the share was stored and erased, or another worker has taken the session."""
    kind, late = kind_of(session_of(parties[0])), parties[0].key_id
    finish, fences = kind.finish, []

    def woken(session: ProtocolSession, lease: Lease, result: Any) -> None:
        if session.share_id == late and lost == "share":
            KeyShare.objects.filter(id=late).update(state="discarded", gid=result.gid)
        elif session.share_id == late and not fences:
            fences.append(ProtocolSession.objects.filter(id=session.id).update(fence=lease.fence + 1))
            with pytest.raises(LeaseLost):
                finish(session, lease, result)
            assert keystore().journal.list(f"share/{parties[0].identity.hex()}") == []
            lease.fence += 1
        finish(session, lease, result)

    monkeypatch.setattr(kind, "finish", woken, raising=False)
    vertex.run()
    session = session_of(parties[0])
    assert (session.state, parties[0].state) == {"share": ("failed", "discarded"), "lease": ("done", "active")}[lost]
    if lost == "share":
        assert "discarded" in session.error["err_msg"]
        assert keystore().journal.list(f"share/{parties[0].identity.hex()}") == []


def test_a_rolled_back_session_is_destroyed_and_says_so(vertex: Vertex, parties: list[Party]) -> None:
    assert worker.work("protocol")
    [begun] = ProtocolSession.objects.filter(state="running")
    begun.messages.all().delete()
    services.wake(begun)
    vertex.run()
    begun.refresh_from_db()
    assert (begun.state, begun.data_key) == (State.FAILED, None)
    assert "does not know" in Operation.objects.get(id=begun.operation_id).result["err_msg"]
