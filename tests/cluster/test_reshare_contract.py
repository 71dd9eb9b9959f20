"""What is refused around a reshare at running vertices, in the contract's words; and it still ends well."""

import time
from dataclasses import replace
from typing import Any

import pytest

from cluster.cluster import Cluster
from tests.cluster.outside import (
    Party,
    at_once,
    keygen,
    new_party,
    new_user,
    reshare_body,
    reshare_of,
    room,
    sign,
    sign_body,
)

REFUSED = (400, "bad_request_params")


@pytest.fixture
def key(cluster: Cluster) -> list[Party]:
    """A 2-of-3 key that is active."""
    vertices = [(vertex.url, vertex.admin_token) for vertex in cluster.vertices[:3]]
    made = at_once(*(lambda at=at: new_party(*at) for at in vertices))
    keygen(made, 2)
    return made


@pytest.fixture
def quarantined(key: list[Party]) -> tuple[list[Party], list[Party]]:
    """Old and new parties of a reshare to 3-of-3 whose new shares are stored everywhere."""
    name = room(key[0], 3)
    call = "POST /ecdsa/reshare/existing-party"
    answers = at_once(*(lambda party=party: party.user.ok(call, reshare_body(party, key, 3, name)) for party in key))
    return key, [replace(party, key_id=answer["key_id"]) for party, answer in zip(key, answers, strict=True)]


def until(look: Any, wanted: Any, seconds: float = 20) -> None:
    """Until an answer is the wanted one; fails with the last."""
    deadline = time.monotonic() + seconds
    while (found := look()) != wanted:
        assert time.monotonic() < deadline, found


def test_a_reshare_that_waits_for_a_party(key: list[Party]) -> None:
    """Nothing to vote on before the room is full; afterwards the share is as it was."""
    first = key[0]
    body = reshare_body(first, key, 3, room(first, 3))
    begun = first.user.call("POST /ecdsa/reshare/existing-party", body, prefer="respond-async, wait=3")
    assert begun.status == 202
    path = f"/reshares/{reshare_of(first)['reshare_id']}"
    assert first.admin.call(f"POST {path}/confirm-deletion", {}).error == (400, "deletion_not_ready")
    again = reshare_body(first, key, 3, room(first, 3))
    assert first.user.call("POST /ecdsa/reshare/existing-party", again).error == (400, "reshare_conflict")
    operation = f"GET {begun.headers['Location']}"
    until(lambda: first.user.ok(operation)["state"], "failed")
    assert first.user.ok(operation)["error"]["err_type"] == "executor_result"
    assert first.user.ok(f"GET /keys/{first.key_id}")["state"] == "active"
    assert first.admin.call(f"POST {path}/confirm-deletion", {}).status == 400
    sign(key[:2])


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"new_threshold": 4}, "bad_n_and_t_params"),
        ({"new_threshold": 1}, "bad_n_and_t_params"),
        ({"new_threshold": "2"}, "bad_request_params"),
        ({"keygen_ids": []}, "bad_request_params"),
        ({"keygen_ids": ["x"]}, "bad_request_params"),
        ({"deletions_required": 1}, "bad_n_and_t_params"),
        ({"deletions_required": 4}, "bad_n_and_t_params"),
        ({"room_uuid": None}, "bad_request_params"),
    ],
)
def test_reshares_that_can_not_be(key: list[Party], changed: dict[str, Any], error: str) -> None:
    first = key[0]
    body = reshare_body(first, key, 2, room(first, 3)) | changed
    before = first.user.ok("GET /keys")
    assert first.user.call("POST /ecdsa/reshare/existing-party", body).error == (400, error)
    assert first.user.ok("GET /keys") == before
    assert first.user.ok("GET /reshares")["results"] == []


def test_between_quarantine_and_completion(cluster: Cluster, quarantined: tuple[list[Party], list[Party]]) -> None:
    old, new = quarantined
    first, second, _ = old
    shown = [reshare_of(party) for party in old]
    assert len({each["rid"] for each in shown}) == 1
    paths = [f"/reshares/{each['reshare_id']}" for each in shown]

    # The old quorum signs, a new share does not, and neither is reshared again.
    sign(old[:2])
    refused = new[0].user.call("POST /ecdsa/sign", sign_body(new[0], room(first, 3)))
    assert refused.error == (400, "reshare_not_complete")
    for party, error in ((first, "reshare_conflict"), (new[0], "reshare_not_complete")):
        body = reshare_body(party, old, 2, room(first, 3))
        assert first.user.call("POST /ecdsa/reshare/existing-party", body).error == (400, error)

    # Votes are an admin's; another user's reshare is none.
    assert first.user.call(f"POST {paths[0]}/confirm-deletion", {}).error == (400, "you_have_to_be_admin")
    stranger, _ = new_user(cluster.vertices[0].url, cluster.vertices[0].admin_token)
    assert stranger.call(f"GET {paths[0]}").error == (404, "not_found")

    check_receipts(first, paths[0])

    # A vote is a vote.
    assert first.admin.call(f"POST {paths[0]}/confirm-deletion", {}).status == 200
    for vote in ("confirm-deletion", "abort"):
        assert first.admin.call(f"POST {paths[0]}/{vote}", {}).error == (400, "already_voted")
    sign(old[1:])

    # Two deletions of three complete it: the old shares are gone, the new quorum signs under the same key.
    assert second.admin.call(f"POST {paths[1]}/confirm-deletion", {}).status == 200
    for party in new:
        until(lambda party=party: party.user.ok(f"GET /keys/{party.key_id}")["state"], "active")
    for party in old:
        until(
            lambda party=party: party.user.call("POST /ecdsa/sign", sign_body(party, room(first, 2))).error,
            (400, "share_erased"),
        )
    sign(new)
    told = [party.user.ok(f"GET /keys/{party.key_id}") for party in (*old, *new)]
    assert len({each["public_key"] for each in told}) == 1


def check_receipts(party: Party, path: str) -> None:
    """Receipts that are forged, cut or about something else are refused and audited; good ones may come again."""
    held = party.user.ok(f"GET {path}/receipts")
    assert len(held["receipts"]) >= 3
    good = held["receipts"][0]
    flipped = f"{good[:-2]}{int(good[-2:], 16) ^ 1:02x}"
    refusals = "GET /audit/events?action=receipts.refused&limit=1000"
    before = len(party.admin.ok(refusals)["results"])
    for forged in (flipped, good[:-2], good + "00", "00", ""):
        assert party.user.call(f"POST {path}/receipts", {"receipts": [good, forged]}).error == (400, "bad_receipt")
    assert len(party.admin.ok(refusals)["results"]) == before + 5
    for nonsense in ("zz", 7, None, [good], {"receipt": good}):
        assert party.user.call(f"POST {path}/receipts", {"receipts": [nonsense]}).error == REFUSED
    assert party.user.ok(f"POST {path}/receipts", held) == {"new": 0}
