"""Several parties on one vertex: a relay in memory, tasks on request, keystore in a directory of the test's own.

Sessions run in the test's thread and park at once where they would wait, so nothing here sleeps. Signing can't park:
its parties run in threads of their own.
"""

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from keys.boxes import ensure_box
from keys.exporting import export_request
from keys.importing import import_request
from keys.keygen import keygen_request
from keys.models import ApiUser, KeyShare, Operation, ProtocolSession, Receipt
from keys.sessions import carrier, driver, evidence, rooms, services, worker
from keys.shares import identity_create
from keys.signing import sign_request
from mpc.identity import encode_keygen_id
from mpc.importing import Imported
from mpc.secret import Secret
from relay.client import Exchanged, Joined, Message, RelayRefused
from reshare.models import Reshare
from reshare.tasks import advance_task
from vertex.celery import app

RELAY = "http://relay.test"
State = ProtocolSession.State


@dataclass
class Room:
    """A room of the stand-in: who has joined, and the first body of each slot."""

    size: int
    joined: list[str] = field(default_factory=list)
    filled: int | None = None
    until: int = 0  # Unix seconds by when it must be full
    refused: str | None = None
    slots: dict[tuple[str, int, str, str], bytes] = field(default_factory=dict)


class MemoryRelay:
    """What `relay.client.Relay` does, in a dictionary. `down`: what every call raises while it is set."""

    def __init__(self) -> None:
        self.rooms: dict[str, Room] = {}
        self.down: Exception | None = None
        self.left: list[tuple[str, str]] = []
        self._order = 0
        self._changed = threading.Condition()

    def create_room(self, room_size: int) -> str:
        name = str(uuid.uuid4())
        self.put_room(name, room_size=room_size)
        return name

    def put_room(self, room: str, *, room_size: int) -> None:
        self._room(room, make=room_size)

    def join(self, room: str, *, party: str, until: int, **wanted: Any) -> Joined:
        found = self._room(room)
        found.until = max(found.until, until)
        if party not in found.joined:
            found.joined.append(party)
        if len(found.joined) == found.size and found.filled is None:
            self._order += 1
            found.filled = self._order
        full = found.filled is not None
        return Joined(full, found.size, len(found.joined), found.refused, found.filled)

    def exchange(
        self, room: str, *, party: str, after: str = "", wait: int = 0, want: int = 1, messages: Sequence[Message] = ()
    ) -> Exchanged:
        with self._changed:
            found = self._room(room)
            if party not in found.joined:
                raise RelayRefused("not_joined", "you have not joined this room")
            for message in messages:
                place = (message.session, message.round, message.sender, message.receiver)
                found.slots.setdefault(place, message.body)
            self._changed.notify_all()
            seen = int(after or 0)
            self._changed.wait_for(lambda: len(found.slots) > seen or found.refused, timeout=wait / 1000)
            new = [Message(*place, body) for place, body in list(found.slots.items())[seen:]]
            for_me = [m for m in new if m.sender != party and m.receiver in ("", party)]
            return Exchanged(tuple(for_me), str(len(found.slots)), found.refused)

    def refuse(self, room: str, *, party: str, err_type: str) -> None:
        with self._changed:
            self._room(room).refused = err_type
            self._changed.notify_all()

    def done(self, room: str, *, party: str) -> None:
        self._room(room)
        self.left.append((room, party))

    def _room(self, room: str, make: int | None = None) -> Room:
        if self.down is not None:
            raise self.down
        known = self.rooms.get(room)
        if known is not None and known.joined and known.filled is None and known.until < time.time():
            del self.rooms[room]  # it was not full in time
        if room not in self.rooms and make is None:
            raise RelayRefused("room_not_found", "no such room")
        return self.rooms.setdefault(room, Room(make or 0))


@dataclass
class Party:
    """A party by its key; `share` is read afresh."""

    name: str
    user: ApiUser
    key_id: uuid.UUID
    identity: bytes

    @property
    def keygen_id(self) -> str:
        return encode_keygen_id(self.identity)

    @property
    def share(self) -> KeyShare:
        return KeyShare.objects.select_related("identity").get(id=self.key_id)

    @property
    def state(self) -> str:
        return str(self.share.state)


class Killed(BaseException):
    """The process dies here: nothing catches it."""


