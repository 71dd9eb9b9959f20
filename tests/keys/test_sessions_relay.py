"""A session and its relay: one that is down, forgets or refuses; and parties that have settled, until all have."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from keys.models import Operation, ProtocolSession
from keys.sessions import services, worker
from keys.sessions.kinds import kind_of
from relay.client import Message, RelayRefused, RelayUnavailable
from relay.settings import FULL_LIFE, OTHER_FULL_LIFE
from tests.keys.sessions import parties, session_of
from tests.life import Party, Vertex

__all__ = ["parties"]
State = ProtocolSession.State


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
    vertex.relay.rooms[settled.room].slots[("statement/of another", 0, bytes(32).hex(), "")] = b"a preimage"
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
