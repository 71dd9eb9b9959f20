"""Every field of every body, with what does not belong there: the contract's error, and nothing left behind."""

import hashlib
import os
from typing import Any

import pytest

from keys import signing
from keys.models import KeyShare, PartyIdentity
from keys.views import protocols, rooms
from mpc.identity import encode_keygen_id
from tests.api import Api, error_of, footprint

REFUSED = (400, "bad_request_params")
UUID = "3b7c2a52-0d5c-4b5e-9a3c-6c8f5d1c2e11"
IDS = [encode_keygen_id(bytes([n] * 32)) for n in (1, 2, 3)]
DEEP: Any = []
for _ in range(200):
    DEEP = [DEEP]

VALID: dict[str, dict[str, Any]] = {
    "POST /ecdsa/keygen": {
        "key_id": UUID,
        "num_parties": 3,
        "threshold": 2,
        "others_keygen_ids": IDS[:2],
        "room_uuid": UUID,
        "relay_address": None,
    },
    "POST /ecdsa/sign": {
        "key_id": UUID,
        "msg": "00ff",
        "hash_algo": "sha256",
        "room_uuid": UUID,
        "derivation_path": [0, 1],
        "extra_data": "00",
        "relay_address": None,
    },
    "POST /ed25519/sign": {
        "key_id": UUID,
        "msg": "00ff",
        "room_uuid": UUID,
        "derivation_path": [0, 1],
        "extra_data": "00",
        "relay_address": None,
    },
    "POST /bip340/sign": {
        "key_id": UUID,
        "msg": "00ff",
        "room_uuid": UUID,
        "derivation_path": [0, 1],
        "extra_data": "00",
        "relay_address": None,
        "tweak": "ab" * 32,
    },
    "POST /ecdsa/derive-pubkey": {"key_id": UUID, "derivation_path": [0, 1]},
    "POST /ed25519/derive-pubkey": {"key_id": UUID, "derivation_path": [0, 1]},
    "POST /bip340/derive-tweak-pubkey": {"key_id": UUID, "derivation_path": [0, 1], "tweak": "ab" * 32},
    "POST /create-room": {"room_size": 3},
}
ANYWHERE: list[Any] = [
    True,
    1.5,
    {},
    {"a": 1},
    [None],
    [[]],
    DEEP,
    "\x00",
    "💥",
    "x" * 5000,
    -1,
    2**31,
    2**63,
    2**64,
    10**100,
]
TEXT: list[Any] = [*ANYWHERE, 0, 1, "", " ", []]
NUMBER: list[Any] = [*ANYWHERE, "3", "", 3.0, [], 1e300]
NOT_UUID: list[Any] = [*TEXT, "x", UUID[:-1], UUID + "0", int(UUID.replace("-", ""), 16), f"{{{UUID}}}x"]
NOT_HEX: list[Any] = [*[value for value in TEXT if value not in ("",)], "0", "0x0", "xyz1", "00 ff", "0x 00", "００"]
NOT_PATH: list[Any] = [
    *[value for value in ANYWHERE if value not in (1,)],
    0,
    "",
    "0/1",
    "m/",
    "m//1",
    "m/0'",
    "m/-1",
    [2**31],
    [-1],
    [1.0],
    [True],
    ["x"],
    ["0'"],
    [""],
    ["1", None],
    [10**40],
    [0] * 17,
    "m" + "/0" * 17,
]
NOT_IDS: list[Any] = [
    *ANYWHERE,
    [],
    "",
    IDS[0],
    [1],
    [None],
    [[IDS[0]]],
    {"0": IDS[0]},
    [IDS[0], IDS[0]],
    IDS[:1] * 100,
]
BAD: dict[str, list[Any]] = {
    "key_id": [*NOT_UUID, None],
    "room_uuid": [*NOT_UUID, None],
    "num_parties": [*[v for v in NUMBER if type(v) is not int], None],
    "threshold": [*[v for v in NUMBER if type(v) is not int], None],
    "others_keygen_ids": [*NOT_IDS, None],
    "relay_address": [value for value in TEXT if not isinstance(value, str) or len(value) > 200 or not value.strip()],
    "msg": [*NOT_HEX, None],
    "hash_algo": [*TEXT, None, "md5", "sha256 ", "SHA-256"],
    "derivation_path": NOT_PATH,
    "extra_data": NOT_HEX,
    "tweak": [*NOT_HEX, "00", "ab" * 31, "ab" * 33],
    "room_size": [*NUMBER, None, 0, 65],
}
OPTIONAL = {"relay_address", "extra_data", "tweak"}


