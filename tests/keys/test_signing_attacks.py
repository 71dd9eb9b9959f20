"""Cheating signers against the real database and keystore: at most one wrong guess is ever evaluated, a ban is durable
before anything is answered, and only fresh set-ups lift it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import pytest
from django.db.models import QuerySet

from audit.models import Event
from keys import bans
from keys.keystore import keystore
from keys.models import KeyShare, PairState, ProtocolSession
from keys.sessions.lease import Lease
from keys.shares import pairs_open
from keys.signing import SignKind, begin, pair_check, release
from mpc.errors import Abort, Blame, CheckFailed
from mpc.hashing import TH
from mpc.mul import verify_extension
from mpc.sign import Begin, PairCheck
from mpc.wire import SignExtension, SignProduct
from tests.life import Party, Vertex, at_once
from tests.mpc.attacks.guessing import GUESSES, cheating
from tests.mpc.simulator import Lie, change, edit, flipped, key
from tests.reshare.attempts import old_quorum, old_share, public
from tests.reshare.test_whole_life import confirm, new_party, reshare

WORKERS = 6


@pytest.fixture
def share(vertex: Vertex) -> KeyShare:
    old_quorum()
    return old_share("a")


@dataclass
class Guesser:
    """B, who holds Bob's half of a's pair, in as many sessions as it likes. ``seen``: the verdicts, as evaluated."""

    share: KeyShare
    seen: list[bool] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    together: threading.Barrier | None = None

    def session(self, group: int, value: int) -> None:
        psid = TH("test/guess", bytes((group, value)))
        alice = key("abc", 2)[public("a")].pairs[public("b")].alice
        message = cheating(key("abc", 2)[public("b")].pairs[public("a")].bob, psid, group, value)

        def verify() -> Any:
            if self.together is not None:
                self.together.wait(timeout=60)
            try:
                made = verify_extension(alice, psid, message)
            except CheckFailed:
                self.seen.append(False)
                raise
            self.seen.append(True)
            return made

        try:
            pair_check(self.share, PairCheck(public("b"), psid, verify))
            self.answered.append("went on")
        except (Blame, Abort) as error:
            self.answered.append(type(error).__name__)

    def sessions(self, guesses: list[tuple[int, int]]) -> Callable[[], None]:
        return lambda: [self.session(*guess) for guess in guesses] and None


def test_of_192_sessions_at_once_at_most_one_wrong_guess_is_evaluated(share: KeyShare) -> None:
    guesser = Guesser(share)
    at_once([guesser.sessions(GUESSES[worker::WORKERS]) for worker in range(WORKERS)])
    assert len(guesser.answered) == len(GUESSES) == 192
    assert guesser.seen.count(False) == 1
    assert guesser.answered.count("Blame") == 1
    assert guesser.answered.count("Abort") == 192 - len(guesser.seen)
    assert guesser.answered.count("went on") == guesser.seen.count(True)
    assert Event.objects.filter(action="pair.banned").count() == 1
    assert set(pairs_open(share)) == {public("c")}


def test_without_the_lock_every_guess_at_once_is_evaluated(share: KeyShare) -> None:
    """The rule left out: all read "not banned", then all are checked."""
    guesser = Guesser(share, together=threading.Barrier(WORKERS))
    delta = key("abc", 2)[public("a")].pairs[public("b")].alice.delta
    wrong = [(group, value) for group, value in GUESSES if (delta[group // 4] >> 2 * (group % 4)) & 3 == 0][:WORKERS]
    with patch.object(QuerySet, "select_for_update", lambda rows, *_, **__: rows):
        at_once([guesser.sessions([guess]) for guess in wrong])
    assert guesser.seen == [False] * WORKERS


def test_a_pair_whose_key_is_destroyed_is_banned_whatever_its_row_says(share: KeyShare) -> None:
    """The process died between the two, or the database was restored: sessions that had opened the pair before."""
    row = PairState.objects.get(share=share, peer=public("b"))
    keystore().keys.destroy(str(row.data_key))
    guesser = Guesser(share)
    guesser.session(0, 1)
    assert (guesser.seen, guesser.answered) == ([], ["Abort"])
    session = ProtocolSession.objects.create(
        kind="sign", state="running", share=share, params={"digest": "11" * 32}, room="r", deadline=share.created_at
    )
    with pytest.raises(Abort, match="banned"):
        release(session, Lease(session.id, 0), [public("b")])
    assert not Event.objects.filter(action="sign.released").exists()


def test_a_share_is_used_once_under_a_sid(share: KeyShare) -> None:
    """Also where the first run failed, and by no more than one of many at once."""
    made = [
        ProtocolSession.objects.create(
            kind="sign", state="running", share=share, room=f"room {number}", deadline=share.created_at
        )
        for number in range(WORKERS)
    ]
    refused: list[Abort] = []

    def run(session: ProtocolSession) -> None:
        try:
            SignKind().checkpoint(session, Lease(session.id, 0), Begin(TH("one sid")))
        except Abort as error:
            refused.append(error)

    at_once([lambda session=session: run(session) for session in made])  # type: ignore[misc]
    assert len(refused) == WORKERS - 1
    ProtocolSession.objects.filter(sid=TH("one sid")).update(state="failed", finished_at=share.created_at)
    last = ProtocolSession.objects.filter(sid=None).first()
    assert last is not None
    with pytest.raises(Abort, match="before"):
        begin(Lease(last.id, 0), TH("one sid"))
    begin(Lease(last.id, 0), TH("another sid"))


# --- whole sessions -----------------------------------------------------------------------------------------------


def pair_of(party: Party, peer: Party) -> PairState:
    return PairState.objects.get(share=party.key_id, peer=peer.identity)


LIES = {
    "extension check": (1, edit(SignExtension, change("extension"))),
    "μ": (2, edit(SignProduct, change("product"))),
    "consistency of pk": (2, edit(SignProduct, change("key_point", to=lambda point: flipped(point, 0)))),
}


@contextmanager
def watching(vertex: Vertex, victim: Party, ref: str) -> Iterator[dict[str, list[Any]]]:
    """What the victim says once a check has failed, and whether the pair's key was still there then."""
    heard: dict[str, list[Any]] = {"rounds": [], "key was there": []}
    exchange, refuse = vertex.relay.exchange, vertex.relay.refuse

    def exchanging(room: str, *, party: str, **more: Any) -> Any:
        if party == victim.identity.hex():
            heard["rounds"] += [message.round for message in more.get("messages", ())]
        return exchange(room, party=party, **more)

    def refusing(room: str, *, party: str, err_type: str) -> None:
        if party == victim.identity.hex():
            heard["key was there"].append(keystore().keys.exists(ref))
        refuse(room, party=party, err_type=err_type)

    with patch.object(vertex.relay, "exchange", exchanging), patch.object(vertex.relay, "refuse", refusing):
        yield heard


