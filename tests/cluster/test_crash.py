"""Workers killed in the middle of a reshare: the protocol is replayed, the life cycle goes on where it stopped."""

import time

import pytest

from cluster.cluster import Cluster
from tests.cluster.outside import Party, at_once, keygen, new_party, reshare_body, reshare_of, room, sign, until
from tests.cluster.test_outcomes import key_state, renewed, states, vote

LEASE_AND_SWEEP = 40.0  # seconds: a dead worker's lease (15 s), the sweep, and a new worker's start


@pytest.fixture
def parties(cluster: Cluster) -> list[Party]:
    return [new_party(vertex.url, vertex.admin_token) for vertex in cluster.vertices[:3]]


def operation(party: Party, path: str) -> str:
    state: str = party.user.ok(f"GET {path}")["state"]
    return state


def test_a_reshare_survives_killed_workers(cluster: Cluster, parties: list[Party]) -> None:
    public = keygen(parties, 2)
    name = room(parties[0], 3)
    begun = at_once(
        *(
            lambda party=party: party.user.call(
                "POST /ecdsa/reshare/existing-party", reshare_body(party, parties, 3, name), prefer="respond-async"
            )
            for party in parties
        )
    )
    paths = [answer.headers["location"] for answer in begun]
    victim = cluster.vertices[1]
    until(lambda: reshare_of(parties[0])["rid"] is not None, True)
    victim.kill("worker")
    victim.restart("worker")
    until(lambda: [operation(*each) for each in zip(parties, paths, strict=True)], ["done"] * 3, LEASE_AND_SWEEP)
    keys = [party.user.ok(f"GET {path}")["result"]["key_id"] for party, path in zip(parties, paths, strict=True)]
    new = renewed(parties, keys)
    assert [key_state(party, party.key_id) for party in new] == ["quarantined"] * 3

    vote(parties[0], "confirm-deletion")
    vote(parties[1], "confirm-deletion")
    victim.kill("worker")
    time.sleep(0.2)
    victim.restart("worker")
    until(lambda: states(parties), ["clean"] * 3, LEASE_AND_SWEEP)
    assert [key_state(party, party.key_id) for party in parties] == ["erased"] * 3
    sign(new)
    assert {party.user.ok(f"GET /keys/{party.key_id}")["public_key"] for party in new} == {public}