class Vertex:
    """The vertex of the tests: requests as users make them, work as workers do it."""

    def __init__(self, relay: MemoryRelay) -> None:
        self.relay = relay
        self.tasks: list[tuple[str, list[Any]]] = []

    def party(self, name: str, scheme: str = "ecdsa") -> Party:
        user, _ = ApiUser.objects.get_or_create(name=name)
        identity = identity_create()
        share = KeyShare.objects.create(user=user, identity=identity, scheme=scheme)
        return Party(name, user, share.id, bytes(identity.public))

    def operation(self, party: Party) -> Operation:
        deadline = timezone.now() + timedelta(seconds=60)
        return Operation.objects.create(user=party.user, caller=party.name, action="test", deadline=deadline)

    def room(self, size: int) -> str:
        return self.relay.create_room(size)

    def ask_keygen(self, party: Party, parties: list[Party], t: int, room: str, **changed: Any) -> Operation:
        operation = self.operation(party)
        asked: dict[str, Any] = {
            "user": party.user,
            "operation": operation,
            "key_id": party.key_id,
            "scheme": party.share.scheme,
            "num_parties": len(parties),
            "threshold": t,
            "others": [each.keygen_id for each in parties if each is not party],
            "room_uuid": room,
            "relay_address": None,
            "deadline": operation.deadline,
        }
        keygen_request(**asked | changed)
        return operation

    def keygen(self, names: str, t: int, scheme: str = "ecdsa") -> list[Party]:
        """A key of these parties, active everywhere."""
        parties = [self.party(name, scheme) for name in names]
        room = self.room(len(parties))
        operations = [self.ask_keygen(party, parties, t, room) for party in parties]
        self.run()
        for operation in operations:
            operation.refresh_from_db()
        assert [operation.state for operation in operations] == ["done"] * len(parties), operations[0].result
        return parties

    def ask_sign(
        self, party: Party, room: str, signed: bytes = bytes(32), path: tuple[int, ...] = (), **more: Any
    ) -> Operation:
        """``signed``: the digest, or what Ed25519 and BIP340 sign."""
        operation, scheme = self.operation(party), party.share.scheme
        fields = {"key_id": party.key_id, "room_uuid": room, "msg": signed, "hash_algo": "none", **more}
        fields["derivation_path"] = path
        sign_request(user=party.user, operation=operation, scheme=scheme, fields=fields, deadline=operation.deadline)
        return operation

    def sign(self, parties: list[Party], signed: bytes = bytes(range(32)), **more: Any) -> list[Operation]:
        """A signature by these parties, each worker in a thread of its own: their finished operations."""
        room = self.room(len(parties))
        operations = [self.ask_sign(party, room, signed, **more) for party in parties]
        at_once([lambda: worker.work("sign")] * len(parties))
        for operation in operations:
            operation.refresh_from_db()
        return operations

    def ask_export(self, party: Party, to: Party, room: str, answer_to: bytes = bytes(31) + b"\x09") -> Operation:
        operation = self.operation(party)
        export_request(
            user=party.user,
            operation=operation,
            key_id=party.key_id,
            scheme=party.share.scheme,
            export_to=to.keygen_id,
            room_uuid=room,
            relay_address=None,
            deadline=operation.deadline,
            answer_to=answer_to,
        )
        return operation

    def export(self, parties: list[Party], to: Party, answer_to: bytes = bytes(31) + b"\x09") -> list[Operation]:
        """The whole key to one of these parties: their finished operations."""
        room = self.room(len(parties))
        operations = [self.ask_export(party, to, room, answer_to) for party in parties]
        at_once([lambda: worker.work("sign")] * len(parties))
        for operation in operations:
            operation.refresh_from_db()
        return operations

    def import_key(self, parties: list[Party], t: int, key: bytes, chain_code: bytes, **told: Any) -> list[Operation]:
        """The first of these parties imports ``key``, a scalar as its group encodes it: their operations."""
        room, operations = self.room(len(parties)), []
        ensure_box()
        for party in parties:
            operation = self.operation(party)
            role = {"dealt": Imported(Secret(key), Secret(chain_code))} if party is parties[0] else told
            import_request(
                user=party.user,
                operation=operation,
                key_id=party.key_id,
                scheme=party.share.scheme,
                num_parties=len(parties),
                threshold=t,
                others=[each.keygen_id for each in parties if each is not party],
                room_uuid=room,
                relay_address=None,
                deadline=operation.deadline,
                **role,
            )
            operations.append(operation)
        self.run()
        for operation in operations:
            operation.refresh_from_db()
        return operations

    def run(self) -> None:
        """Work until nothing moves any more."""
        for _ in range(100):
            before = self._mark()
            for session in ProtocolSession.objects.filter(state__in=(State.RUNNING, State.SETTLING)):
                services.wake(session)
            while worker.work("protocol"):
                pass
            due, self.tasks = self.tasks, []
            for name, args in due:
                if name == "reshare.advance":
                    advance_task(*args)
            if self._mark() == before:
                return
        raise AssertionError("it does not come to rest")

    def _mark(self) -> tuple[Any, ...]:
        sessions = ProtocolSession.objects.order_by("id").values_list("state", "round", "messages")
        shares = KeyShare.objects.order_by("id").values_list("id", "state")
        posted = sum(len(room.slots) + len(room.joined) for room in self.relay.rooms.values())
        return list(sessions), list(shares), list(Reshare.objects.values_list("state")), Receipt.objects.count(), posted


def at_once(calls: Sequence[Callable[[], object]]) -> None:
    """Each call in a thread of its own, with a database connection of its own."""

    def call_and_close(call: Callable[[], object]) -> None:
        try:
            call()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=call_and_close, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.fixture
def vertex(transactional_db: None, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Vertex:
    """A vertex with a keystore, a relay in memory, and a broker that only remembers."""
    settings.VERTEX_KEYSTORE, settings.VERTEX_RELAY_URL = str(tmp_path / "keystore"), RELAY
    made = Vertex(MemoryRelay())
    for module in (services, carrier, driver, evidence, rooms):
        monkeypatch.setattr(module, "relay", lambda url: made.relay)
    monkeypatch.setattr(driver, "PARK_AFTER", 0.0)
    monkeypatch.setattr(worker, "SETTLE_WAIT", 0.0)

    def remember(name: str, args: Sequence[Any] = (), **options: Any) -> None:
        made.tasks.append((name, list(args)))

    monkeypatch.setattr(app, "send_task", remember)
    return made
