"""A client that knows the REST contract and nothing of the project: raw HTTP with kept connections."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import httpx

from tests.cluster.contract import SEEN, Seen

T = TypeVar("T")
# A little more than VERTEX_SYNC_TIMEOUT: whatever happens, the vertex answers first.
TIMEOUT = 90.0
PATIENCE = 20.0  # seconds that receipts may take to travel


@dataclass(frozen=True)
class Answer:
    """Status and content of an answer: JSON, or the text of what is none."""

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
        """`call("POST /path", body)`; bytes are sent as they are, anything else as JSON; a header `a_b` as `a-b`."""
        method, _, path = route.partition(" ")
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        response = self._client.request(method, path, headers=sent, **content)
        json = "json" in response.headers.get("Content-Type", "")
        answer = Answer(response.status_code, response.json() if json else response.text, response.headers)
        failed = answer.body.get("err_type", "") if json and answer.status >= 400 else ""
        SEEN.add(Seen(method, path.partition("?")[0], answer.status, failed))
        return answer

    def ok(self, route: str, body: Any = None, **headers: str) -> Any:
        """The content of a call that must succeed."""
        answer = self.call(route, body, **headers)
        assert answer.status == 200, (route, answer.status, answer.body)
        return answer.body

    def refused(self, route: str, body: Any = None, **headers: str) -> str:
        """The type of a call that must be answered with 400."""
        status, err_type = self.call(route, body, **headers).error
        assert status == 400, (route, status)
        return err_type


@dataclass(frozen=True)
class Party:
    """A user at one vertex with a key of its own, and that vertex's admin."""

    admin: Caller
    user: Caller
    user_id: str
    key_id: str
    keygen_id: str
    scheme: str = "ecdsa"

    @property
    def key(self) -> Any:
        """What the vertex says of the key."""
        return self.user.ok(f"GET /keys/{self.key_id}")


def new_user(url: str, admin_token: str) -> tuple[Caller, str]:
    made = Caller(url, admin_token).ok("GET /admin/create-user")
    return Caller(url, made["api_key"]), made["user_id"]


def new_party(url: str, admin_token: str, scheme: str = "ecdsa") -> Party:
    """A new user at a vertex, and a key that it created."""
    user, user_id = new_user(url, admin_token)
    key = user.ok(f"GET /{scheme}/create")
    return Party(Caller(url, admin_token), user, user_id, key["key_id"], key["keygen_id"], scheme)


def another_key(party: Party) -> Party:
    """The same user with a further key of the same scheme."""
    key = party.user.ok(f"GET /{party.scheme}/create")
    return replace(party, key_id=key["key_id"], keygen_id=key["keygen_id"])


def at_once(*calls: Any) -> list[Any]:
    """Run calls that wait for each other; their results in order."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def everywhere(parties: Iterable[T], call: Callable[[T], Any]) -> list[Any]:
    """The same call of all parties at once."""
    return at_once(*(lambda party=party: call(party) for party in parties))


def until(look: Callable[[], Any], wanted: Any, seconds: float = PATIENCE) -> None:
    """Until a reading is the wanted one; fails with the last."""
    deadline = time.monotonic() + seconds
    while (found := look()) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found == wanted


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
    call = f"POST /{parties[0].scheme}/keygen"
    everywhere(parties, lambda party: party.user.ok(call, keygen_body(party, parties, threshold, name)))
    told = {party.key["public_key"] for party in parties}
    assert len(told) == 1
    public: str = told.pop()
    return public


def sign_body(party: Party, room_uuid: str, **fields: Any) -> dict[str, Any]:
    hashed = {"hash_algo": "sha256"} if party.scheme == "ecdsa" else {}
    return {"key_id": party.key_id, "msg": "616263", "room_uuid": room_uuid, **hashed, **fields}


def sign(parties: list[Party], **fields: Any) -> dict[str, Any]:
    """Sign over REST; every signer answers the same signature."""
    name = room(parties[0], len(parties))
    call = f"POST /{parties[0].scheme}/sign"
    answers = everywhere(parties, lambda party: party.user.ok(call, sign_body(party, name, **fields)))
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
