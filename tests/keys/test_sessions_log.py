"""The durable record of a session: the same bytes again, the first message of a slot for ever, and a database that was
rolled back."""

from datetime import timedelta
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
from relay.client import Message, RelayRefused, RelayUnavailable
from relay.settings import FULL_LIFE, OTHER_FULL_LIFE
from tests.life import Party, Vertex

State = ProtocolSession.State
ME, YOU = bytes(32), bytes([1] * 32)


@pytest.fixture
def parties(vertex: Vertex) -> list[Party]:
    """Two parties whose key generation is ready for a worker."""
    made = [vertex.party(name) for name in "ab"]
    room = vertex.room(2)
    for party in made:
        vertex.ask_keygen(party, made, 2, room)
    return made


def session_of(party: Party) -> ProtocolSession:
    return ProtocolSession.objects.select_related("share__identity").get(share_id=party.key_id)


def held(party: Party) -> tuple[ProtocolSession, Lease]:
    session = session_of(party)
    ProtocolSession.objects.filter(id=session.id).update(fence=77)
    return session_of(party), Lease(session.id, 77)


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


@pytest.mark.parametrize("when", ["round", "deadline"])
def test_a_relay_that_is_down_parks_a_session_until_its_deadline(
    vertex: Vertex, parties: list[Party], when: str
) -> None:
    vertex.relay.down = RelayUnavailable("down")
    if when == "deadline":
        ProtocolSession.objects.update(deadline="2020-01-01T00:00:00Z")
    while worker.work("protocol"):
        pass
    states = set(ProtocolSession.objects.values_list("state", flat=True))
    if when == "deadline":
        assert states == {"failed"}
        assert not ProtocolSession.objects.filter(data_key__isnull=False).exists(), "its traffic can't be opened later"
        return
    assert states == {"running"}
    assert set(ProtocolSession.objects.values_list("lease_until", flat=True)) == {None}
    vertex.relay.down = None
    vertex.run()
    assert [party.state for party in parties] == ["active"] * 2


def test_a_message_that_nobody_signed_blames_nobody(vertex: Vertex, parties: list[Party]) -> None:
    """Whoever may post can take another's slot: the session ends at its deadline, without a culprit."""
    room, a = next(iter(vertex.relay.rooms)), parties[0].identity.hex()
    vertex.relay.exchange(room, party=a, messages=[Message("protocol", 1, a, "", b"garbage")])
    vertex.run()
    assert set(ProtocolSession.objects.values_list("state", "round")) == {("running", 1), ("running", 2)}
    ProtocolSession.objects.update(deadline="2020-01-01T00:00:00Z")
    vertex.run()
    assert set(ProtocolSession.objects.values_list("state", flat=True)) == {"failed"}
    messages = [operation.result["err_msg"] for operation in Operation.objects.all()]
    assert any(": no message from" in text for text in messages), messages
    assert not any("to blame" in text for text in messages), messages


@pytest.mark.parametrize("late", [-1, 1], ids=["before the deadline", "after it"])
def test_a_room_that_the_relay_forgot_is_put_back_while_receipts_are_carried(
    vertex: Vertex, parties: list[Party], late: int
) -> None:
    for session in list(ProtocolSession.objects.all()) * 8:
        services.wake(session)
        worker.work("protocol")
        if ProtocolSession.objects.filter(state="settling").exists():
            break
    [(name, forgotten)] = vertex.relay.rooms.items()
    kept = {place: body for place, body in forgotten.slots.items() if place[0] == "protocol"}
    vertex.relay.rooms.clear()
    ProtocolSession.objects.update(deadline=timezone.now() - timedelta(hours=late))
    session = ProtocolSession.objects.filter(state="settling").first()
    assert session is not None
    services.wake(session)
    while worker.work("protocol"):
        pass
    assert name in vertex.relay.rooms
    vertex.relay.rooms[name].slots |= kept
    vertex.run()
    assert [party.state for party in parties] == ["active"] * 2


def test_a_room_that_the_relay_forgot_in_the_middle_of_a_protocol_is_put_back_with_all_messages(
    vertex: Vertex, parties: list[Party]
) -> None:
    for session in list(ProtocolSession.objects.all()) * 2:
        services.wake(session)
        worker.work("protocol")
    assert set(ProtocolSession.objects.values_list("state", flat=True)) == {"running"}
    vertex.relay.rooms.clear()
    vertex.run()
    assert [party.state for party in parties] == ["active"] * 2


def test_a_room_that_the_relay_forgot_before_it_was_full_is_put_back_by_the_sweep(vertex: Vertex) -> None:
    parties = [vertex.party("a"), vertex.party("b")]
    name = vertex.room(2)
    vertex.ask_keygen(parties[0], parties, 2, name)
    vertex.relay.rooms.clear()
    ProtocolSession.objects.filter(room=name).update(poll_at="2020-01-01T00:00:00Z")
    services.sweep()
    assert vertex.relay.rooms[name].joined == [parties[0].identity.hex()]
    vertex.ask_keygen(parties[1], parties, 2, name)
    services.room_full(room=name, filled=1, size=2)
    vertex.run()
    assert [party.state for party in parties] == ["active"] * 2


