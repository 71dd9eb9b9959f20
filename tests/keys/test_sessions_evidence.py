"""Evidence of a lie: kept in the event log, judged by whoever gets it, and useless against the honest."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from audit.models import Event
from keys.models import ProtocolSession
from keys.sessions import driver
from keys.sessions.driver import Driver
from keys.sessions.evidence import EVIDENCE, MAX_KEPT, record_of, two_messages, verdict
from keys.sessions.kinds import kind_of
from keys.sessions.lease import Lease
from mpc import dealing
from mpc.envelope import make_body, make_header, pack_bodies
from mpc.errors import Blame
from mpc.hashing import TH
from mpc.protocol import Frame
from mpc.sharing import ranks
from mpc.wire import KeygenDeal, ReshareDeal
from tests.life import Party, Vertex
from tests.mpc.simulator import Lie, Network, change, edit, flipped, identities, identity, run_keygen, telling
from tests.reshare.test_whole_life import reshare

PARTIES = identities("ABC")
CULPRIT, VICTIM, BYSTANDER = (one.public for one in PARTIES)
XS = ranks(one.public for one in PARTIES)


def complaint() -> tuple[bytes, bytes]:
    """(evidence of a wrong sub-share, the sid it is about)."""
    network = Network()
    with telling(Lie(CULPRIT, 2, edit(KeygenDeal, change("deal", "share")), receiver=VICTIM)):
        outcome = run_keygen(PARTIES, 2, network)[VICTIM]
    assert isinstance(outcome, Blame)
    return outcome.evidence, next(frame.body[3:35] for frame in network.sent if frame.round == 1)


def signed(sid: bytes, content: bytes, name: str = "A", number: int = 1) -> Frame:
    me = identity(name)
    header = make_header("message", number, sid, me.public, b"")
    return Frame(number, me.public, b"", make_body(me, header, content))


def test_a_complaint_is_judged_by_who_gets_it() -> None:
    evidence, sid = complaint()
    blame = verdict(evidence, sid=sid, scheme="ecdsa", coordinates=XS)
    assert blame is not None
    assert (blame.culprits, blame.ban, blame.evidence) == ({CULPRIT}, False, evidence)


def test_two_signed_messages_are_judged_too() -> None:
    one, two = signed(TH("sid"), b"one"), signed(TH("sid"), b"two")
    found = two_messages(one, two)
    again = verdict(found.evidence, sid=TH("sid"), scheme="ecdsa", coordinates=XS)
    assert again is not None
    assert found.culprits == again.culprits == {identity("A").public}


SID = TH("sid")
PROVES_NOTHING = {
    "junk": b"junk",
    "nothing": b"",
    "one message": pack_bodies((signed(SID, b"one").body,)),
    "the same twice": pack_bodies((signed(SID, b"one").body, signed(SID, b"one").body)),
    "of two rounds": pack_bodies((signed(SID, b"one").body, signed(SID, b"two", number=2).body)),
    "of two parties": pack_bodies((signed(SID, b"one").body, signed(SID, b"two", "B").body)),
    "of another session": pack_bodies((signed(TH("other"), b"one").body, signed(TH("other"), b"two").body)),
    "not signed": pack_bodies((signed(SID, b"one").body, flipped(signed(SID, b"two").body))),
    "no messages": pack_bodies((b"x", b"y")),
}


@pytest.mark.parametrize("evidence", PROVES_NOTHING.values(), ids=PROVES_NOTHING.keys())
def test_what_proves_nothing_is_dropped(evidence: bytes) -> None:
    assert verdict(evidence, sid=SID, scheme="ecdsa", coordinates=XS) is None


def test_a_complaint_about_another_session_or_quorum_is_dropped() -> None:
    evidence, sid = complaint()
    assert verdict(evidence, sid=SID, scheme="ecdsa", coordinates=XS) is None
    assert verdict(evidence, sid=sid, scheme="ecdsa", coordinates={BYSTANDER: 1}) is None
    assert verdict(evidence, sid=sid, scheme="none", coordinates=XS) is None


def test_an_event_says_who_and_keeps_what_proves_it() -> None:
    assert record_of(Blame({CULPRIT}, "no evidence")) == {"culprits": [CULPRIT.hex()]}
    kept = record_of(Blame({CULPRIT}, "some", evidence=b"some"))
    assert kept == {"culprits": [CULPRIT.hex()], "evidence": base64.b64encode(b"some").decode()}
    long = record_of(Blame({CULPRIT}, "too much", evidence=bytes(MAX_KEPT + 1)))
    assert set(long) == {"culprits", "evidence_sha256"}


# --- whole sessions -----------------------------------------------------------------------------------------------


def asked(vertex: Vertex) -> tuple[list[Party], list[Any]]:
    parties = [vertex.party(name) for name in "abc"]
    room = vertex.room(3)
    operations = [vertex.ask_keygen(party, parties, 2, room) for party in parties]
    return parties, operations


def test_everybody_hears_who_dealt_a_wrong_sub_share(vertex: Vertex) -> None:
    parties, operations = asked(vertex)
    liar, victim, bystander = parties
    with Lie(liar.identity, 2, edit(KeygenDeal, change("deal", "share")), receiver=victim.identity).told():
        vertex.run()
    for party, operation in ((victim, operations[1]), (bystander, operations[2])):
        operation.refresh_from_db()
        assert operation.state == "failed"
        assert f"to blame: {liar.keygen_id}" in operation.result["err_msg"]
        event = Event.objects.get(action="keygen.failed", subject=str(party.key_id))
        assert event.data["culprits"] == [liar.identity.hex()]
        evidence = base64.b64decode(event.data["evidence"])
        sid = dealing.decode(dealing.Complaint, evidence).private[3:35]
        found = verdict(evidence, sid=sid, scheme="ecdsa", coordinates=ranks(each.identity for each in parties))
        assert found is not None
        assert found.culprits == {liar.identity}
    assert {party.state for party in parties} == {"created"}


def test_everybody_hears_of_a_lie_in_a_reshare(vertex: Vertex) -> None:
    liar, victim, leaver = parties = vertex.keygen("abc", 2)
    with Lie(liar.identity, 2, edit(ReshareDeal, change("deal", "share")), receiver=victim.identity).told():
        rows = reshare(vertex, parties, [], 2)
    for party in (victim, leaver):
        event = Event.objects.get(action="reshare.failed", subject=str(party.key_id))
        assert event.data["culprits"] == [liar.identity.hex()]
    assert "voting" not in {row.state for row in rows}
    assert {party.state for party in parties} <= {"active", "retiring"}


def test_garbage_for_evidence_changes_nothing(vertex: Vertex) -> None:
    _, operations = asked(vertex)
    room = vertex.relay.rooms[ProtocolSession.objects.first().room]  # type: ignore[union-attr]
    for number, evidence in enumerate((*PROVES_NOTHING.values(), complaint()[0])):
        room.slots[EVIDENCE, number, "00" * 32, ""] = evidence
    vertex.run()
    for operation in operations:
        operation.refresh_from_db()
    assert [operation.state for operation in operations] == ["done"] * 3


def test_only_so_much_evidence_is_judged(vertex: Vertex, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(vertex)
    session = ProtocolSession.objects.select_related("share__identity").first()
    assert session is not None
    judged: list[bytes] = []
    monkeypatch.setattr(driver, "verdict", lambda evidence, **_: judged.append(evidence))
    one = Driver(session, kind_of(session), Lease(session.id, session.fence))
    one._judge(b"before the sid is known")
    one._sid = SID
    for _ in range(200):
        one._judge(b"junk")
    assert len(judged) == driver.MAX_FRAMES - 1
