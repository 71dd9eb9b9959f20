"""Attempts that hang on real vertices: one is superseded, another carried to completion while an old party is dead; and
a malicious vertex that splits what the others see neither loses the key nor leaves two quorums."""

from typing import Any

import msgspec
import pytest

from cluster.cluster import Cluster
from tests.cluster.malice import lies
from tests.cluster.outside import Party, at_once, keygen, new_party, reshare_body, room, sign, until
from tests.cluster.test_crash import LEASE_AND_SWEEP
from tests.cluster.test_outcomes import key_state, refused, renewed, reshared, vote

ERASED = ["share_erased"] * 2


@pytest.fixture
def parties(cluster: Cluster) -> list[Party]:
    return [new_party(vertex.url, vertex.admin_token) for vertex in cluster.vertices[:5]]


def about(party: Party, rid: str) -> dict[str, Any]:
    found: dict[str, Any] = party.user.ok(f"GET /reshares/{rid}")
    return found


def rid_of(party: Party, new: Party) -> str:
    """The attempt that makes a certain new key."""
    lines = party.user.ok("GET /reshares")["results"]
    [rid] = [line["rid"] for line in lines if line["key_id"] == new.key_id]
    return str(rid)


def attempt(staying: list[Party], joining: list[Party], threshold: int, **more: Any) -> list[Party]:
    """A reshare up to quarantine; nobody leaves through the room."""
    quorum = [*staying, *joining]
    name = room(quorum[0], len(quorum))
    calls = {True: "POST /ecdsa/reshare/existing-party", False: "POST /ecdsa/reshare/new-party"}
    answers = at_once(
        *(
            lambda party=party: party.user.ok(
                calls[party in staying], reshare_body(party, quorum, threshold, name) | more
            )
            for party in quorum
        )
    )
    return renewed(quorum, [answer["key_id"] for answer in answers])


def others_at(party: Party, rid: str) -> set[str]:
    """Kinds of the receipts about other attempts that go with those about this one."""
    bundle = party.user.ok(f"GET /reshares/{rid}/receipts")["receipts"]
    payloads = [msgspec.msgpack.decode(msgspec.msgpack.decode(bytes.fromhex(each))[0]) for each in bundle]
    return {kind for _, kind, subject, *_ in payloads if subject.hex() != rid}


def test_a_hung_attempt_is_superseded(parties: list[Party]) -> None:
    old = parties[:3]
    public = keygen(old, 2)
    first = reshared(old, 2)
    rid = rid_of(old[0], first[0])
    shown = about(old[0], rid)
    assert shown["ways_on"]["supersede"] == {"open": True, "ordered": False, "holding": 3, "needed": 2}
    assert not shown["ways_on"]["carry"]["open"]
    body = reshare_body(old[0], old, 2, room(old[0], 3))
    assert old[0].user.call("POST /ecdsa/reshare/existing-party", body).error == (400, "reshare_conflict")
    assert old[0].user.call(f"POST /reshares/{rid}/supersede", {}).error == (400, "you_have_to_be_admin")
    assert old[0].admin.call(f"POST /reshares/{rid}/carry", {}).error == (400, "deletion_not_ready")
    for party in old:
        assert party.admin.ok(f"POST /reshares/{rid}/supersede", {"reason": "hangs"})["ways_on"]["supersede"]["ordered"]

    second = reshared(old, 2)
    for party, successor in zip(old[:2], second, strict=False):
        vote(party, "confirm-deletion", new=successor)
    until(lambda: [key_state(party, party.key_id) for party in second], ["active"] * 3)
    until(lambda: [key_state(party, party.key_id) for party in first], ["discarded"] * 3)
    until(lambda: [about(party, rid)["state"] for party in old], ["superseded"] * 3)
    until(lambda: about(old[0], rid_of(old[0], second[0]))["known_by_all"], True)
    sign(second[:2])
    assert [refused(party) for party in old[:2]] == ERASED
    assert {party.user.ok(f"GET /keys/{party.key_id}")["public_key"] for party in second} == {public}


