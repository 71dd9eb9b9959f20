"""Software written for Sodot's MPC Vertex, as its public clients and documentation call it, runs here unchanged.

What such clients do: the raw token; `GET` that creates, some with a `Content-Type` and no body; ids of the others only;
the default relay by its name, or none; a sign room for all `n` or for any `t`; `SHA256` as well as `sha256`; empty
`extra_data`; fields of a query that mean nothing here. docs/compatibility.md says what they see that is new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from coincurve import PublicKey, PublicKeyXOnly
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cluster.cluster import Cluster
from tests.cluster.contract import SCHEMES
from tests.cluster.outside import Caller, Party, everywhere, new_user, until

JSON = {"content_type": "application/json"}
NO_ROOM = "3b7c2a52-0d5c-4b5e-9a3c-6c8f5d1c2e11"
PATH = [44, 60, 0, 0, 0]
MESSAGE = hashlib.sha256(b"a transaction").hexdigest()


@dataclass(frozen=True)
class Client:
    """One vertex as a client of Sodot's keeps it: URL, token, and the id of its share."""

    vertex: Caller
    scheme: str
    key_id: str
    keygen_id: str

    def post(self, what: str, body: dict[str, Any]) -> Any:
        return self.vertex.ok(f"POST /{self.scheme}/{what}?vertex=1", body)


def created(vertex: Caller, scheme: str) -> Client:
    made = vertex.ok(f"GET /{scheme}/create?vertex=1", b"", **JSON)
    assert set(made) == {"key_id", "keygen_id"}
    return Client(vertex, scheme, **made)


def create_room(client: Client, size: int) -> str:
    made = client.vertex.ok("POST /create-room?vertex=1", {"room_size": size})
    assert set(made) == {"room_uuid"}
    return str(made["room_uuid"])


def clients_at(cluster: Cluster, names: str, scheme: str) -> list[Client]:
    vertices = [cluster.vertex(name) for name in names]
    return [created(new_user(vertex.url, vertex.admin_token)[0], scheme) for vertex in vertices]


def keygen(clients: list[Client], threshold: int, **more: Any) -> None:
    """Each names the others only."""
    name = create_room(clients[0], len(clients))
    bodies = [
        {
            "room_uuid": name,
            "key_id": client.key_id,
            "num_parties": len(clients),
            "threshold": threshold,
            "others_keygen_ids": [other.keygen_id for other in clients if other is not client],
            **more,
        }
        for client in clients
    ]
    calls = list(zip(clients, bodies, strict=True))
    assert everywhere(calls, lambda call: call[0].post("keygen", call[1])) == [{}] * len(clients)


def sign_body(client: Client, room_uuid: str) -> dict[str, Any]:
    hashed = {"hash_algo": "none"} if client.scheme == "ecdsa" else {}
    return {"room_uuid": room_uuid, "key_id": client.key_id, "msg": MESSAGE, **hashed}


def sign(clients: list[Client], msg: str = MESSAGE, **more: Any) -> Any:
    """Any number of signers from `t` to `n`, in a room of just so many."""
    name = create_room(clients[0], len(clients))
    fields = {"msg": msg, "derivation_path": PATH, **more}
    answers = everywhere(clients, lambda client: client.post("sign", sign_body(client, name) | fields))
    assert all(answer == answers[0] for answer in answers)
    return answers[0]


def public_key(client: Client) -> str:
    """At the clients' path, as each scheme's route names it."""
    what = "derive-tweak-pubkey" if client.scheme == "bip340" else "derive-pubkey"
    told = client.post(what, {"key_id": client.key_id, "derivation_path": PATH})
    assert set(told) == ({"compressed", "uncompressed"} if client.scheme == "ecdsa" else {"pubkey"})
    return str(told["pubkey"] if "pubkey" in told else told["compressed"])


def verify(scheme: str, public: str, signature: Any, digest: bytes = bytes.fromhex(MESSAGE)) -> None:
    """By other libraries; raises or fails where it does not verify."""
    key = bytes.fromhex(public)
    if scheme == "ecdsa":
        assert set(signature) == {"r", "s", "v", "der"}
        assert type(signature["v"]) is int
        compact = bytes.fromhex(signature["r"] + signature["s"]) + bytes([signature["v"]])
        assert PublicKey.from_signature_and_message(compact, digest, hasher=None).format() == key
        assert PublicKey(key).verify(bytes.fromhex(signature["der"]), digest, hasher=None), "s is low"
        return
    assert set(signature) == {"signature"}
    raw = bytes.fromhex(signature["signature"])
    if scheme == "ed25519":
        Ed25519PublicKey.from_public_bytes(key).verify(raw, digest)
    else:
        assert PublicKeyXOnly(key).verify(raw, digest)