def wrong_bodies(route: str, field: str) -> list[dict[str, Any]]:
    body = VALID[route]
    wrong = [{**body, field: value} for value in BAD[field]]
    if field not in OPTIONAL and not (route.endswith("/sign") and field == "derivation_path"):
        wrong.append({name: value for name, value in body.items() if name != field})
    return wrong


@pytest.mark.parametrize(("route", "field"), [(route, field) for route, body in VALID.items() for field in body])
def test_fields_that_are_not_what_they_should_be(
    alice: Api, monkeypatch: pytest.MonkeyPatch, route: str, field: str
) -> None:
    def reached(*args: Any, **named: Any) -> None:
        raise AssertionError(f"went on with {args} {named}")

    for module, name in ((protocols, "keygen_request"), (protocols, "sign_request"), (rooms, "relay")):
        monkeypatch.setattr(module, name, reached)
    before = footprint()
    for body in wrong_bodies(route, field):
        assert error_of(alice.call(route, body)) == REFUSED, body
    assert footprint() == before


def taken(alice: Api, monkeypatch: pytest.MonkeyPatch, route: str, body: dict[str, Any]) -> dict[str, Any]:
    """What the service is given when the body is right."""
    given: list[dict[str, Any]] = []

    def service(**named: Any) -> None:
        given.append(named)

    for name in ("keygen_request", "sign_request"):
        monkeypatch.setattr(protocols, name, service)
    assert alice.call(route, body, prefer="respond-async").status_code == 202
    return given[0]


def signed(monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]) -> dict[str, Any]:
    """What a worker is told to sign."""
    monkeypatch.setattr(signing, "policy_check", lambda **asked: None)
    key = KeyShare(scheme=given["scheme"], state="active")
    return signing.check_request(key=key, fields=given["fields"]).params


@pytest.mark.parametrize(
    ("changed", "digest"),
    [
        ({}, "06eb7d6a69ee19e5fbdf749018d3d2abfa04bcbd1365db312eb86dc7169389b8"),
        ({"msg": "0x00FF"}, "06eb7d6a69ee19e5fbdf749018d3d2abfa04bcbd1365db312eb86dc7169389b8"),
        ({"hash_algo": "SHA256"}, "06eb7d6a69ee19e5fbdf749018d3d2abfa04bcbd1365db312eb86dc7169389b8"),
        ({"hash_algo": "Keccak256", "msg": ""}, "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        ({"hash_algo": "none", "msg": "ab" * 32}, "ab" * 32),
    ],
)
def test_what_is_signed(alice: Api, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], digest: str) -> None:
    given = taken(alice, monkeypatch, "POST /ecdsa/sign", VALID["POST /ecdsa/sign"] | changed)
    assert signed(monkeypatch, given) == {"digest": digest, "path": [0, 1]}
    fields = given["fields"]
    assert (str(fields["room_uuid"]), fields["relay_address"], given["scheme"]) == (UUID, None, "ecdsa")
    assert given["user"] == alice.user


@pytest.mark.parametrize(
    ("scheme", "changed", "what"),
    [
        ("ed25519", {}, {"message": "00ff"}),
        ("ed25519", {"msg": ""}, {"message": ""}),
        ("ed25519", {"msg": "0x" + "ab" * 65_536}, {"message": "ab" * 65_536}),
        ("bip340", {}, {"message": "00ff", "tweak": "ab" * 32}),
        ("bip340", {"tweak": "0x"}, {"message": "00ff", "tweak": ""}),
        ("bip340", {"tweak": None, "derivation_path": None}, {"message": "00ff", "path": []}),
    ],
)
def test_what_is_signed_without_a_hash(
    alice: Api, monkeypatch: pytest.MonkeyPatch, scheme: str, changed: dict[str, Any], what: dict[str, Any]
) -> None:
    route = f"POST /{scheme}/sign"
    given = taken(alice, monkeypatch, route, VALID[route] | changed)
    told = signed(monkeypatch, given)
    digest = hashlib.sha256(bytes.fromhex(what["message"])).hexdigest()
    assert told == {"path": [0, 1], "tweak": None, "digest": digest} | what
    fields = given["fields"]
    assert (given["scheme"], given["user"]) == (scheme, alice.user)
    assert (str(fields["room_uuid"]), fields["relay_address"]) == (UUID, None)


