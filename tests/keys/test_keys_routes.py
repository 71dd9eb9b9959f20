"""Reads of keys over REST: metadata, pages, export ids, derived public keys, rooms, the event log."""

import os
from collections.abc import Callable
from typing import Any

import pytest
from coincurve import PublicKey
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from keys.heads import head_task
from keys.models import Approval, KeyShare, Operation, PartyIdentity, Rule, Scheme
from keys.node import ensure_node
from keys.views import rooms
from mpc.derive import offset
from mpc.ed25519 import ED25519
from mpc.identity import encode_keygen_id
from relay.client import RelayRefused, RelayUnavailable
from reshare.models import Reshare
from tests.api import Api, error_of
from tests.mpc.vectors import load

NO_KEY = (400, "key_id_not_exists")
# BIP32, test vector 1: m/0' and its public child m/0'/1.
PUBLIC = "035a784662a4a20a65bf6aab9ae98a6c068a81c52e4b032c0fb5400c706cfccc56"
CHAIN = "47fdacbd0f1097043b78c63c20c34ef4ed9a111d980047ad16282c7ae6236141"
CHILD = "03501e454bf00751f24b1b489aa925215d66af2234e3891c3b21a52bedb3cd711c"


def make(api: Api, **fields: Any) -> KeyShare:
    identity = PartyIdentity.objects.create(public=os.urandom(32))
    return KeyShare.objects.create(user=api.user, identity=identity, **{"scheme": "ecdsa", **fields})


def make_active(api: Api, **fields: Any) -> KeyShare:
    parties = [bytes([n] * 32).hex() for n in range(3)]
    material = {"gid": os.urandom(32), "sealed_share": b"s", "data_key": "k", "threshold": 2, "parties": parties}
    public = {"public_key": bytes.fromhex(PUBLIC), "chain_code": bytes.fromhex(CHAIN)}
    return make(api, **{"state": "active", **material, **public, **fields})


def test_metadata(alice: Api, admin: Api) -> None:
    old = make_active(alice)
    key = make_active(alice, state="quarantined", predecessor=old, generation=2)
    told = alice.call(f"GET /keys/{key.id}").json()
    assert told == admin.call(f"GET /keys/{key.id}/").json()
    assert (told["state"], told["scheme"], told["generation"]) == ("quarantined", "ecdsa", 2)
    assert (told["threshold"], told["num_parties"], told["public_key"]) == (2, 3, PUBLIC)
    assert told["parties"] == [encode_keygen_id(bytes([n] * 32)) for n in range(3)]
    assert (told["gid"], told["keygen_id"]) == (key.gid.hex(), encode_keygen_id(key.identity.public))  # type: ignore[union-attr]
    assert told["old_key_id"] == str(old.id)
    assert alice.call(f"GET /keys/{old.id}").json()["new_key_ids"] == [str(key.id)]
    assert not {"sealed_share", "data_key", "chain_code"} & told.keys()


@pytest.mark.parametrize("group", [None, "viewer", "operator", "approver", "auditor"])
def test_an_operator_sees_keys_and_calls_once_in_a_group(
    alice: Api, new_operator: Callable[..., Any], group: str | None
) -> None:
    """Of none, it sees nothing: neither here nor in the console."""
    key = make_active(alice)
    user: Any = alice.user
    rule = Rule.objects.create(name="r", kind="approval", parameters={})
    Approval.objects.create(rule=rule, share=key, user=user, action="sign", request={}, digest=b"\1" * 32)
    Operation.objects.create(user=user, caller="user:a", action="ecdsa.sign", deadline=key.created_at)
    Reshare.objects.create(
        user=user, identity=key.identity, old_share=key, role="existing", scheme="ecdsa", new_threshold=2
    )
    _, operator = new_operator("otto", *([group] if group else []))
    lists = ("keys", "approvals", "operations", "reshares")
    seen = [len(operator.call(f"GET /{name}").json()["results"]) for name in lists]
    assert seen == [1 if group else 0] * len(lists)
    about = operator.call(f"GET /keys/{key.id}")
    evaluated = operator.call("POST /policies/evaluate", {"key_id": str(key.id), "action": "delete"})
    receipts = operator.call(f"GET /keys/{key.id}/receipts")
    if group:
        assert [each.status_code for each in (about, evaluated, receipts)] == [200] * 3
    else:
        assert [error_of(each) for each in (about, evaluated, receipts)] == [NO_KEY] * 3


def test_a_key_that_was_only_created(alice: Api) -> None:
    told = alice.call(f"GET /keys/{make(alice).id}").json()
    assert (told["state"], told["public_key"], told["num_parties"], told["parties"]) == ("created", None, None, [])


