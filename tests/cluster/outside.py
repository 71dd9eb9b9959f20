"""A client that knows the REST contract and nothing of the project: raw HTTP with kept connections."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

# A little more than VERTEX_SYNC_TIMEOUT: whatever happens, the vertex answers first.
TIMEOUT = 90.0


@dataclass(frozen=True)
class Answer:
    """Status and JSON of an answer."""

    status: int
    body: Any
    headers: httpx.Headers

    @property
    def error(self) -> tuple[int, str]:
        """Status and type of an error in the contract's form; fails on anything else."""
        assert set(self.body) == {"err_msg", "err_type"}, self.body
        return self.status, self.body["err_type"]


class Caller:
    """One token at one vertex."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, timeout=TIMEOUT, headers={"Authorization": token} if token else {})

    def call(self, route: str, body: Any = None, **headers: str) -> Answer:
        """`call("POST /path", body)`; a header `a_b` is sent as `a-b`."""
        method, _, path = route.partition(" ")
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self._client.request(method, path, json=body, headers=sent)
        return Answer(response.status_code, response.json(), response.headers)

    def ok(self, route: str, body: Any = None, **headers: str) -> Any:
        """The JSON of a call that must succeed."""
        answer = self.call(route, body, **headers)
        assert answer.status == 200, (route, answer.status, answer.body)
        return answer.body


@dataclass(frozen=True)
class Party:
    """A user at one vertex with a key of its own, and that vertex's admin."""

    admin: Caller
    user: Caller
    user_id: str
    key_id: str
    keygen_id: str


def new_user(url: str, admin_token: str) -> tuple[Caller, str]:
    made = Caller(url, admin_token).ok("GET /admin/create-user")
    return Caller(url, made["api_key"]), made["user_id"]


def new_party(url: str, admin_token: str) -> Party:
    """A new user at a vertex, and a key that it created."""
    user, user_id = new_user(url, admin_token)
    key = user.ok("GET /ecdsa/create")
    return Party(Caller(url, admin_token), user, user_id, key["key_id"], key["keygen_id"])


def at_once(*calls: Any) -> list[Any]:
    """Run calls that wait for each other; their results in order."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def room(party: Party, size: int) -> str:
    made: str = party.user.ok("POST /create-room", {"room_size": size})["room_uuid"]
    return made


def keygen_body(party: Party, parties: list[Party], threshold: int, room_uuid: str) -> dict[str, Any]:
    return {
        "key_id": party.key_id,
        "num_parties": len(parties),
        "threshold": threshold,
        "others_keygen_ids": [each.keygen_id for each in parties if each is not party],
        "room_uuid": room_uuid,
    }


def keygen(parties: list[Party], threshold: int) -> str:
    """Generate a key over REST: its public key, the same everywhere."""
    name = room(parties[0], len(parties))
    at_once(
        *(
            lambda party=party: party.user.ok("POST /ecdsa/keygen", keygen_body(party, parties, threshold, name))
            for party in parties
        )
    )
    told = {party.user.ok(f"GET /keys/{party.key_id}")["public_key"] for party in parties}
    assert len(told) == 1
    public: str = told.pop()
    return public


def sign_body(party: Party, room_uuid: str, **fields: Any) -> dict[str, Any]:
    return {"key_id": party.key_id, "msg": "616263", "hash_algo": "sha256", "room_uuid": room_uuid, **fields}


def sign(parties: list[Party], **fields: Any) -> dict[str, Any]:
    """Sign over REST; every signer answers the same signature."""
    name = room(parties[0], len(parties))
    answers = at_once(
        *(lambda party=party: party.user.ok("POST /ecdsa/sign", sign_body(party, name, **fields)) for party in parties)
    )
    assert all(answer == answers[0] for answer in answers)
    signature: dict[str, Any] = answers[0]
    return signature


def reshare_body(party: Party, new: list[Party], threshold: int, room_uuid: str) -> dict[str, Any]:
    return {
        "key_id": party.key_id,
        "keygen_ids": [each.keygen_id for each in new],
        "new_threshold": threshold,
        "room_uuid": room_uuid,
    }


def reshare_of(party: Party) -> dict[str, Any]:
    """The one reshare of a party's key."""
    lines = party.user.ok("GET /reshares")["results"]
    [line] = [line for line in lines if line["old_key_id"] == party.key_id]
    found: dict[str, Any] = party.user.ok(f"GET /reshares/{line['reshare_id']}")
    return found
