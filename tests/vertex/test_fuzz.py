"""Every field of every request with what does not belong there: the contract's refusal, never a problem of ours.

Routes, fields and their schemas come from the OpenAPI document; `Api.call` holds every answer against it.
"""

import json
import os
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import jsonschema_rs
import pytest
from coincurve import PrivateKey
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from nacl.bindings import crypto_scalarmult_ed25519_base_noclamp
from pytest_django import Settings

from keys.boxes import AnswerKey
from keys.models import BoxKey, KeyShare, Operation, PartyIdentity
from keys.sessions import rooms, services
from keys.views import rooms as views
from mpc.identity import encode_keygen_id
from reshare.models import Reshare
from tests import contract
from tests.api import Api, error_of
from tests.life import MemoryRelay
from tests.vertex.nasty import BODIES, HEADERS, TEXTS, VALUES, example, with_field
from vertex.celery import app

ONE = bytes([1, *bytes(31)])
PEM = (
    ec.derive_private_key(1, ec.SECP256R1())
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
POINTS = {
    "ecdsa": PrivateKey(bytes(31) + b"\x01").public_key.format(),
    "ed25519": crypto_scalarmult_ed25519_base_noclamp(ONE),
    "bip340": PrivateKey(bytes(31) + b"\x01").public_key.format(),
}


def operations() -> dict[str, tuple[str, str]]:
    """One operation of each view and method, by its `operationId`: the schemes share views."""
    views = {path: route.callback.view_class for path, route in contract.routes()}
    found = {}
    for path, methods in contract.described()["paths"].items():
        for method, operation in methods.items():
            found.setdefault((views[path], method), (operation["operationId"], method, path))
    return {name: (method, path) for name, method, path in found.values()}


OPERATIONS = operations()
WITH_BODY = {
    name: (method, path)
    for name, (method, path) in OPERATIONS.items()
    if "requestBody" in contract.described()["paths"][path][method]
}


class World:
    """What requests may name: keys that are active and keys to be, a reshare, an operation."""

    def __init__(self, alice: Api, relay: MemoryRelay) -> None:
        self.alice, self.relay = alice, relay
        self.peers = [os.urandom(32) for _ in range(2)]
        self.active = {scheme: self._share(scheme, "active") for scheme in POINTS}
        self.created = {scheme: self._share(scheme, "created") for scheme in POINTS}
        old = self.active["ecdsa"]
        self.reshare = Reshare.objects.create(
            user=alice.user, identity=old.identity, role="existing", old_share=old, scheme="ecdsa", new_threshold=2
        )
        BoxKey.objects.create(public=AnswerKey().public, sealed_secret=b"sealed", data_key="none")
        self.operation = Operation.objects.create(user=alice.user, caller="x", action="x", deadline="2100-01-01T00:00Z")

    def _share(self, scheme: str, state: str) -> KeyShare:
        identity = PartyIdentity.objects.create(public=os.urandom(32))
        made: dict[str, Any] = {}
        if state == "active":
            parties = sorted(each.hex() for each in (bytes(identity.public), *self.peers))
            made = {"gid": os.urandom(32), "threshold": 2, "parties": parties, "chain_code": bytes(32)}
            made |= {"public_key": POINTS[scheme], "sealed_share": b"sealed", "data_key": "none"}
        return KeyShare.objects.create(user=self.alice.user, identity=identity, scheme=scheme, state=state, **made)

    def named(self, path: str) -> dict[str, Any]:
        """Good values of fields and parameters of a route."""
        scheme = path.split("/")[1]
        making = ("/keygen", "/new-party", "/key-importer", "/import-key-share-recipient")
        keys = self.created if path.endswith(making) else self.active
        ids = [encode_keygen_id(each) for each in self.peers]
        return {
            "key_id": str(keys.get(scheme, self.active["ecdsa"]).id),
            "room_uuid": self.relay.create_room(3),
            "num_parties": 3,
            "private_key": bytes([2] * 32).hex(),
            "others_keygen_ids": ids,
            "keygen_ids": ids,
            "name": str(self.reshare.id),
            "operation_id": str(self.operation.id),
            "user_id": str(uuid.uuid4()),
            "pubkey": PEM,
        }


@pytest.fixture
def world(alice: Api, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> World:
    settings.VERTEX_WEBHOOK_HOSTS = ["rules.example"]
    relay = MemoryRelay()
    for module in (services, rooms, views):
        monkeypatch.setattr(module, "relay", lambda url: relay)
    monkeypatch.setattr(services.connection, "close", lambda: None)  # it would end the test's transaction
    monkeypatch.setattr(app, "send_task", lambda *args, **named: None)
    return World(alice, relay)


def callers(alice: Api, admin: Api, path: str, method: str) -> Iterator[Api]:
    """Who gets past the door."""
    types = contract.described()["paths"][path][method]["responses"]["400"]["content"]["application/json"]["schema"]
    yield admin if "you_have_to_be_admin" in str(types) else alice


def fill(path: str, good: dict[str, Any], **other: str) -> str:
    for name, value in {**good, **other}.items():
        path = path.replace("{" + name + "}", quote(str(value).encode("utf-8", "surrogatepass"), safe=""))
    return path


def judge(response: Any, sent: object, *, refused: bool = False) -> None:
    """Done or refused in the contract's form; what the schema does not allow must be refused."""
    assert response.status_code < 500, (sent, response.content)
    if response.status_code >= 400:
        error_of(response)
    assert response.status_code >= 400 or not refused, ("taken", sent, response.content)


def allowed(validator: Any, raw: bytes) -> bool:
    """Whether a body is JSON that the request's schema allows."""
    try:
        return bool(validator.is_valid(json.loads(raw)))
    except (ValueError, RecursionError):
        return False


@pytest.mark.parametrize("name", WITH_BODY)
def test_bodies(world: World, alice: Api, admin: Api, name: str) -> None:
    method, path = WITH_BODY[name]
    [caller] = callers(alice, admin, path, method)
    body = contract.described()["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
    schema = contract.followed(body)
    validator = jsonschema_rs.Draft202012Validator(schema | {"components": contract.described()["components"]})
    good = world.named(path)
    route = f"{method.upper()} {fill(path, good)}"
    base = {field: good.get(field, value) for field, value in example(schema).items()}
    base |= {field: good[field] for field in ("key_id", "room_uuid") if field in schema["properties"]}
    assert validator.is_valid(base), base
    for field in schema["properties"]:
        for value in VALUES:
            raw = with_field(base, field, value)
            response = caller.call(route, raw=raw, prefer="respond-async")
            judge(response, raw[-300:], refused=not allowed(validator, raw))
        without = {each: value for each, value in base.items() if each != field}
        judge(caller.call(route, without, prefer="respond-async"), without, refused=not validator.is_valid(without))
    for raw in BODIES:
        judge(
            caller.call(route, raw=raw, prefer="respond-async"), raw[:40], refused=not allowed(validator, raw or b"{}")
        )
    if "room_uuid" in base:  # what was taken above has used the room
        base["room_uuid"] = world.relay.create_room(3)
    response = caller.call(route, base, prefer="respond-async")
    complaint = "" if response.status_code < 300 else response.json()["err_msg"]
    assert not complaint.startswith(tuple(f"{field}: " for field in schema["properties"])), (base, complaint)


OF_QUORUMS = {
    "/ecdsa/keygen": ("num_parties", "threshold"),
    "/ecdsa/import/import-key-share-recipient": ("num_parties", "threshold"),
    "/ecdsa/reshare/existing-party": ("new_threshold", "deletions_required"),
    "/ecdsa/reshare/departing-party": ("new_threshold", "deletions_required"),
    "/ecdsa/reshare/new-party": ("new_threshold", "deletions_required", "old_threshold"),
}


@pytest.mark.parametrize(("path", "field"), [(path, field) for path, fields in OF_QUORUMS.items() for field in fields])
def test_numbers_of_quorums(world: World, alice: Api, path: str, field: str) -> None:
    """Any integer is compared with what a quorum can be; nothing else is an integer."""
    schema = contract.described()["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    base = {name: world.named(path).get(name, value) for name, value in example(schema).items()}
    for value in (0, -1, 2**31, 2**63, 2**70, True, 1.5, "3"):
        expected = "bad_n_and_t_params" if type(value) is int else "bad_request_params"
        answer = alice.call(f"POST {path}", base | {field: value}, prefer="respond-async")
        assert error_of(answer) == (400, expected), (value, answer.content)


@pytest.mark.parametrize("name", OPERATIONS)
def test_parameters_and_paths(world: World, alice: Api, admin: Api, name: str) -> None:
    method, path = OPERATIONS[name]
    [caller] = callers(alice, admin, path, method)
    good = world.named(path)
    verb = method.upper()
    parameters = contract.described()["paths"][path][method].get("parameters", [])
    for parameter in parameters:
        for text in TEXTS:
            if parameter["in"] == "path":
                judge(caller.call(f"{verb} {fill(path, good, **{parameter['name']: text})}", {}), text)
            elif parameter["in"] == "query":
                query = f"{parameter['name']}={quote(text.encode('utf-8', 'surrogatepass'))}"
                response = caller.call(f"{verb} {fill(path, good)}?{query}", prefer="respond-async")
                # None of the texts names anything.
                judge(response, query, refused=parameter["schema"].get("format") == "uuid")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/version"),
        ("get", "/keys"),
        ("get", "/ecdsa/create"),
        ("post", "/ecdsa/keygen"),
        ("delete", "/admin/delete-user"),
    ],
)
def test_headers(world: World, alice: Api, admin: Api, settings: Any, method: str, path: str) -> None:
    settings.VERTEX_SYNC_TIMEOUT = 0.01  # nobody works here
    [caller] = callers(alice, admin, path, method)
    for header, values in HEADERS.items():
        for value in values:
            sent = {"prefer": "respond-async", header: value}
            judge(caller.call(f"{method.upper()} {path}?a=%ff&a=%00&=", {}, **sent), sent)