def test_pages(alice: Api, bob: Api, admin: Api) -> None:
    mine = [str(make(alice).id) for _ in range(5)]
    make(bob)
    seen: list[str] = []
    path = "/keys?limit=2"
    while path:
        page = alice.call(f"GET {path}").json()
        assert len(page["results"]) <= 2
        seen += [key["key_id"] for key in page["results"]]
        path = page["next"]
    assert seen == mine
    assert len(admin.call("GET /keys").json()["results"]) == 6
    theirs = str(KeyShare.objects.get(user=bob.user).id)
    for query in ("limit=0", "limit=1001", "limit=x", "limit=", "after=x", f"after={theirs}", "after=%00"):
        assert error_of(alice.call(f"GET /keys?{query}")) == (400, "bad_request_params"), query


def test_a_list_takes_two_queries(alice: Api, django_assert_num_queries: Any) -> None:
    """Who calls, and the page, however long: its identities, successors and policies come with it."""
    alice.call("GET /keys")  # its key's use is written once a minute
    for count in (1, 20):
        for _ in range(count):
            old = make_active(alice)
            KeyShare.objects.filter(id=make(alice).id).update(predecessor=old)
        with django_assert_num_queries(2):
            alice.call("GET /keys")
    after = KeyShare.objects.order_by("created_at", "id")[3].id
    with django_assert_num_queries(3):  # where the page begins
        page = alice.call(f"GET /keys?limit=10&after={after}").json()
    assert len(page["results"]) == 10


def test_metadata_of_a_lineage(alice: Api) -> None:
    old, newer = make_active(alice), [make(alice) for _ in range(2)]
    KeyShare.objects.filter(id__in=[key.id for key in newer]).update(predecessor=old)
    found = {key["key_id"]: key for key in alice.call("GET /keys").json()["results"]}
    told = alice.call(f"GET /keys/{old.id}").json()
    assert told.pop("bans")["parties"] == []
    assert told.pop("restored") is None
    assert found[str(old.id)] == told
    assert found[str(old.id)]["new_key_ids"] == [str(key.id) for key in newer]
    assert {found[str(key.id)]["old_key_id"] for key in newer} == {str(old.id)}


def test_unknown_and_foreign_keys_answer_alike(alice: Api, bob: Api) -> None:
    foreign = make_active(bob)
    other_scheme = make_active(alice, scheme=Scheme.ED25519)
    for key_id in (foreign.id, "00000000-0000-4000-8000-000000000000", "x", "1", "%00", "a" * 500, "%F0%9F%94%91"):
        for route in ("/keys", "/ecdsa/export-id", "/ecdsa/export/exportId"):
            assert error_of(alice.call(f"GET {route}/{key_id}")) == NO_KEY, (route, key_id)
    assert error_of(alice.call(f"GET /ecdsa/export-id/{other_scheme.id}")) == NO_KEY
    for key_id in (foreign.id, other_scheme.id):
        body = {"key_id": str(key_id), "derivation_path": [0]}
        assert error_of(alice.call("POST /ecdsa/derive-pubkey", body)) == NO_KEY


def test_export_id(alice: Api) -> None:
    key = make(alice)
    answer = {"export_id": encode_keygen_id(key.identity.public)}
    assert alice.call(f"GET /ecdsa/export-id/{key.id}").json() == answer
    assert alice.call(f"GET /ecdsa/export/exportId/{key.id}/").json() == answer


@pytest.mark.parametrize(
    ("path", "child"),
    [([], PUBLIC), ([1], CHILD), (["1"], CHILD), ("m/1", CHILD)],
)
def test_derived_public_keys(alice: Api, path: Any, child: str) -> None:
    key = make_active(alice)
    told = alice.call("POST /ecdsa/derive-pubkey", {"key_id": str(key.id), "derivation_path": path}).json()
    assert told["compressed"] == child
    assert told["uncompressed"] == PublicKey(bytes.fromhex(child)).format(compressed=False).hex()


ED_PUBLIC = ED25519.generator.to_bytes()


@pytest.mark.parametrize(("path", "own"), [([], True), ([1], False), ("m/1", False)])
def test_derived_public_keys_of_ed25519(alice: Api, path: Any, own: bool) -> None:
    key = make_active(alice, scheme="ed25519", public_key=ED_PUBLIC)
    told = alice.call("POST /ed25519/derive-pubkey", {"key_id": str(key.id), "derivation_path": path}).json()
    _, child = offset(ED_PUBLIC, bytes.fromhex(CHAIN), () if own else (1,), ED25519)
    assert told == {"pubkey": child.hex()}
    assert (child == ED_PUBLIC) == own


@pytest.mark.parametrize("vector", load("bip341")["vectors"], ids=lambda vector: vector["root"][:8])
@pytest.mark.parametrize("prefix", ["02", "03"])
def test_derived_public_keys_of_bip340(alice: Api, prefix: str, vector: dict[str, str]) -> None:
    """Without a path: BIP341's vectors, whatever the parity of the shared key."""
    key = make_active(alice, scheme="bip340", public_key=bytes.fromhex(prefix + vector["internal_key"]))
    body = {"key_id": str(key.id), "derivation_path": []}
    answers = [
        alice.call("POST /bip340/derive-tweak-pubkey", body | more).json()
        for more in ({}, {"tweak": None}, {"tweak": vector["root"]})
    ]
    assert answers == [{"pubkey": vector[name]} for name in ("internal_key", "internal_key", "output_key")]
    assert alice.call(f"GET /keys/{key.id}").json()["public_key"] == vector["internal_key"]


