"""How reshares end on real vertices: aborted, refreshed, and with a leaver that was never in the room."""

import time
from dataclasses import replace

import pytest

from cluster.cluster import Cluster
from tests.cluster.outside import (
    PATIENCE,
    Party,
    at_once,
    everywhere,
    keygen,
    new_party,
    reshare_body,
    reshare_of,
    room,
    sign,
    until,
)


@pytest.fixture
def parties(cluster: Cluster) -> list[Party]:
    return [new_party(vertex.url, vertex.admin_token) for vertex in cluster.vertices[:4]]


def states(parties: list[Party]) -> list[str]:
    return [reshare_of(party)["state"] for party in parties]


def key_state(party: Party, key_id: str) -> str:
    state: str = party.user.ok(f"GET /keys/{key_id}")["state"]
    return state


def renewed(parties: list[Party], key_ids: list[str]) -> list[Party]:
    """The same parties with their new keys."""
    return [replace(party, key_id=key_id) for party, key_id in zip(parties, key_ids, strict=True)]


def reshared(parties: list[Party], threshold: int) -> list[Party]:
    """A reshare among the same parties, up to quarantine."""
    name = room(parties[0], len(parties))
    answers = at_once(
        *(
            lambda party=party: party.user.ok(
                "POST /ecdsa/reshare/existing-party", reshare_body(party, parties, threshold, name)
            )
            for party in parties
        )
    )
    return renewed(parties, [answer["key_id"] for answer in answers])


def vote(party: Party, word: str, *, new: Party | None = None) -> None:
    """Vote in the party's only reshare, or in the one that makes a certain new key, as soon as that is possible."""
    lines = party.user.ok("GET /reshares")["results"]
    [line] = [
        each for each in lines if each["old_key_id"] == party.key_id and (not new or each["key_id"] == new.key_id)
    ]
    deadline = time.monotonic() + PATIENCE
    while (answer := party.admin.call(f"POST /reshares/{line['reshare_id']}/{word}", {})).status != 200:
        assert answer.error[1] == "deletion_not_ready", answer.body
        assert time.monotonic() < deadline, answer.body
        time.sleep(0.1)


def refused(party: Party) -> str:
    body = {"key_id": party.key_id, "msg": "00", "hash_algo": "sha256", "room_uuid": room(party, 2)}
    error: str = party.user.call("POST /ecdsa/sign", body).error[1]
    return error


def test_an_aborted_reshare_leaves_the_old_quorum_as_it_was(parties: list[Party]) -> None:
    """A and B stay, C departs, D joins; then two abort, and D's operator destroys its parked share."""
    *old, d = parties
    a, b, c = old
    public = keygen(old, 2)
    name, quorum = room(a, 4), [a, b, d]
    roles = {a: "existing-party", b: "existing-party", c: "departing-party", d: "new-party"}
    told = everywhere(
        [a, b, c, d],
        lambda party: party.user.ok(f"POST /ecdsa/reshare/{roles[party]}", reshare_body(party, quorum, 2, name)),
    )
    keys = [answer["key_id"] for answer in told]
    assert keys[2:] == [c.key_id, d.key_id], "who departs gets no share, who joins has its key already"
    new = renewed(quorum, [keys[0], keys[1], keys[3]])
    path = f"POST /reshares/{reshare_of(a)['rid']}"
    assert d.admin.refused(f"{path}/supersede", {}) == "share_superseded", "D holds no old share"
    assert {party.admin.refused(f"{path}/{word}", {}) for party in (a, d) for word in ("discard", "agree")} == {
        "bad_request_params"
    }

    vote(a, "confirm-deletion")
    vote(b, "abort")
    until(lambda: [reshare_of(party)["confirmed"] for party in old], [1, 1, 1])
    assert states(old) == ["voting"] * 3, "one vote of each kind decides nothing"
    vote(c, "abort")
    until(lambda: states(old), ["aborted"] * 3)
    until(lambda: [key_state(party, party.key_id) for party in old], ["active"] * 3)
    until(lambda: [key_state(party, party.key_id) for party in new], ["parked"] * 3)
    assert refused(new[0]) == "reshare_not_complete"
    sign(old[:2])
    d.admin.ok(f"{path}/discard", {"reason": "not needed"})
    until(lambda: key_state(d, d.key_id), "discarded")

    # The way is free for another attempt, which goes through.
    again = reshared(old, 3)
    for party, successor in zip(old[:2], again, strict=False):
        vote(party, "confirm-deletion", new=successor)
    until(lambda: [key_state(party, party.key_id) for party in again], ["active"] * 3)
    until(lambda: [key_state(party, party.key_id) for party in new], ["discarded"] * 3)
    sign(again)
    assert {party.key["public_key"] for party in again} == {public}


def test_a_leaver_outside_the_room_is_told_by_receipts(parties: list[Party]) -> None:
    """A and B stay, D joins, C leaves and was never asked: complete without C, clean once C has been told."""
    a, b, c, d = parties
    keygen([a, b, c], 2)
    name = room(a, 3)
    new_quorum = [a, b, d]
    answers = at_once(
        lambda: a.user.ok("POST /ecdsa/reshare/existing-party", reshare_body(a, new_quorum, 2, name)),
        lambda: b.user.ok("POST /ecdsa/reshare/existing-party", reshare_body(b, new_quorum, 2, name)),
        lambda: d.user.ok("POST /ecdsa/reshare/new-party", reshare_body(d, new_quorum, 2, name)),
    )
    new = renewed(new_quorum, [answer["key_id"] for answer in answers])
    for party in (a, b):
        vote(party, "confirm-deletion")
    until(lambda: states([a, b]), ["complete", "complete"])
    until(lambda: [key_state(party, party.key_id) for party in new], ["active"] * 3)
    assert key_state(c, c.key_id) == "active", "C knows nothing of it yet"

    reshare = reshare_of(a)
    bundle = a.user.ok(f"GET /reshares/{reshare['reshare_id']}/receipts")
    assert c.user.ok(f"POST /reshares/{reshare['rid']}/receipts", bundle)["new"] == len(bundle["receipts"])
    until(lambda: key_state(c, c.key_id), "erased")
    told = c.user.ok(f"GET /reshares/{reshare['rid']}")
    assert told["role"] == "departing"
    back = c.user.ok(f"GET /reshares/{reshare['rid']}/receipts")
    for party in (a, b):
        party.user.ok(f"POST /reshares/{reshare['rid']}/receipts", back)
    until(lambda: states([a, b]), ["clean", "clean"])
    sign([new[0], new[2]])
