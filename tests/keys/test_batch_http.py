"""batch-sign over HTTP: bodies, asynchronous calls, calls that wait."""

import dataclasses
import threading
from typing import Any

import pytest

from keys import users
from keys.models import ProtocolSession
from tests.api import Api, error_of, footprint
from tests.keys.test_batch import digest, kinds, work
from tests.life import Party, Vertex, at_once

UUID, OTHER = "3b7c2a52-0d5c-4b5e-9a3c-6c8f5d1c2e11", "3b7c2a52-0d5c-4b5e-9a3c-6c8f5d1c2e12"
REQUEST = {"key_id": UUID, "msg": "00ff", "hash_algo": "SHA256", "room_uuid": UUID}


@dataclasses.dataclass(frozen=True)
class Body:
    body: Any
    err_type: str = "bad_request_params"


BODIES = {
    "no requests": Body({}),
    "an empty list": Body({"sign_requests": []}),
    "no list": Body({"sign_requests": REQUEST}),
    "null": Body({"sign_requests": None}),
    "no object": Body([REQUEST]),
    "a request that is none": Body({"sign_requests": [REQUEST, 1]}),
    "a request without message": Body({"sign_requests": [REQUEST, {"key_id": UUID, "room_uuid": UUID}]}),
    "a request without hash": Body({"sign_requests": [{"key_id": UUID, "msg": "00", "room_uuid": UUID}]}),
    "a request without key": Body({"sign_requests": [REQUEST, {"msg": "00", "hash_algo": "none", "room_uuid": UUID}]}),
    "a request without room": Body({"sign_requests": [REQUEST, {"msg": "00", "hash_algo": "none", "key_id": UUID}]}),
    "a room beside another": Body({"sign_requests": [REQUEST], "room_uuid": OTHER}),
    "no hex": Body({"sign_requests": [REQUEST | {"msg": "zz"}]}),
    "a room that is none": Body({"sign_requests": [REQUEST], "room_uuid": "x"}),
    "too many": Body({"sign_requests": [REQUEST] * 4}, "batch_too_large"),
    "too many that are none": Body({"sign_requests": [1] * 4}, "batch_too_large"),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("case", BODIES.values(), ids=BODIES.keys())
def test_bad_bodies(alice: Api, settings: Any, case: Body) -> None:
    settings.VERTEX_MAX_BATCH = 3
    before = footprint()
    assert error_of(alice.call("POST /ecdsa/batch-sign", case.body)) == (400, case.err_type)
    assert footprint() == before


@pytest.mark.parametrize("scheme", ["ecdsa", "ed25519", "bip340"])
def test_a_call_may_be_asynchronous_and_repeated(vertex: Vertex, scheme: str) -> None:
    parties = vertex.keygen("ab", 2, scheme)
    room = vertex.room(2)
    requests = [
        {"msg": f"0x{number:02x}"} | ({"hash_algo": "sha256"} if scheme == "ecdsa" else {}) for number in (1, 2)
    ]
    said = []
    for party in parties:
        body = {"sign_requests": requests, "room_uuid": room, "key_id": str(party.key_id)}
        api = token_of(party)
        headers = {"prefer": "respond-async", "idempotency_key": "k"}
        begun = api.call(f"POST /{scheme}/batch-sign", body, **headers)
        assert begun.status_code == 202
        assert api.call(f"POST /{scheme}/batch-sign", body, **headers).json() == begun.json()
        said.append((api, begun["Location"], body))
    assert ProtocolSession.objects.filter(kind="sign").count() == 2
    at_once([work] * 2)
    answers = [api.call(f"GET {location}").json() for api, location, _ in said]
    assert [(each["state"], each["action"]) for each in answers] == [("done", f"{scheme}.batch-sign")] * 2
    assert kinds(answers[0]["result"]) == ["Signature"] * 2
    api, _, body = said[0]
    again = api.call(f"POST /{scheme}/batch-sign", body, idempotency_key="k")
    assert (again.status_code, again.json()) == (200, answers[0]["result"])


def token_of(party: Party) -> Api:
    return Api(users.api_key_create(user_id=party.user.id, actor="admin"), party.user)


def test_a_call_that_waits_is_told_of_each_request(vertex: Vertex) -> None:
    """One of three rooms fills: the others' time is over after a second."""
    first, second = vertex.keygen("ab", 2)
    rooms = [vertex.room(2) for _ in range(3)]
    vertex.ask_sign(second, rooms[1], bytes.fromhex(digest(1)))
    requests = [
        {"key_id": str(first.key_id), "room_uuid": room, "msg": f"{number:02x}" * 32, "hash_algo": "sha256"}
        for number, room in enumerate(rooms)
    ]
    answered: list[Any] = []
    api, ended = token_of(first), threading.Event()

    def call() -> None:
        try:
            answered.append(api.call("POST /ecdsa/batch-sign", {"sign_requests": requests}, prefer="wait=1"))
        finally:
            ended.set()

    def sign_when_full() -> None:
        while not ended.is_set():
            work()

    at_once([call, sign_when_full, sign_when_full])
    [response] = answered
    assert response.status_code == 200
    assert kinds(response.json()) == ["executor_result", "Signature", "executor_result"]