def test_derived_public_keys_of_bip340_are_bip32s(alice: Api) -> None:
    key = make_active(alice, scheme="bip340")
    body = {"key_id": str(key.id), "derivation_path": [1]}
    assert alice.call("POST /bip340/derive-tweak-pubkey", body).json() == {"pubkey": CHILD[2:]}


def test_nothing_is_derived_from_a_key_without_a_public_key(alice: Api) -> None:
    body = {"key_id": str(make(alice).id), "derivation_path": [0]}
    assert error_of(alice.call("POST /ecdsa/derive-pubkey", body)) == (400, "key_operation_before_keygen")


@pytest.mark.parametrize("failure", [RelayUnavailable("down"), RelayRefused("too_many_requests", "no")], ids=repr)
def test_a_relay_that_makes_no_room(alice: Api, monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    class FakeRelay:
        def put_room(self, room: str, *, room_size: int) -> None:
            raise failure

    monkeypatch.setattr(rooms, "relay", lambda url: FakeRelay())
    assert error_of(alice.call("POST /create-room", {"room_size": 2})) == (400, "room_creation_problem")


def test_the_event_log_in_pages(admin: Api, alice: Api, bob: Api) -> None:
    first = admin.call("GET /audit/events?limit=1").json()
    second = admin.call(f"GET {first['next']}").json()
    [one], [two] = first["results"], second["results"]
    assert (one["seq"], two["seq"], two["previous"], second["next"]) == (1, 2, one["hash"], None)
    assert (one["action"], one["actor"], one["subject"]) == ("user.created", "admin", str(alice.user.id))  # type: ignore[union-attr]
    found = admin.call(f"GET /audit/events?subject={bob.user.id}&action=user.created").json()["results"]  # type: ignore[union-attr]
    assert [event["seq"] for event in found] == [2]
    for query in (
        "after=-1",
        "after=x",
        f"after={2**63}",
        "limit=0",
        "limit=1001",
        f"action={'x' * 65}",
        "subject=%00",
    ):
        assert error_of(admin.call(f"GET /audit/events?{query}")) == (400, "bad_request_params"), query


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("worker")
def test_the_signed_head(admin: Api, alice: Api, nobody: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert error_of(nobody.call("GET /identity-pubkey")) == (503, "not_ready")
    ensure_node()  # as a worker does when it starts
    monkeypatch.setattr(head_task, "apply_async", lambda args, queue: head_task(*args))
    head = admin.call("GET /audit/head").json()
    [*_, last] = admin.call("GET /audit/events").json()["results"]
    assert (head["seq"], head["hash"]) == (last["seq"], last["hash"])
    assert admin.call("GET /audit/head").json() == head
    pem = nobody.call("GET /identity-pubkey")
    assert pem["Content-Type"] == "application/x-pem-file"
    key = load_pem_public_key(pem.content)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(bytes.fromhex(head["signature"]), head["statement"].encode(), ec.ECDSA(SHA256()))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_receipts_of_a_keygen_are_the_users_own(alice: Api, bob: Api, method: str) -> None:
    key = make(alice)
    body = {"receipts": []} if method == "POST" else None
    assert error_of(bob.call(f"{method} /keys/{key.id}/receipts", body)) == NO_KEY
    if method == "GET":
        assert alice.call(f"GET /keys/{key.id}/receipts").json() == {"receipts": [], "preimage": None}
    else:
        refused = alice.call(f"POST /keys/{key.id}/receipts", body)
        assert error_of(refused) == (400, "key_operation_before_keygen")
        for nonsense in ({}, {"receipts": "00"}, {"receipts": ["zz"]}, {"receipts": [], "preimage": 7}):
            assert error_of(alice.call(f"POST /keys/{key.id}/receipts", nonsense)) == (400, "bad_request_params")


def test_a_key_that_was_only_created_is_deleted(alice: Api, bob: Api, admin: Api) -> None:
    key = make(alice)
    path = f"DELETE /ecdsa/delete-key-share/{key.id}"
    assert error_of(bob.call(path)) == NO_KEY
    assert error_of(admin.call(path)) == (400, "bad_request_params")
    for _ in range(2):
        answer = alice.call(path)
        assert (answer.status_code, answer.json()) == (200, {})
    assert alice.call(f"GET /keys/{key.id}").json()["state"] == "discarded"
    assert error_of(alice.call("DELETE /ecdsa/delete-key-share/x")) == NO_KEY