@pytest.mark.parametrize("scheme", ["ed25519", "bip340"])
def test_a_message_has_a_limit(alice: Api, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    body = VALID[f"POST /{scheme}/sign"] | {"msg": "ab" * 65_537}
    assert error_of(alice.call(f"POST /{scheme}/sign", body)) == REFUSED


@pytest.mark.parametrize("name", ["others_keygen_ids", "keygen_ids"])
def test_id_lists_go_by_either_name(alice: Api, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    body = VALID["POST /ecdsa/keygen"].copy()
    ids = body.pop("others_keygen_ids")
    given = taken(alice, monkeypatch, "POST /ecdsa/keygen", {**body, name: ids, "room_uuid": UUID.upper()})
    assert (given["others"], given["num_parties"], given["threshold"], given["room_uuid"]) == (ids, 3, 2, UUID)
    both = {**body, "others_keygen_ids": ids, "keygen_ids": ids}
    assert error_of(alice.call("POST /ecdsa/keygen", both)) == REFUSED


@pytest.fixture
def key(alice: Api) -> KeyShare:
    identity = PartyIdentity.objects.create(public=os.urandom(32))
    return KeyShare.objects.create(user=alice.user, identity=identity, scheme="ecdsa")


N_AND_T = (400, "bad_n_and_t_params")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"threshold": 4}, N_AND_T),
        ({"threshold": 1}, N_AND_T),
        ({"threshold": 0}, N_AND_T),
        ({"threshold": -1}, N_AND_T),
        ({"num_parties": 1, "threshold": 1}, N_AND_T),
        ({"num_parties": 33}, N_AND_T),
        ({"num_parties": 2**70}, N_AND_T),
        ({"num_parties": 2}, REFUSED),
        ({"num_parties": 4}, REFUSED),
        ({"others_keygen_ids": [IDS[0], IDS[1][:-1] + ("0" if IDS[1][-1] != "0" else "1")]}, REFUSED),
        ({"others_keygen_ids": [IDS[0], IDS[1].upper()]}, REFUSED),
        ({"others_keygen_ids": [IDS[0], "vtx2" + IDS[1][4:]]}, REFUSED),
        ({"relay_address": "evil.example"}, REFUSED),
        ({"relay_address": "127.0.0.1:8900/path"}, REFUSED),
        ({"relay_address": "file:///etc/passwd"}, REFUSED),
        ({"relay_address": "http://user@127.0.0.1:8900"}, REFUSED),
        ({"relay_address": "http://[::1"}, REFUSED),
        ({"key_id": UUID}, (400, "key_id_not_exists")),
    ],
)
def test_key_generations_that_can_not_be(alice: Api, key: KeyShare, changed: dict[str, Any], error: Any) -> None:
    before = footprint()
    body = VALID["POST /ecdsa/keygen"] | {"key_id": str(key.id)} | changed
    assert error_of(alice.call("POST /ecdsa/keygen", body)) == error
    assert footprint() == before


def test_calls_that_a_share_answers_by_its_state(alice: Api, bob: Api, key: KeyShare) -> None:
    sign = VALID["POST /ecdsa/sign"] | {"key_id": str(key.id)}
    keygen = VALID["POST /ecdsa/keygen"] | {"key_id": str(key.id)}
    before = footprint()
    assert error_of(alice.call("POST /ecdsa/sign", sign)) == (400, "key_operation_before_keygen")
    for route, body in (("POST /ecdsa/sign", sign), ("POST /ecdsa/keygen", keygen)):
        assert error_of(bob.call(route, body)) == (400, "key_id_not_exists")
    KeyShare.objects.filter(id=key.id).update(state="erased")
    assert error_of(alice.call("POST /ecdsa/sign", sign)) == (400, "share_erased")
    assert error_of(alice.call("POST /ecdsa/keygen", keygen)) == (400, "already_performed_keygen")
    assert footprint() == before