def test_a_committed_attempt_is_carried_on_while_a_party_is_dead(cluster: Cluster, parties: list[Party]) -> None:
    """B votes for the first attempt, then promises a second one of which A knows nothing: the first is committed and A
    erases, but B no longer follows, and C is dead. A proposes the first again, and two parties are enough to end it."""
    a, b, c, d, e = parties
    public = keygen([a, b, c], 2)
    first = attempt([a, b], [d], 2)
    rid = rid_of(a, first[0])
    vote(b, "confirm-deletion")
    until(lambda: about(a, rid)["confirmed"], 1)
    b.admin.ok(f"POST /reshares/{rid}/supersede", {})
    second = attempt([b, c], [e], 2)
    vote(a, "confirm-deletion")
    until(lambda: key_state(a, a.key_id), "erased")
    until(lambda: about(b, rid)["deleted"], 1)
    assert (about(a, rid)["state"], key_state(b, b.key_id)) == ("committed", "retiring")
    cluster.vertices[2].kill("worker")
    try:
        # Of the second attempt A hears one thing, through the room of the first: that B has promised it.
        until(lambda: "PROMISED" in others_at(a, rid), True)
        assert about(a, rid)["ways_on"]["carry"]["open"]
        a.admin.ok(f"POST /reshares/{rid}/carry", {"reason": "B promised another attempt"})
        until(lambda: [key_state(party, party.key_id) for party in first], ["active"] * 3)
    finally:
        cluster.vertices[2].restart("worker")
    until(lambda: key_state(b, b.key_id), "erased")
    until(lambda: key_state(second[0], second[0].key_id), "discarded")
    sign([first[0], first[2]])
    assert {party.user.ok(f"GET /keys/{party.key_id}")["public_key"] for party in first} == {public}

    # C comes back and is told: it has dealt in the second attempt, and still erases for the one that is complete.
    bundle = a.user.ok(f"GET /reshares/{rid}/receipts")
    c.user.ok(f"POST /reshares/{rid}/receipts", bundle)
    until(lambda: key_state(c, c.key_id), "erased")
    until(lambda: key_state(second[1], second[1].key_id), "discarded")


def test_forget_and_forgive_does_not_lose_the_key(cluster: Cluster, parties: list[Party]) -> None:
    """C confirms towards A and fails towards B, so that A forgets its old share while B would forgive and keep its own.
    B sees both faces and stops; nothing is destroyed, and when the operators agree the new shares take over."""
    a, b, c = parties[:3]
    public = keygen([a, b, c], 2)
    new = reshared([a, b, c], 2)
    rid = rid_of(a, new[0])
    confirmed, failed, aborted = lies(cluster.vertices[2], rid, "CONFIRMED", "FAILED", "ABORTED")
    cluster.vertices[1].kill("worker")
    try:
        assert a.user.ok(f"POST /reshares/{rid}/receipts", {"receipts": [confirmed]})["new"] == 1
        vote(a, "confirm-deletion")
        until(lambda: key_state(a, a.key_id), "erased")
        assert b.user.ok(f"POST /reshares/{rid}/receipts", {"receipts": [failed, aborted]})["new"] == 2
    finally:
        cluster.vertices[1].restart("worker")
    for party in (a, b):
        until(lambda party=party: "two_faces" in about(party, rid)["alarms"], True, LEASE_AND_SWEEP)
        assert {named for named, *_ in about(party, rid)["conflicts"]} == {c.keygen_id}
    assert key_state(b, b.key_id) == "active", "aborted as B sees it, committed as A does"
    assert {key_state(party, party.key_id) for party in new[:2]} <= {"quarantined", "parked"}, "nothing is destroyed"
    assert [each["decision"] for each in about(b, rid)["decisions"] if each["open"]] == ["agree", "discard"]

    for party in (a, b):
        party.admin.ok(f"POST /reshares/{rid}/agree", {"reason": "C lies; we go on"})
    until(lambda: key_state(b, b.key_id), "erased")
    until(lambda: [key_state(party, party.key_id) for party in new[:2]], ["active"] * 2)
    sign(new[:2])
    assert {party.user.ok(f"GET /keys/{party.key_id}")["public_key"] for party in new} == {public}


def test_a_liar_is_borne_where_one_more_deletion_is_required(cluster: Cluster, parties: list[Party]) -> None:
    """With three deletions of three required, C attests its own and keeps its share: A's and B's are gone, so C alone
    can't sign, and before that nothing C says makes anybody erase."""
    a, b, c = parties[:3]
    keygen([a, b, c], 2)
    over = reshare_body(a, [a, b, c], 2, room(a, 3)) | {"deletions_required": 4}
    assert a.user.call("POST /ecdsa/reshare/existing-party", over).error == (400, "bad_n_and_t_params")
    new = attempt([a, b, c], [], 2, deletions_required=3)
    rid = rid_of(a, new[0])
    assert {about(party, rid)["deletions_required"] for party in (a, b, c)} == {3}
    said = lies(cluster.vertices[2], rid, "CONFIRMED", "DELETED")
    for party in (a, b):
        party.user.ok(f"POST /reshares/{rid}/receipts", {"receipts": said})
    vote(a, "confirm-deletion")
    until(lambda: about(b, rid)["confirmed"], 2)
    assert [key_state(party, party.key_id) for party in (a, b)] == ["retiring"] * 2
    sign([a, b])
    vote(b, "confirm-deletion")
    until(lambda: [key_state(party, party.key_id) for party in new[:2]], ["active"] * 2)
    assert [refused(party) for party in (a, b)] == ERASED
    sign(new[:2])
