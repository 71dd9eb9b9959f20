"""What news do to a session: who is asked to work, in which order they may come, and which of them are old."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from keys.keygen import KeygenKind
from keys.models import ProtocolSession
from keys.sessions import driver, services, worker
from keys.sessions.lease import claim
from keys.sessions.log import SessionLog
from mpc.protocol import BROADCAST, Frame
from relay.client import Exchanged, Joined, RelayRefused
from tests.life import Vertex

State = ProtocolSession.State


def first_of_three(vertex: Vertex, *, joined: int) -> ProtocolSession:
    """The first party's session of a key generation of three, of whom so many have joined the room."""
    parties = [vertex.party(name) for name in "abc"]
    room = vertex.room(3)
    for party in parties[:joined]:
        vertex.ask_keygen(party, parties, 2, room)
    services.room_full(room=room, filled=1, size=3) if joined == 3 else None
    return ProtocolSession.objects.get(share=parties[0].key_id)


def test_the_news_that_a_room_is_full_may_overtake_the_answer_to_the_join(vertex: Vertex) -> None:
    session = first_of_three(vertex, joined=1)
    ProtocolSession.objects.update(state=State.JOINING, room_size=None)
    services.room_full(room=session.room, filled=7, size=None)
    session.refresh_from_db()
    assert session.state == State.JOINING, "of a room of unknown size nothing can be made"
    services.room_full(room=session.room, filled=7, size=3)
    services.room_news(session, Joined(full=False, room_size=3, joined=1, refused=None, filled=None))
    session.refresh_from_db()
    assert (session.state, session.room_size, session.filled) == (State.READY, 3, 7)


@pytest.mark.parametrize("others", [0, 1])
def test_a_join_whose_answer_nobody_lived_to_write_down_is_asked_again(vertex: Vertex, others: int) -> None:
    """The web process dies, or loses its database, between the session's row and what the relay says."""
    parties, room = [vertex.party(name) for name in "ab"], vertex.room(2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(services, "room_news", lambda *_: None)
        vertex.ask_keygen(parties[0], parties, 2, room)
    session = ProtocolSession.objects.get()
    for party in parties[1 : 1 + others]:
        vertex.ask_keygen(party, parties, 2, room)
    ProtocolSession.objects.filter(id=session.id).update(state=State.JOINING, poll_at=session.poll_at)  # no news came
    services.sweep()
    session.refresh_from_db()
    assert session.state == State.JOINING, "its own process may still be at it"
    assert session.poll_at is not None
    ProtocolSession.objects.filter(id=session.id).update(poll_at=session.poll_at - timedelta(minutes=1))
    services.sweep()
    session.refresh_from_db()
    assert (session.state, session.room_size) == (State.READY if others else State.WAITING, 2)


def test_a_join_that_was_lost_and_is_refused_ends_its_session(vertex: Vertex, monkeypatch: pytest.MonkeyPatch) -> None:
    party, room = vertex.party("a"), vertex.room(2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(services, "room_news", lambda *_: None)
        vertex.ask_keygen(party, [party, vertex.party("b")], 2, room)

    def full(*_: Any, **__: Any) -> Joined:
        raise RelayRefused("room_full", "the room is full")

    monkeypatch.setattr(vertex.relay, "join", full)
    ProtocolSession.objects.update(poll_at="2020-01-01T00:00:00Z")
    services.sweep()
    session = ProtocolSession.objects.get()
    assert (session.state, session.error["err_type"]) == (State.FAILED, "bad_request_params")


@pytest.mark.parametrize(
    ("lease_in", "asked"), [(None, 1), (-1, 1), (60, 0)], ids=["parked", "left by a dead worker", "in work"]
)
def test_a_worker_is_asked_only_where_none_is_at_work(vertex: Vertex, lease_in: int | None, asked: int) -> None:
    session = first_of_three(vertex, joined=3)
    until = None if lease_in is None else timezone.now() + timedelta(seconds=lease_in)
    ProtocolSession.objects.filter(id=session.id).update(state=State.RUNNING, woken=False, lease_until=until)
    vertex.tasks.clear()
    services.wake(session)
    session.refresh_from_db()
    assert session.woken, "who has it looks again before it parks"
    assert vertex.tasks == [("keys.session_run", ["protocol"])] * asked


def test_news_of_what_was_read_do_not_replay_a_session(vertex: Vertex, monkeypatch: pytest.MonkeyPatch) -> None:
    session = first_of_three(vertex, joined=3)
    runs: list[ProtocolSession] = []
    made, exchange = KeygenKind.protocol, vertex.relay.exchange

    def counted(kind: KeygenKind, session: ProtocolSession, rng: Any) -> Any:
        runs.append(session)
        return made(kind, session, rng)

    def with_late_news(room: str, **asked: Any) -> Exchanged:
        answer = exchange(room, **asked)
        if asked.get("wait"):
            services.wake(session)
        return answer

    monkeypatch.setattr(driver, "PARK_AFTER", 0.05)
    monkeypatch.setattr(KeygenKind, "protocol", counted)
    monkeypatch.setattr(vertex.relay, "exchange", with_late_news)
    assert worker.work("protocol")
    session.refresh_from_db()
    assert (session.state, session.lease_until) == (State.RUNNING, None), "it waits for the others, parked"
    assert len(runs) == 1


def test_a_round_without_words_leaves_no_mark(vertex: Vertex) -> None:
    """A departing party says nothing late in a reshare: its replay must not take that for a rolled-back database."""
    session = first_of_three(vertex, joined=3)
    lease = claim(["keygen"])
    assert lease is not None
    log = SessionLog(session, lease)
    spoken = (Frame(2, bytes(32), BROADCAST, b"said"),)
    log.send(2, spoken)
    log.send(5, ())
    again = SessionLog(session, lease)
    again.send(2, spoken)
    again.send(5, ())
    assert again.seed == log.seed