@pytest.mark.parametrize("name", LIES)
def test_a_ban_is_durable_before_anything_is_answered(vertex: Vertex, name: str) -> None:
    liar, victim = parties = vertex.keygen("ab", 2)
    ref = str(pair_of(victim, liar).data_key)
    number, alter = LIES[name]
    with Lie(liar.identity, number, alter, receiver=victim.identity).told(), watching(vertex, victim, ref) as heard:
        operations = vertex.sign(parties)
    assert [operation.state for operation in operations] == ["failed", "failed"]
    assert liar.keygen_id in operations[1].result["err_msg"]
    assert max(heard["rounds"]) == number, "a message left after the failed check"
    assert heard["key was there"] == [False]
    row = pair_of(victim, liar)
    assert (row.sealed, row.data_key, row.banned_at is None) == (None, None, False)
    assert pair_of(liar, victim).banned_at is None, "the victim is banned by the liar"


def test_a_banned_pair_signs_again_after_fresh_set_ups_alone(vertex: Vertex) -> None:
    liar, victim, other = parties = vertex.keygen("abc", 2)
    number, alter = LIES["extension check"]
    with Lie(liar.identity, number, alter, receiver=victim.identity).told():
        vertex.sign([liar, victim])
    assert [operation.state for operation in vertex.sign([liar, victim])] == ["failed", "failed"]
    assert [operation.state for operation in vertex.sign([victim, other])] == ["done", "done"]

    assert bans.lift(key_id=victim.key_id, actor="admin", reason="its disk was broken")
    rows = reshare(vertex, parties, [], 2)
    for each in rows[:2]:
        confirm(each)
        vertex.run()
    fresh = [new_party(party, each) for party, each in zip(parties, rows, strict=True)]
    assert [operation.state for operation in vertex.sign(fresh[:2])] == ["done", "done"]