def deleted(client: Client) -> tuple[int, str]:
    """Status and error of the DELETE that ends a share, as clients send it."""
    answer = client.vertex.call(f"DELETE /{client.scheme}/delete-key-share/{client.key_id}", b"", **JSON)
    if answer.status == 200:
        assert answer.body == {}
        return 200, ""
    return answer.error


def until_deleted(clients: list[Client]) -> None:
    for client in clients:
        until(lambda client=client: deleted(client), (200, ""))
        assert deleted(client) == (200, ""), "and the same answer again"


def until_active(clients: list[Client]) -> None:
    """The one new thing: a client that signs with a new share before the old ones are gone is asked to wait for it."""
    for client in clients:
        until(lambda client=client: asked_to_wait(client), False)


def asked_to_wait(client: Client) -> bool:
    answer = client.vertex.call(f"POST /{client.scheme}/sign", sign_body(client, NO_ROOM))
    assert answer.error in {(400, "reshare_not_complete"), (400, "bad_request_params")}
    return answer.error == (400, "reshare_not_complete")


def refresh(clients: list[Client]) -> list[Client]:
    name = create_room(clients[0], len(clients))
    told = everywhere(clients, lambda client: client.post("refresh", {"key_id": client.key_id, "room_uuid": name}))
    return renewed(clients, told)


def renewed(clients: list[Client], told: list[Any]) -> list[Client]:
    """The same clients, with the `key_id` that they were told."""
    assert all(set(answer) == {"key_id"} for answer in told)
    return [replace(client, **answer) for client, answer in zip(clients, told, strict=True)]


def reshare(staying: list[Client], joining: list[Client], leaving: list[Client], threshold: int) -> list[Client]:
    """The new shares. The room holds the new quorum and the leavers that take part; Sodot's clients ask none to."""
    roles = {"existing-party": staying, "new-party": joining, "departing-party": leaving}
    calls = [(client, role) for role, clients in roles.items() for client in clients]
    ids = [client.vertex.ok(f"GET /{client.scheme}/export-id/{client.key_id}")["export_id"] for client in staying]
    body = {"new_threshold": threshold, "room_uuid": create_room(staying[0], len(calls))}
    body["keygen_ids"] = [*ids, *(client.keygen_id for client in joining)]
    told = everywhere(calls, lambda call: call[0].post(f"reshare/{call[1]}", {"key_id": call[0].key_id, **body}))
    return renewed([*staying, *joining], told[: len(staying) + len(joining)])


def rounds(client: Client) -> list[tuple[str, int]]:
    """State and confirmed deletions of each reshare of this very share."""
    lines = client.vertex.ok("GET /reshares")["results"]
    mine = [line["reshare_id"] for line in lines if line["old_key_id"] == client.key_id]
    found = [client.vertex.ok(f"GET /reshares/{name}") for name in mine]
    return [(each["state"], each["confirmed"]) for each in found]


def operator_confirms(cluster: Cluster, name: str, client: Client) -> None:
    vertex = cluster.vertex(name)
    admin = Caller(vertex.url, vertex.admin_token)
    lines = client.vertex.ok("GET /reshares")["results"]
    [row] = [line["reshare_id"] for line in lines if line["old_key_id"] == client.key_id]
    until(lambda: admin.call(f"POST /reshares/{row}/confirm-deletion", {}).status, 200)


def test_wallets_from_key_generation_to_another_quorum(cluster: Cluster) -> None:
    """Of all schemes at once, since most of it is waiting for others."""
    everywhere(SCHEMES, lambda scheme: whole_life(cluster, scheme, leaving=scheme != "ecdsa"))


