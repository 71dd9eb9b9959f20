"""Bad input at running vertices, from an outside client: the contract's error, and no trace but an audit event."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256, Hash

from cluster.cluster import Cluster
from tests.cluster.outside import (
    Caller,
    Party,
    at_once,
    everywhere,
    keygen,
    keygen_body,
    new_user,
    room,
    sign,
    sign_body,
    until,
)

REFUSED = (400, "bad_request_params")
TIMED_OUT = (400, "executor_result")
NO_ROOM = "3b7c2a52-0d5c-4b5e-9a3c-6c8f5d1c2e11"


def events_of(party: Party) -> list[tuple[str, str]]:
    found = party.admin.ok(f"GET /audit/events?subject={party.key_id}&limit=1000")["results"]
    return [(event["action"], event["actor"]) for event in found]


@contextmanager
def no_trace(*parties: Party, events: tuple[str, ...] = ()) -> Iterator[None]:
    """The parties' keys are as they were; the audit logs gained these events of each key and no others."""

    def look() -> list[Any]:
        return [party.user.ok("GET /keys") for party in parties]

    before, told = look(), [len(events_of(party)) for party in parties]
    yield
    assert look() == before
    for party, count in zip(parties, told, strict=True):
        assert [action for action, _ in events_of(party)[count:]] == list(events)


def test_tokens(cluster: Cluster, key: list[Party]) -> None:
    first, other = cluster.vertices[:2]
    url, admin_token, other_admin = first.url, first.admin_token, other.admin_token
    denied = Caller(url, admin_token).ok("GET /audit/events?limit=1000")["results"][-1]["seq"]
    for token in (None, "nonsense", other_admin, admin_token[:-1], "0" * 64):
        for route in ("GET /keys", "GET /ecdsa/create", "GET /admin/create-user", "GET /audit/head", "GET /metrics"):
            answer = Caller(url, token).call(route)
            assert answer.error == (401, "access_denied")
            assert answer.headers["Cache-Control"] == "no-store"
    after = Caller(url, admin_token).ok(f"GET /audit/events?after={denied}")["results"]
    assert after == []


def test_a_users_key_on_admin_routes(key: list[Party]) -> None:
    with no_trace(key[0]):
        for route in ("GET /admin/create-user", "GET /admin/list-all-system-keys", "GET /audit/events"):
            assert key[0].user.call(route).error == (400, "you_have_to_be_admin")


def test_a_foreign_key_is_no_key(cluster: Cluster, key: list[Party]) -> None:
    stranger, _ = new_user(cluster.vertices[0].url, cluster.vertices[0].admin_token)
    mine, elsewhere = key[0], key[1]
    with no_trace(mine):
        for caller, key_id in ((stranger, mine.key_id), (mine.user, elsewhere.key_id), (mine.user, NO_ROOM)):
            body = {"key_id": key_id, "msg": "00", "hash_algo": "sha256", "room_uuid": NO_ROOM}
            unknown = (400, "key_id_not_exists")
            assert caller.call("POST /ecdsa/sign", body).error == unknown
            assert caller.call("POST /ecdsa/derive-pubkey", {"key_id": key_id, "derivation_path": [0]}).error == unknown
            assert caller.call(f"GET /keys/{key_id}").error == unknown
            assert caller.call(f"GET /ecdsa/export-id/{key_id}").error == unknown


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"threshold": 4}, "bad_n_and_t_params"),
        ({"threshold": 1}, "bad_n_and_t_params"),
        ({"num_parties": 2}, "bad_request_params"),
        ({"num_parties": "3"}, "bad_request_params"),
        ({"threshold": 2.0}, "bad_request_params"),
        ({"threshold": None}, "bad_request_params"),
        ({"others_keygen_ids": "all"}, "bad_request_params"),
        ({"others_keygen_ids": {}}, "bad_request_params"),
        ({"key_id": 7}, "bad_request_params"),
        ({"key_id": "\u0000"}, "bad_request_params"),
        ({"room_uuid": "../rooms"}, "bad_request_params"),
        ({"relay_address": "evil.example"}, "bad_request_params"),
    ],
)
def test_key_generations_that_can_not_be(unused: list[Party], changed: dict[str, Any], error: str) -> None:
    with no_trace(unused[0]):
        body = keygen_body(unused[0], unused, 2, room(unused[0], 3)) | changed
        assert unused[0].user.call("POST /ecdsa/keygen", body).error == (400, error)


def test_duplicate_ids(unused: list[Party]) -> None:
    first, second, third = unused
    with no_trace(*unused):
        for ids in ([second.keygen_id] * 2, [second.keygen_id, third.keygen_id, second.keygen_id]):
            body = keygen_body(first, unused, 2, room(first, 3)) | {"others_keygen_ids": ids}
            assert first.user.call("POST /ecdsa/keygen", body).error == REFUSED


@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_room_of_another_size(unused: list[Party], size: int) -> None:
    first = unused[0]
    with no_trace(first, events=("keygen.requested", "keygen.failed")):
        answer = first.user.call("POST /ecdsa/keygen", keygen_body(first, unused, 2, room(first, size)))
        assert answer.error == REFUSED


def test_a_room_that_is_unknown(unused: list[Party]) -> None:
    with no_trace(unused[0], events=("keygen.requested", "keygen.failed")):
        answer = unused[0].user.call("POST /ecdsa/keygen", keygen_body(unused[0], unused, 2, NO_ROOM))
        assert answer.error == REFUSED


