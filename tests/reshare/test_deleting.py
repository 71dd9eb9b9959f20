"""DELETE of a share: an active one is given up, of a retiring one it is the user's vote where a policy gives it one."""

from typing import Any

import pytest

from audit.models import Event
from keys.models import KeyShare, Operation, Policy, ProtocolSession
from keys.shares import share_key_exists
from mpc.identity import verify
from reshare import acceptor, deleting
from reshare.look import look
from reshare.models import SharingOrder
from reshare.old_quorums import old_quorum_of
from reshare.requests import Room, existing_request
from tests.life import Party, Vertex
from tests.reshare.attempts import Attempt, check_invariants, old_quorum, old_share, old_states, public
from tests.reshare.test_whole_life import confirm, new_party, reshare
from vertex.errors import ApiError


@pytest.fixture
def old(vertex: Vertex) -> None:
    old_quorum()


def delete(vertex: Vertex, share: KeyShare) -> Operation:
    """The call, and what its worker does."""
    party = Party("", share.user, share.id, bytes(share.identity.public))
    operation = vertex.operation(party)
    deleting.delete_request(user=share.user, operation=operation, key_id=share.id, scheme="ecdsa")
    if vertex.tasks and vertex.tasks[-1][0] == "reshare.delete":
        deleting.delete_task(*vertex.tasks[-1][1])
    operation.refresh_from_db()
    return operation


def refused(vertex: Vertex, share: KeyShare) -> str:
    with pytest.raises(ApiError) as error:
        delete(vertex, share)
    return error.value.err_type


@pytest.mark.usefixtures("old")
def test_an_active_share_is_given_up(vertex: Vertex) -> None:
    assert delete(vertex, old_share("a")).result == {}
    assert old_states() == ["erased", "active", "active"]
    assert not share_key_exists(old_share("a"))
    gid = bytes(old_share("a").gid or b"")
    assert acceptor.read(public("a"), gid).deleted
    stated = Event.objects.get(action="reshare.give_up").data["statement"]
    assert verify(public("a"), "given-up", (gid,), bytes.fromhex(stated))
    assert delete(vertex, old_share("a")).result == {}, "again is no error"
    assert Event.objects.filter(action="share.deletion_asked").count() == 1


@pytest.mark.usefixtures("old")
def test_who_gave_its_share_up_still_counts_in_the_next_reshare(vertex: Vertex) -> None:
    delete(vertex, old_share("c"))
    attempt = Attempt("abd")
    attempt.begin()
    attempt.advance()
    assert [attempt.said(name) for name in "abc"] == [["PROMISED"], ["PROMISED"], []]
    attempt.through()
    attempt.advance()
    attempt.confirm("a")
    attempt.settle()
    assert "CONFIRMED" in attempt.said("c"), "by itself: it has nothing left"
    assert {"DELETED"} <= set(attempt.said("c"))
    assert old_states() == ["erased"] * 3
    check_invariants(attempt)


@pytest.mark.usefixtures("old")
def test_a_retiring_share_is_its_operators_to_delete(vertex: Vertex) -> None:
    attempt = Attempt().stored()
    assert refused(vertex, old_share("a")) == "deletion_not_ready"
    assert attempt.said("a") == ["PROMISED", "STORED"]
    policy = Policy.objects.create(name="its user confirms", confirms_deletion=True)
    KeyShare.objects.filter(id=old_share("a").id).update(policy=policy)
    assert delete(vertex, old_share("a")).result == {}
    assert "CONFIRMED" in attempt.said("a")
    assert old_states() == ["retiring"] * 3
    assert delete(vertex, old_share("a")).result == {}


@pytest.mark.usefixtures("old")
def test_a_key_without_a_share_just_goes(vertex: Vertex) -> None:
    party = vertex.party("d")
    assert delete(vertex, party.share).result == {}
    assert party.state == "discarded"


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize("name", ["a", "d"])
def test_a_quarantined_share_is_nobodys_to_delete(vertex: Vertex, name: str) -> None:
    share = Attempt("abd").stored().row(name).new_share
    assert share is not None
    assert refused(vertex, share) == "reshare_conflict"


