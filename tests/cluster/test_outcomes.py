"""How reshares end on real vertices: aborted, refreshed, and with a leaver that was never in the room."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from cluster.cluster import Cluster
from tests.cluster.outside import Party, at_once, keygen, new_party, reshare_body, reshare_of, room, sign

PATIENCE = 20.0  # seconds that receipts may take to travel


@pytest.fixture
def parties(cluster: Cluster) -> list[Party]:
    return [new_party(vertex.url, vertex.admin_token) for vertex in cluster.vertices[:4]]


def until(what: Callable[[], Any], wanted: Any, seconds: float = PATIENCE) -> None:
    """Until a reading is the wanted one; fails with the last."""
    deadline = time.monotonic() + seconds
    while (found := what()) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found == wanted


def states(parties: list[Party]) -> list[str]:
    return [reshare_of(party)["state"] for party in parties]


def key_state(party: Party, key_id: str) -> str:
    state: str = party.user.ok(f"GET /keys/{key_id}")["state"]
    return state


def renewed(parties: list[Party], key_ids: list[str]) -> list[Party]:
    """The same parties with their new keys."""
    return [Party(p.admin, p.user, p.user_id, key, p.keygen_id) for p, key in zip(parties, key_ids, strict=True)]


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
    old = parties[:3]
    public = keygen(old, 2)
    new = reshared(old, 3)
    vote(old[0], "confirm-deletion")
    vote(old[1], "abort")
    until(lambda: [reshare_of(party)["confirmed"] for party in old], [1, 1, 1])
    assert states(old) == ["voting"] * 3, "one vote of each kind decides nothing"
    vote(old[2], "abort")
    until(lambda: states(old), ["aborted"] * 3)
    until(lambda: [key_state(party, party.key_id) for party in old], ["active"] * 3)
    until(lambda: [key_state(party, party.key_id) for party in new], ["parked"] * 3)
    assert refused(new[0]) == "reshare_not_complete"
    sign(old[:2])

    # The way is free for another attempt, which goes through.
    again = reshared(old, 3)
    for party, successor in zip(old[:2], again, strict=False):
        vote(party, "confirm-deletion", new=successor)
    until(lambda: [key_state(party, party.key_id) for party in again], ["active"] * 3)
    until(lambda: [key_state(party, party.key_id) for party in new], ["discarded"] * 3)
    sign(again)
    assert {party.user.ok(f"GET /keys/{party.key_id}")["public_key"] for party in again} == {public}


def test_a_refresh_confirms_itself_everywhere_and_ends_clean(parties: list[Party]) -> None:
    old = parties[:3]
    public = keygen(old, 2)
    name = room(old[0], 3)
    answers = at_once(
        *(
            lambda party=party: party.user.ok("POST /ecdsa/refresh", {"key_id": party.key_id, "room_uuid": name})
            for party in old
        )
    )
    new = renewed(old, [answer["key_id"] for answer in answers])
    until(lambda: states(old), ["clean"] * 3)
    assert [reshare_of(party)["confirmed"] for party in old] == [3, 3, 3]
    assert [refused(party) for party in old] == ["share_erased"] * 3
    sign(new[1:])
    assert {party.user.ok(f"GET /keys/{party.key_id}")["public_key"] for party in new} == {public}


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
