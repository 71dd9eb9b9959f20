"""The REST contract from a user's side: what the parties of the demo ask of their vertices."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import httpx

from cluster.vertex import Vertex

TIMEOUT = 90.0  # seconds; more than a vertex takes to answer, whatever happens
POLL = 0.1  # seconds between two looks at a state
PATIENCE = 60.0  # seconds that a state may take

T = TypeVar("T")


class Refused(Exception):
    """An answer other than 200; `err_type` is the contract's."""

    def __init__(self, call: str, status: int, answer: Any) -> None:
        super().__init__(f"{call}: {status} {answer}")
        self.err_type: str = answer["err_type"]


class Caller:
    """One token at one vertex."""

    def __init__(self, url: str, token: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=TIMEOUT, headers={"Authorization": token})

    def get(self, path: str) -> Any:
        return self._call("GET", path)

    def post(self, path: str, body: Any) -> Any:
        return self._call("POST", path, json=body)

    def _call(self, method: str, path: str, **content: Any) -> Any:
        response = self._client.request(method, path, **content)
        answer = response.json()
        if response.status_code != httpx.codes.OK:
            raise Refused(f"{method} {path}", response.status_code, answer)
        return answer


@dataclass(frozen=True)
class Party:
    """A user at one vertex with one share; `holding` is the same party with another share."""

    vertex: Vertex
    user: Caller
    key_id: str
    keygen_id: str
    scheme: str = "ecdsa"

    @classmethod
    def at(cls, vertex: Vertex, scheme: str = "ecdsa") -> "Party":
        """A new user with a key of their own."""
        admin = Caller(vertex.url, vertex.admin_token)
        user = Caller(vertex.url, admin.get(f"/admin/create-user?name=demo-{scheme}")["api_key"])
        key = user.get(f"/{scheme}/create")
        return cls(vertex, user, key["key_id"], key["keygen_id"], scheme)

    def holding(self, key_id: str) -> "Party":
        return replace(self, key_id=key_id)

    @property
    def name(self) -> str:
        return self.vertex.name.upper()

    @property
    def share(self) -> dict[str, Any]:
        """State, public key, quorum."""
        return dict(self.user.get(f"/keys/{self.key_id}"))

    @property
    def reshare(self) -> dict[str, Any]:
        """The latest reshare that this share goes into or comes from."""
        lines = self.user.get("/reshares")["results"]
        mine = [line for line in lines if self.key_id in (line["key_id"], line["old_key_id"])]
        return dict(self.user.get(f"/reshares/{mine[-1]['reshare_id']}"))

    def room(self, size: int) -> str:
        return str(self.user.post("/create-room", {"room_size": size})["room_uuid"])

    def sign(self, message: bytes, room: str, **more: Any) -> dict[str, Any]:
        """One signer's call: it answers when all signers have called."""
        hashed = {"hash_algo": "keccak256"} if self.scheme == "ecdsa" else {}
        body = {"key_id": self.key_id, "msg": message.hex(), "room_uuid": room, **hashed, **more}
        return dict(self.user.post(f"/{self.scheme}/sign", body))


def names(parties: Sequence[Party]) -> str:
    return ", ".join(party.name for party in parties)


def ids(parties: Sequence[Party]) -> list[str]:
    return [party.keygen_id for party in parties]


def together(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Makes calls that wait for each other; the answers in order."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [each.result() for each in [pool.submit(call) for call in calls]]


def keygen(parties: Sequence[Party], threshold: int) -> bytes:
    """Generates a key; returns its public key, which all must tell alike."""
    body = {"num_parties": len(parties), "threshold": threshold, "room_uuid": parties[0].room(len(parties))}

    def ask(party: Party) -> Any:
        others = [each for each in parties if each is not party]
        return party.user.post(
            f"/{party.scheme}/keygen", body | {"key_id": party.key_id, "others_keygen_ids": ids(others)}
        )

    together([partial(ask, party) for party in parties])
    return public_key(parties)


def public_key(parties: Sequence[Party]) -> bytes:
    """What these shares say their public key is; RuntimeError if they differ."""
    told = {party.share["public_key"] for party in parties}
    if len(told) != 1:
        raise RuntimeError(f"{names(parties)} tell different public keys: {told}")
    return bytes.fromhex(told.pop())


def sign(signers: Sequence[Party], message: bytes, **more: Any) -> dict[str, Any]:
    """A signature, the same at all signers."""
    room = signers[0].room(len(signers))
    answers = together([partial(party.sign, message, room, **more) for party in signers])
    if any(answer != answers[0] for answer in answers):
        raise RuntimeError(f"{names(signers)} answered different signatures")
    return answers[0]


def sign_refusals(signers: Sequence[Party], message: bytes) -> list[str]:
    """The `err_type` that each signer gets; RuntimeError if anybody gets a signature."""
    room = signers[0].room(len(signers))

    def ask(party: Party) -> str:
        try:
            party.sign(message, room)
        except Refused as refused:
            return refused.err_type
        raise RuntimeError(f"{party.name} has signed")

    return together([partial(ask, party) for party in signers])


def reshare(
    *, staying: Sequence[Party], leaving: Sequence[Party], joining: Sequence[Party], threshold: int, pubkey: bytes
) -> list[Party]:
    """Reshares up to quarantine; returns the parties of the new quorum, holding their new shares."""
    new = [*staying, *joining]
    body = {
        "keygen_ids": ids(new),
        "new_threshold": threshold,
        "room_uuid": staying[0].room(len(new) + len(leaving)),
    }
    calls: list[tuple[Party, str, dict[str, str]]] = (
        [(party, "existing-party", {}) for party in staying]
        + [(party, "departing-party", {}) for party in leaving]
        + [(party, "new-party", {"expected_pubkey": pubkey.hex()}) for party in joining]
    )

    def ask(party: Party, role: str, more: dict[str, str]) -> Party:
        answer = party.user.post(f"/{party.scheme}/reshare/{role}", body | more | {"key_id": party.key_id})
        return party.holding(answer["key_id"])

    made = together([partial(ask, *call) for call in calls])
    return [*made[: len(staying)], *made[len(staying) + len(leaving) :]]


def refresh(parties: Sequence[Party]) -> list[Party]:
    """New shares for the same quorum, up to quarantine; returns the parties, holding them."""
    room = parties[0].room(len(parties))

    def ask(party: Party) -> Party:
        answer = party.user.post(f"/{party.scheme}/refresh", {"key_id": party.key_id, "room_uuid": room})
        return party.holding(answer["key_id"])

    return together([partial(ask, party) for party in parties])


def states(parties: Sequence[Party]) -> set[str]:
    """The states of their shares."""
    return {party.share["state"] for party in parties}


def until(holds: Callable[[], bool], what: str) -> None:
    """Waits until something holds; RuntimeError names it when that takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {PATIENCE:.0f} s: {what}")
        time.sleep(POLL)