@pytest.mark.usefixtures("old")
def test_an_order_that_came_too_late_does_not_wait(vertex: Vertex, monkeypatch: pytest.MonkeyPatch) -> None:
    share, attempt = old_share("a"), Attempt()
    party = Party("", share.user, share.id, public("a"))
    operation = vertex.operation(party)
    deleting.delete_request(user=share.user, operation=operation, key_id=share.id, scheme="ecdsa")
    attempt.begin()
    attempt.through()
    deleting.delete_task(*vertex.tasks[-1][1])
    operation.refresh_from_db()
    assert operation.result is not None
    assert operation.result["err_type"] == "reshare_conflict"
    assert not SharingOrder.objects.exists()
    assert old_states()[0] == "retiring"


def asked(vertex: Vertex, party: Party, ids: list[str], room: str) -> Any:
    operation = vertex.operation(party)
    return existing_request(
        user=party.user,
        operation=operation,
        key_id=party.key_id,
        scheme="ecdsa",
        keygen_ids=ids,
        new_threshold=2,
        room=Room(room, None, operation.deadline),
    )


def test_whose_share_is_gone_takes_part_for_its_new_one_while_an_attempt_hangs(vertex: Vertex) -> None:
    """A and B have confirmed; A has erased and B never does. B and C supersede, A's new share comes from their deal."""
    from reshare import decisions

    parties = vertex.keygen("abc", 2)
    rows = reshare(vertex, parties, [], 2)
    for row in rows[1:]:
        decisions.decide(name="supersede", row_id=row.id, actor="admin", reason="")
    # B's and C's sessions are lost with the relay's room before they hear anything more.
    sessions = ProtocolSession.objects.filter(finished_at=None)
    sessions.update(state="done", finished_at="2026-01-01T00:00:00Z", data_key=None, sealed_seed=None)
    KeyShare.objects.filter(id=parties[0].key_id).update(state="superseded")
    known = old_quorum_of(parties[0].share)
    assert known is not None
    assert known.identities == tuple(sorted(party.identity for party in parties))
    gid = bytes(parties[0].share.gid or b"")
    record = acceptor.read(parties[0].identity, gid)
    acceptor.replace(parties[0].identity, gid, expected=record, record=record._replace(accepted=record.promised))

    ids, room = [party.keygen_id for party in parties], vertex.room(3)
    again = [asked(vertex, party, ids, room) for party in parties]
    vertex.run()
    for row in again:
        row.refresh_from_db()
    new = [new_party(party, row) for party, row in zip(parties, again, strict=True)]
    assert [party.state for party in new] == ["quarantined"] * 3
    for row in again[1:]:
        confirm(row)
    vertex.run()
    assert [party.state for party in new] == ["active"] * 3
    assert vertex.sign([new[0], new[2]])[0].state == "done"


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize("erasable", [True, False])
def test_a_superseded_share_goes_when_it_is_asked_to(
    vertex: Vertex, monkeypatch: pytest.MonkeyPatch, erasable: bool
) -> None:
    """Its erasure is decided and not done yet; an old client's DELETE comes just now."""
    share = old_share("a")
    gid, record = bytes(share.gid or b""), acceptor.read(public("a"), bytes(share.gid or b""))
    acceptor.replace(public("a"), gid, expected=record, record=record._replace(deleted=True))
    KeyShare.objects.filter(id=share.id).update(state="superseded")
    if not erasable:
        monkeypatch.setattr(deleting, "advance", look)
    answered = delete(vertex, old_share("a"))
    if erasable:
        assert (answered.status, answered.result, old_share("a").state) == (200, {}, "erased")
        assert not share_key_exists(old_share("a"))
    else:
        assert answered.result is not None
        assert (answered.status, answered.result["err_type"]) == (400, "share_superseded")
        assert old_share("a").state == "superseded"
    assert not SharingOrder.objects.exists(), "nothing was ordered"