def whole_life(cluster: Cluster, scheme: str, *, leaving: bool) -> None:
    """Two of three, signed for by all and by any two; refreshed; then A and B stay, and D and E join for three of four.

    Each time the old shares are deleted and the new key ids used. The deletion of a reshare's old share is its vertex's
    word: where that is left to operators the client is told so, and its DELETE succeeds after theirs."""
    first = clients_at(cluster, "abc", scheme)
    keygen(first, 2, relay_address=urlsplit(cluster.relay.url).netloc)
    public = public_key(first[0])
    assert {public_key(client) for client in first} == {public}
    for signers in (first, first[:2], first[1:]):
        verify(scheme, public, sign(signers, extra_data=""))

    second = refresh(first)
    assert not {client.key_id for client in second} & {client.key_id for client in first}
    until_active(second)
    verify(scheme, public, sign(second[1:]))
    until_deleted(first)
    # Without anybody's word, at all three: no old share is left.
    until(lambda: [rounds(client) for client in first], [[("clean", 3)]] * 3)

    third = reshare(second[:2], clients_at(cluster, "de", scheme), second[2:] if leaving else [], 3)
    verify(scheme, public, sign(second[:2]))
    assert third[0].vertex.refused(f"POST /{scheme}/sign", sign_body(third[0], NO_ROOM)) == "reshare_not_complete"
    for client, vertex in zip(second[:2], "ab", strict=True):
        assert deleted(client) == (400, "deletion_not_ready")
        operator_confirms(cluster, vertex, client)
    until_deleted(second[:2])
    until_active(third)
    verify(scheme, public, sign(third[1:]))
    assert {public_key(client) for client in third} == {public}
    assert deleted(third[3]) == (200, ""), "an active share is given up at once"


ABC = b"abc"
HASHES = {
    "sha256": hashlib.sha256(ABC).digest(),
    "sha256d": hashlib.sha256(hashlib.sha256(ABC).digest()).digest(),
    # The known answer of Keccak-256 as it was submitted, which hashlib does not have.
    "keccak256": bytes.fromhex("4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
}


@pytest.fixture
def wallet(key_of: Callable[[str], list[Party]]) -> Callable[[str], list[Client]]:
    """The run's key of a scheme, seen by clients of Sodot's."""
    return lambda scheme: [Client(party.user, scheme, party.key_id, party.keygen_id) for party in key_of(scheme)]


@pytest.mark.parametrize("spelt", ["SHA256", "Sha256d", "KECCAK256"])
def test_hash_algorithms_in_any_case(wallet: Callable[[str], list[Client]], spelt: str) -> None:
    clients = wallet("ecdsa")[:2]
    signature = sign(clients, ABC.hex(), hash_algo=spelt)
    verify("ecdsa", public_key(clients[0]), signature, HASHES[spelt.lower()])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_messages_with_0x(wallet: Callable[[str], list[Client]], scheme: str) -> None:
    clients = wallet(scheme)[:2]
    verify(scheme, public_key(clients[0]), sign(clients, "0x" + MESSAGE.upper(), extra_data="0x00"))


def test_signers_that_spell_the_same_message_differently_sign_it(wallet: Callable[[str], list[Client]]) -> None:
    clients = wallet("ecdsa")[:2]
    name = create_room(clients[0], 2)
    spelt = [("0x" + MESSAGE, "NONE", PATH), (MESSAGE.upper(), "none", [str(step) for step in PATH])]
    calls = list(zip(clients, spelt, strict=True))
    first, second = everywhere(
        calls,
        lambda call: call[0].post(
            "sign",
            {"room_uuid": name, "key_id": call[0].key_id}
            | dict(zip(("msg", "hash_algo", "derivation_path"), call[1], strict=True)),
        ),
    )
    assert first == second
    verify("ecdsa", public_key(clients[0]), first)


def test_a_key_is_listed_as_sodots_admin_lists_it(cluster: Cluster, wallet: Callable[[str], list[Client]]) -> None:
    admin = Caller(cluster.vertices[0].url, cluster.vertices[0].admin_token)
    keys = [
        line for lines in admin.ok("GET /admin/list-all-system-keys", **JSON)["keys_by_user"].values() for line in lines
    ]
    types = {line["key_id"]: line["key_type"] for line in keys}
    named = {"ecdsa": "Ecdsa", "ed25519": "Ed25519", "bip340": "BIP340"}
    for scheme, key_type in named.items():
        assert types[wallet(scheme)[0].key_id] == key_type
