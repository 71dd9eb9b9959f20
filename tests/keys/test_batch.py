"""batch-sign: mixed results, one room or one for each, limits, and what is stored of a batch."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from coincurve import PublicKey

from audit.models import Event
from keys import batch, operations
from keys.hashes import digest_of
from keys.models import KeyShare, Operation, PairState, ProtocolSession
from keys.sessions import services, worker
from mpc.hashing import TH
from mpc.schemes import scheme_of
from mpc.wire import SealedBundle, SignExtension, decode, encode
from relay.client import Joined
from tests.life import Party, Vertex, at_once
from tests.mpc.simulator import Lie, edit, flipped
from vertex.errors import ApiError

Fields = dict[str, Any]


def fields(scheme: str, room: str, number: int, **more: Any) -> Fields:
    """One request of a batch, as the serializer gives it."""
    what: Fields = {"msg": bytes((number,)) * 32, "room_uuid": room}
    return what | ({"hash_algo": "sha256"} if scheme == "ecdsa" else {}) | more


def ask(vertex: Vertex, party: Party, requests: Sequence[Fields]) -> Operation:
    operation = vertex.operation(party)
    batch.batch_request(
        user=party.user,
        operation=operation,
        scheme=party.share.scheme,
        requests=[{"key_id": party.key_id, **each} for each in requests],
        deadline=operation.deadline,
    )
    return operation


def sign(vertex: Vertex, asked: dict[int, Sequence[Fields]], parties: list[Party]) -> list[Operation]:
    """Each party's own requests, worked on as they come: its finished operation."""
    made = [ask(vertex, party, asked[at]) for at, party in enumerate(parties)]
    at_once([lambda: work()] * len(parties))
    for operation in made:
        operation.refresh_from_db()
    return made


def work() -> None:
    while worker.work("sign"):
        pass


def events(action: str) -> list[tuple[str, str]]:
    return sorted((event.subject, event.data["digest"]) for event in Event.objects.filter(action=action))


def digest(number: int) -> str:
    return digest_of(bytes((number,)) * 32, "sha256").hex()
