"""What is refused around a reshare at running vertices, in the contract's words; and it still ends well."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from cluster.cluster import Cluster
from tests.cluster.outside import (
    Party,
    at_once,
    everywhere,
    keygen,
    new_party,
    new_user,
    reshare_body,
    reshare_of,
    room,
    sign,
    sign_body,
    until,
)

REFUSED = (400, "bad_request_params")


@pytest.fixture(scope="module")
def mine(new_parties: Callable[..., list[Party]]) -> list[Party]:
    """A 2-of-3 key that is active, of this module."""
    made = new_parties(3)
    keygen(made, 2)
    return made


def quarantined(old: list[Party]) -> list[Party]:
    """The new parties of a reshare to 3-of-3 whose new shares are stored everywhere."""
    name = room(old[0], 3)
    call = "POST /ecdsa/reshare/existing-party"
    answers = everywhere(old, lambda party: party.user.ok(call, reshare_body(party, old, 3, name)))
    return [replace(party, key_id=answer["key_id"]) for party, answer in zip(old, answers, strict=True)]


def test_a_reshare_that_waits_for_a_party(mine: list[Party]) -> None:
    """Nothing to vote on before the room is full; afterwards the share is as it was."""
    first = mine[0]
    body = reshare_body(first, mine, 3, room(first, 3))
    begun = first.user.call("POST /ecdsa/reshare/existing-party", body, prefer="respond-async, wait=3")
    assert begun.status == 202
    path = f"/reshares/{reshare_of(first)['reshare_id']}"
    assert first.admin.call(f"POST {path}/confirm-deletion", {}).error == (400, "deletion_not_ready")
    again = reshare_body(first, mine, 3, room(first, 3))
    assert first.user.call("POST /ecdsa/reshare/existing-party", again).error == (400, "reshare_conflict")
    operation = f"GET {begun.headers['Location']}"
    until(lambda: first.user.ok(operation)["state"], "failed")
    assert first.user.ok(operation)["error"]["err_type"] == "executor_result"
    assert first.user.ok(f"GET /keys/{first.key_id}")["state"] == "active"
    assert first.admin.call(f"POST {path}/confirm-deletion", {}).status == 400
    sign(mine[:2])


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


def test_between_quarantine_and_completion(cluster: Cluster, parties: list[Party]) -> None:
    old = parties
    keygen(old, 2)
    new = quarantined(old)
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


def test_where_two_people_decide_the_admin_token_does_not(cluster: Cluster) -> None:
    """It names nobody. At F two must agree; at A one is enough."""
    vertices = [cluster.vertex(name) for name in "af"]
    old = at_once(*(lambda at=at: new_party(at.url, at.admin_token, "ed25519") for at in vertices))
    keygen(old, 2)
    name, call = room(old[0], 2), "POST /ed25519/reshare/existing-party"
    everywhere(old, lambda party: party.user.ok(call, reshare_body(party, old, 2, name)))
    path = f"POST /reshares/{reshare_of(old[0])['rid']}"
    for word in ("confirm-deletion", "abort", "supersede"):
        until(lambda word=word: old[1].admin.refused(f"{path}/{word}", {}), "policy_validation_failed")
    assert old[0].admin.call(f"{path}/supersede", {}).status == 200


def test_a_ban_is_lifted_by_an_operator_only(cluster: Cluster, mine: list[Party]) -> None:
    first = mine[0]
    lift = f"POST /keys/{first.key_id}/lift-bans"
    assert first.admin.refused(lift, {}) == "bad_request_params"
    # As if a counterparty had failed a check: no honest vertex does.
    with psycopg.connect(cluster.owner_url("a"), autocommit=True) as database:
        ban = "UPDATE keys_pairstate SET banned_at = now() WHERE share_id = %s AND encode(peer, 'hex') = %s"
        peer = peer_of(mine[1].keygen_id)
        assert database.execute(ban, [first.key_id, peer]).rowcount == 1
    body = reshare_body(first, mine, 2, room(first, 3))
    assert first.user.refused("POST /ecdsa/reshare/existing-party", body) == "reshare_conflict"
    shown = first.key["bans"]
    assert [party["keygen_id"] for party in shown["parties"]] == [mine[1].keygen_id]
    assert first.admin.refused(lift, {"statement_hash": "00" * 32}) == "bad_request_params"
    lifted = first.admin.ok(lift, {"reason": "mended", "statement_hash": shown["statement_hash"]})
    assert [party["lifted_by"] for party in lifted["bans"]["parties"]] == ["admin"]


def peer_of(keygen_id: str) -> str:
    """The identity key in a keygen id, hex: what comes between its prefix and its checksum."""
    return keygen_id.removeprefix("vtx1")[:64]