@pytest.fixture
def settled(vertex: Vertex, parties: list[Party]) -> ProtocolSession:
    """The session of the party that is the first to hold every receipt; the other one lacks some."""
    for _ in range(8):
        for session in ProtocolSession.objects.exclude(state="done"):
            services.wake(session)
            worker.work("protocol")
            if active := [party for party in parties if party.state == "active"]:
                assert len(active) == 1
                return session_of(active[0])
    raise AssertionError("no party comes to its end")


def test_what_the_relay_forgot_of_a_settled_party_is_posted_again(
    vertex: Vertex, parties: list[Party], settled: ProtocolSession
) -> None:
    """Nobody else may hold it. (These parties share a database, so it is the room that shows it.)"""
    vertex.relay.rooms.clear()
    vertex.run()
    posted = vertex.relay.rooms[settled.room].slots
    mine = bytes(settled.share.identity.public).hex()
    assert [place for place in posted if place[0].startswith("receipt/") and place[2] == mine]
    assert [party.state for party in parties] == ["active"] * 2
    assert set(ProtocolSession.objects.values_list("state", flat=True)) == {"done"}
    assert {party for _, party in vertex.relay.left} == {party.identity.hex() for party in parties}


@pytest.mark.parametrize("stranger", [False, True])
def test_only_parties_of_the_protocol_settle(
    vertex: Vertex, parties: list[Party], settled: ProtocolSession, stranger: bool
) -> None:
    sender = bytes([7] * 32) if stranger else next(each.identity for each in parties if each.key_id != settled.share_id)
    vertex.relay.rooms[settled.room].slots[("settled", 0, sender.hex(), "")] = b""
    services.wake(settled)
    worker.work("protocol")
    settled.refresh_from_db()
    assert settled.state == ("settling" if stranger else "done")


def test_news_for_a_settled_party_is_looked_at_at_once(
    vertex: Vertex, parties: list[Party], settled: ProtocolSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may change the outcome: a completion wins over an abort."""
    kind, looks, heard = kind_of(settled), [], []
    vertex.relay.rooms[settled.room].slots[("statement/of another", 0, ME.hex(), "")] = b"a preimage"
    monkeypatch.setattr(kind, "heard", lambda _, told: heard.append(told) or len(heard) == 1, raising=False)
    monkeypatch.setattr(kind, "advance", lambda _: looks.append(len(heard)) or True, raising=False)
    services.wake(settled)
    worker.work("protocol")
    assert b"a preimage" in heard
    assert looks[-1] == len(heard) > looks[0]


def test_a_relay_that_always_forgets_holds_no_worker(
    vertex: Vertex, settled: ProtocolSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(*_: Any, **__: Any) -> None:
        raise RelayRefused("room_not_found", "no such room")

    monkeypatch.setattr(vertex.relay, "exchange", forgetful)
    services.wake(settled)
    worker.work("protocol")
    settled.refresh_from_db()
    assert (settled.state, settled.lease_until) == (State.SETTLING, None)


def test_a_relay_that_refuses_a_settled_party_is_asked_again(
    vertex: Vertex, parties: list[Party], settled: ProtocolSession
) -> None:
    vertex.relay.down = RelayRefused("api_key_invalid", "no such key")
    services.wake(settled)
    while worker.work("protocol"):
        pass
    settled.refresh_from_db()
    assert (settled.state, settled.lease_until, settled.error) == (State.SETTLING, None, None)
    vertex.relay.down = None
    vertex.run()
    assert [session_of(party).state for party in parties] == ["done"] * 2


@pytest.mark.parametrize(("days", "state"), [(0, "settling"), (1, "done")])
def test_a_settled_party_waits_no_longer_than_a_relay_keeps_the_room(
    vertex: Vertex, settled: ProtocolSession, days: int, state: str
) -> None:
    ProtocolSession.objects.filter(id=settled.id).update(created_at=timezone.now() - timedelta(days=days))
    services.wake(settled)
    worker.work("protocol")
    settled.refresh_from_db()
    assert settled.state == state


@pytest.mark.parametrize("name", ["keygen", "import", "reshare"])
def test_as_long_as_the_relay_of_this_project_keeps_it(name: str) -> None:
    kept = FULL_LIFE.get(name, OTHER_FULL_LIFE)
    assert kind_of(ProtocolSession(kind=name)).lingers == timedelta(seconds=kept)


def test_a_settled_party_is_looked_at_rarely(vertex: Vertex, settled: ProtocolSession) -> None:
    ProtocolSession.objects.filter(id=settled.id).update(created_at=timezone.now() - timedelta(hours=20))
    services.wake(settled)
    worker.work("protocol")
    settled.refresh_from_db()
    assert settled.poll_at is not None
    assert settled.poll_at > timezone.now() + timedelta(minutes=9)