def test_a_peer_that_never_comes(parties: list[Party]) -> None:
    first, second, _ = parties
    name = room(first, 3)
    with no_trace(first, second, events=("keygen.requested", "keygen.failed")):
        answers = everywhere(
            [first, second],
            lambda party: party.user.call("POST /ecdsa/keygen", keygen_body(party, parties, 2, name), prefer="wait=2"),
        )
        assert [answer.error for answer in answers] == [TIMED_OUT] * 2
        assert all(name in answer.body["err_msg"] or "refused" in answer.body["err_msg"] for answer in answers)
    # Nothing was changed: in a new room the same keys are made.
    keygen(parties, 2)


def test_a_signer_that_never_comes(key: list[Party]) -> None:
    name = room(key[0], 2)
    with no_trace(key[0], events=("sign.requested", "sign.failed")):
        assert key[0].user.call("POST /ecdsa/sign", sign_body(key[0], name), prefer="wait=1").error == TIMED_OUT
    sign(key[:2])


def test_a_signature_verifies_and_its_room_is_used_up(key: list[Party]) -> None:
    first, second, _ = key
    name = room(first, 2)
    signature, same = everywhere(key[:2], lambda party: party.user.ok("POST /ecdsa/sign", sign_body(party, name)))
    assert signature == same
    digest = Hash(SHA256())
    digest.update(b"abc")
    public = bytes.fromhex(first.key["public_key"])
    verifier = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), public)
    verifier.verify(bytes.fromhex(signature["der"]), digest.finalize(), ec.ECDSA(Prehashed(SHA256())))
    assert signature["v"] in (0, 1, 2, 3)
    for party in key:
        assert party.user.call("POST /ecdsa/sign", sign_body(party, name)).error == REFUSED
    sign([second, key[2]])


def batch_body(party: Party, name: str, *messages: str) -> dict[str, Any]:
    requests = [{"msg": message, "hash_algo": "sha256"} for message in messages]
    return {"key_id": party.key_id, "room_uuid": name, "sign_requests": requests}


def test_a_batch_in_one_room_has_a_result_for_each_request(key: list[Party]) -> None:
    name = room(key[0], 2)
    answers = at_once(
        lambda: key[0].user.ok("POST /ecdsa/batch-sign", batch_body(key[0], name, "00", "01", "02")),
        lambda: key[1].user.ok("POST /ecdsa/batch-sign", batch_body(key[1], name, "00", "ff", "0x02")),
    )
    assert answers[0] == answers[1]
    first, second, third = answers[0]
    assert second["Error"]["err_type"] == "executor_result"
    public = bytes.fromhex(key[0].user.ok(f"GET /keys/{key[0].key_id}")["public_key"])
    verifier = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), public)
    for message, each in ((b"\x00", first), (b"\x02", third)):
        verifier.verify(bytes.fromhex(each["Signature"]["der"]), message, ec.ECDSA(SHA256()))


def test_a_batch_with_rooms_of_its_own_and_single_calls_meet(key: list[Party]) -> None:
    names = [room(key[0], 2) for _ in range(2)]
    requests = [sign_body(key[0], name) for name in names]
    signed, first, second = at_once(
        lambda: key[0].user.ok("POST /ecdsa/batch-sign", {"sign_requests": requests}),
        *(lambda name=name: key[1].user.ok("POST /ecdsa/sign", sign_body(key[1], name)) for name in names),
    )
    assert signed == [{"Signature": first}, {"Signature": second}]


def test_unequal_messages_are_a_named_error(key: list[Party]) -> None:
    name = room(key[0], 2)
    answers = at_once(
        lambda: key[0].user.call("POST /ecdsa/sign", sign_body(key[0], name, msg="00")),
        lambda: key[1].user.call("POST /ecdsa/sign", sign_body(key[1], name, msg="01")),
    )
    assert [answer.error for answer in answers] == [TIMED_OUT] * 2
    sign(key[:2])


def test_one_party_too_few(key: list[Party]) -> None:
    with no_trace(key[0], events=("sign.requested", "sign.failed")):
        assert key[0].user.call("POST /ecdsa/sign", sign_body(key[0], room(key[0], 1))).error == REFUSED


def test_a_key_is_generated_once(key: list[Party]) -> None:
    with no_trace(key[0]):
        answer = key[0].user.call("POST /ecdsa/keygen", keygen_body(key[0], key, 2, room(key[0], 3)))
        assert answer.error == (400, "already_performed_keygen")


def test_an_asynchronous_call_says_where_to_look(key: list[Party]) -> None:
    name = room(key[0], 2)
    begun = key[0].user.call("POST /ecdsa/sign", sign_body(key[0], name), prefer="respond-async")
    assert (begun.status, begun.headers["Location"]) == (202, f"/operations/{begun.body['operation_id']}")
    path = f"GET {begun.headers['Location']}"
    assert key[0].user.ok(path)["state"] == "pending"
    signature = key[1].user.ok("POST /ecdsa/sign", sign_body(key[1], name))
    until(lambda: key[0].user.ok(path)["state"], "done")
    assert key[0].user.ok(path)["result"] == signature
    assert key[1].user.call(path).error == (404, "not_found")
