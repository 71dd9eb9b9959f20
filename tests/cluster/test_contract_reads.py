"""What may be read of a key at running vertices: public keys, ids, receipts, events, the signed head."""

from collections.abc import Callable
from typing import Any

import pytest
from coincurve import PublicKey
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tests.cluster.contract import SCHEMES
from tests.cluster.outside import Party

DERIVE = {
    "ecdsa": "POST /ecdsa/derive-pubkey",
    "ed25519": "POST /ed25519/derive-pubkey",
    "bip340": "POST /bip340/derive-tweak-pubkey",
}
LENGTHS = {"ecdsa": 33, "ed25519": 32, "bip340": 32}  # bytes of a public key as it is shown


def shown(answer: dict[str, str]) -> str:
    """A derived key as `GET /keys` shows one."""
    return answer.get("pubkey") or answer["compressed"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_party_derives_the_same(key_of: Callable[[str], list[Party]], scheme: str) -> None:
    parties = key_of(scheme)

    def derived(party: Party, path: Any, **more: Any) -> str:
        return shown(party.user.ok(DERIVE[scheme], {"key_id": party.key_id, "derivation_path": path, **more}))

    public = parties[0].key["public_key"]
    assert len(public) == 2 * LENGTHS[scheme]
    assert {derived(party, []) for party in parties} == {public}
    children = {derived(party, [44, 60, 0, 0, 7]) for party in parties}
    assert len(children) == 1
    assert children != {public}
    assert {derived(parties[0], spelt) for spelt in ("m/44/60/0/0/7", ["44", "60", "0", "0", "7"])} == children
    for wrong in ([2**31], ["0'"], "0/1", [-1], [1.0], [0] * 17, None, "m/x"):
        body = {"key_id": parties[0].key_id, "derivation_path": wrong}
        assert parties[0].user.refused(DERIVE[scheme], body) == "bad_request_params"


def test_both_forms_of_an_ecdsa_key_are_one_point(key: list[Party]) -> None:
    body = {"key_id": key[0].key_id, "derivation_path": [1]}
    answer = key[0].user.ok(DERIVE["ecdsa"], body)
    assert PublicKey(bytes.fromhex(answer["uncompressed"])).format().hex() == answer["compressed"]


def test_a_tweak_makes_an_output_key(key_of: Callable[[str], list[Party]]) -> None:
    first = key_of("bip340")[0]
    body = {"key_id": first.key_id, "derivation_path": [0]}
    keys = {shown(first.user.ok(DERIVE["bip340"], body | more)) for more in ({}, {"tweak": ""}, {"tweak": "11" * 32})}
    assert len(keys) == 3
    for wrong in ("11" * 31, "zz", 7):
        assert first.user.refused(DERIVE["bip340"], body | {"tweak": wrong}) == "bad_request_params"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_export_id_is_the_keygen_id(key_of: Callable[[str], list[Party]], scheme: str) -> None:
    for party in key_of(scheme):
        for path in ("export-id", "export/exportId"):
            assert party.user.ok(f"GET /{scheme}/{path}/{party.key_id}") == {"export_id": party.keygen_id}
    other = SCHEMES[SCHEMES.index(scheme) - 1]
    assert party.user.refused(f"GET /{other}/export-id/{party.key_id}") == "key_id_not_exists"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_before_its_generation_a_key_does_nothing(unused: list[Party], scheme: str) -> None:
    user, room_uuid = unused[0].user, unused[0].key_id
    created = user.ok(f"GET /{scheme}/create", idempotency_key=f"before {scheme}")
    key_id = created["key_id"]
    hashed = {"hash_algo": "sha256"} if scheme == "ecdsa" else {}
    before = "key_operation_before_keygen"
    assert (
        user.refused(f"POST /{scheme}/sign", {"key_id": key_id, "msg": "00", "room_uuid": room_uuid, **hashed})
        == before
    )
    assert user.refused(DERIVE[scheme], {"key_id": key_id, "derivation_path": []}) == before
    assert user.refused(f"POST /{scheme}/refresh", {"key_id": key_id, "room_uuid": room_uuid}) == before
    assert user.ok(f"GET /{scheme}/export-id/{key_id}") == {"export_id": created["keygen_id"]}


def test_a_key_tells_its_quorum_and_no_secret(key: list[Party]) -> None:
    told = [party.key for party in key]
    assert {(each["state"], each["threshold"], each["num_parties"], each["scheme"]) for each in told} == {
        ("active", 2, 3, "ecdsa")
    }
    assert all(set(each["parties"]) == {party.keygen_id for party in key} for each in told)
    assert not {name for each in told for name in each if "secret" in name or "sealed" in name}
    [line] = [line for line in key[0].user.ok("GET /keys")["results"] if line["key_id"] == key[0].key_id]
    assert line.items() <= told[0].items()
    page = key[0].admin.ok("GET /keys?limit=1")
    assert page["next"].startswith("/keys?")
    assert key[0].admin.ok(f"GET {page['next']}")["results"][0]["key_id"] != page["results"][0]["key_id"]


def test_receipts_of_a_generation_may_be_carried(key: list[Party]) -> None:
    held = key[0].user.ok(f"GET /keys/{key[0].key_id}/receipts")
    assert len(held["receipts"]) == 3
    assert key[1].user.ok(f"POST /keys/{key[1].key_id}/receipts", held) == {"new": 0}
    wrong = {"receipts": [held["receipts"][0][:-2]]}
    assert key[1].user.refused(f"POST /keys/{key[1].key_id}/receipts", wrong) == "bad_receipt"
    # A key that was not generated has no receipts.
    created = key[0].user.ok("GET /ecdsa/create", idempotency_key="no receipts")
    assert key[0].user.refused(f"POST /keys/{created['key_id']}/receipts", held) == "key_operation_before_keygen"


def test_the_log_can_be_read_page_by_page_and_its_head_is_signed(key: list[Party]) -> None:
    admin = key[0].admin
    first = admin.ok("GET /audit/events?limit=2")
    second = admin.ok(f"GET {first['next']}")
    assert [event["seq"] for event in first["results"]] == [1, 2]
    assert second["results"][0]["previous"] == first["results"][-1]["hash"]
    for query in ("limit=0", "limit=1001", "after=-1", "after=x"):
        assert admin.refused(f"GET /audit/events?{query}") == "bad_request_params"

    head = admin.ok("GET /audit/head")
    pem = admin.ok("GET /identity-pubkey")
    signer = load_pem_public_key(pem.encode())
    assert isinstance(signer, ec.EllipticCurvePublicKey)
    signer.verify(bytes.fromhex(head["signature"]), head["statement"].encode(), ec.ECDSA(SHA256()))
