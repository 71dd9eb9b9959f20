"""No secret of a running vertex stands in its logs, tracebacks, database, broker, keystore or relay, in any form."""

import base64
import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
import structlog

from keys import users
from keys.backup import Container
from keys.boxes import AnswerKey, ensure_box
from keys.models import Operation
from keys.restored import agree
from keys.sessions import worker
from keys.shares import identity_open, pairs_open, share_open
from mpc.sign import _Signer
from reshare.restoring import agreed_task, restore_request, restore_task
from tests.api import Api
from tests.backups import asked, export, lose, new_backup_key, to_this_vertex
from tests.keys.canaries import Canaries, Everything, database_dump, forms
from tests.life import Party, Vertex, at_once
from vertex.celery import app

REQUIRED = {
    "identity seed",
    "share",
    "OT state of Alice",
    "OT state of Bob",
    "zero seed",
    "chain code",
    "session seed",
    "API key",
    "draw hello/ephemeral",
    "draw dealing/coefficient",
    "draw pair/ot/choices",
    "draw nonce",
    "draw phi",
    "imported key",
    "exported key",
    "plaintext backup",
    "share of a backup, plaintext",
    "share of a backup, encrypted",
}

# Who reads the database sees which keys derive from which; the relay must not, nor who reads a log.
WHILE_BACKUPS_MOVE = "database and answers, while backups come and go"
KEPT_OPEN = {place: {"chain code"} for place in ("database", WHILE_BACKUPS_MOVE)}


@pytest.fixture
def written() -> Iterator[Everything]:
    """Every logger at DEBUG."""
    root = logging.getLogger()
    formatters = (h.formatter for h in root.handlers if isinstance(h.formatter, structlog.stdlib.ProcessorFormatter))
    handler, level = Everything(next(formatters)), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def broker(vertex: Vertex, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """The broker, to which every task that the vertex sends goes too."""
    remember = app.send_task

    def send(name: str, args: Any = (), **options: Any) -> None:
        remember(name, args, **options)
        with app.producer_or_acquire() as producer:
            producer.publish({"task": name, "args": list(args)}, routing_key="canary", declare=[], serializer="json")

    monkeypatch.setattr(app, "send_task", send)
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.flushdb()
        yield client
        client.flushdb()


def hold(canaries: Canaries, party: Party) -> None:
    """What a party keeps."""
    key = party.share
    share = share_open(key)
    canaries.add("identity seed", identity_open(key.identity).reveal())
    canaries.add("share", share.secret.reveal())
    canaries.add("chain code", share.chain_code)
    for pair in pairs_open(key).values():
        canaries.add("OT state of Alice", pair.alice.delta, pair.alice.leaves[0, 0].tobytes())
        canaries.add("OT state of Bob", pair.bob.leaves[0, 0].tobytes(), pair.bob.leaves[63, 3].tobytes())
        canaries.add("zero seed", pair.zero_seed.reveal())


def everything_in(client: redis.Redis) -> bytes:
    names = [*client.scan_iter()]
    return b"\n".join(part for name in names for part in (name, client.dump(name), *_values(client, name)))


def _values(client: redis.Redis, name: bytes) -> list[bytes]:
    return client.lrange(name, 0, -1) if client.type(name) == b"list" else []


def relay_streams(vertex: Vertex) -> bytes:
    rooms = vertex.relay.rooms.items()
    return b"\n".join(repr((name, place)).encode() + body for name, room in rooms for place, body in room.slots.items())


def files(root: Path) -> bytes:
    return b"\n".join(str(path).encode() + path.read_bytes() for path in root.rglob("*") if path.is_file())


def crash_while_signing(vertex: Vertex, parties: list[Party], monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug that shows whatever it has at hand, in the middle of a signature."""

    def broken(signer: _Signer, *rest: Any) -> None:
        raise RuntimeError(f"{signer!r} {signer._session!r} {signer._receivers!r} {signer.senders!r} {rest!r}")

    with monkeypatch.context() as patched:
        patched.setattr(_Signer, "check_products", broken)
        room = vertex.room(len(parties))
        for party in parties:
            vertex.ask_sign(party, room)
        at_once([lambda: worker.work("sign")] * len(parties))


def import_and_export(vertex: Vertex, canaries: Canaries) -> None:
    """A key from elsewhere comes in, and goes out again; each waiting session is looked at too."""
    key, chain_code = (hashlib.sha256(name).digest() for name in (b"canary of an import", b"its chain code"))
    canaries.add("imported key", key)
    canaries.add("exported key", key)
    members = [vertex.party(name, "bip340") for name in "de"]
    imported = vertex.import_key(members, 2, key, chain_code)
    exported = vertex.export(members, members[0], AnswerKey().public)
    assert [operation.state for operation in (*imported, *exported)] == ["done"] * 4
    assert "sealed" in exported[0].result


def move(vertex: Vertex, canaries: Canaries, settings: Any, mode: str, reseal: Callable[[str], str]) -> list[bytes]:
    """A share leaves as a backup and comes back: the database while its call waits, and what is answered later."""
    settings.VERTEX_BACKUP = mode
    party = vertex.keygen("fg", 2, "ed25519")[0]
    canaries.add(f"share of a backup, {mode}", share_open(party.share).secret.reveal())
    canaries.add("identity seed", identity_open(party.share.identity).reveal())
    given = export(vertex, party)
    assert given["export_type"] == mode
    if mode == "plaintext":
        canaries.add("plaintext backup", Container.parse(given["key_share"]).body)
    lose(party)
    ensure_box()
    operation = asked(vertex, party)
    restore_request(operation=operation, scheme="ed25519", key_share=reseal(given["key_share"]), export_type=None)
    waiting = database_dump()
    assert "sealed" in Operation.objects.get(id=operation.id).arguments
    restore_task(*vertex.tasks[-1][1])
    party.key_id = Operation.objects.get(id=operation.id).result["key_id"]
    agree(key_id=party.key_id, actor="admin", reason="it moved")
    agreed_task(str(party.key_id))
    assert party.share.suspended == ""
    admin = Api(settings.VERTEX_ADMIN_TOKEN)
    told = [admin.call(f"GET {path}").content for path in ("/operations", f"/keys/{party.key_id}", "/audit/events")]
    assert str(operation.id).encode() in told[0]
    return [waiting, *told]


def test_no_secret_stands_anywhere(
    vertex: Vertex,
    written: Everything,
    broker: redis.Redis,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    subtests: pytest.Subtests,
) -> None:
    canaries = Canaries()
    settings.VERTEX_TWO_PERSON = False
    backup_key = tmp_path / "backup.key"
    settings.VERTEX_BACKUP_PUBLIC_KEY = new_backup_key(backup_key)
    canaries.add("backup key", bytes.fromhex(backup_key.read_text()))
    canaries.add("API key of the admin", settings.VERTEX_ADMIN_TOKEN.encode())
    canaries.add("master key", settings.VERTEX_MASTER_KEY.encode())
    _, token = users.user_create(name="canary", owner=None, actor="admin")
    canaries.add("API key", token.partition("_")[2].encode())
    with canaries.watching():
        parties = [vertex.party(name) for name in "abc"]
        room = vertex.room(3)
        for party in parties[:2]:
            vertex.ask_keygen(party, parties, 2, room)
        vertex.run()
        vertex.ask_keygen(parties[2], parties, 2, room)
        worker.work("protocol")  # one party has begun: its seed and its messages are in the database
        half_way = database_dump()
        vertex.run()
        signed = vertex.sign(parties[:2])
        crash_while_signing(vertex, parties[:2], monkeypatch)
        import_and_export(vertex, canaries)
        moved = move(vertex, canaries, settings, "plaintext", str)
        offline = partial(to_this_vertex, key=backup_key, monkeypatch=monkeypatch)
        moved += move(vertex, canaries, settings, "encrypted", offline)
        for route in ("GET /keys", "POST /keys", "GET /nowhere?api_key=" + token, "POST /users"):
            Api(token).call(route, {"token": token})
    for party in parties:
        hold(canaries, party)
    assert [operation.state for operation in signed] == ["done"] * 2
    assert canaries.found.keys() >= REQUIRED
    assert written.levels["ERROR"], "the crash was logged"

    places = {
        "logs and tracebacks": "\n".join(written.text).encode(),
        "database, half-way through a session": half_way,
        WHILE_BACKUPS_MOVE: b"\n".join(moved),
        "database": database_dump(),
        "broker": everything_in(broker),
        "relay": relay_streams(vertex),
        "keystore": files(Path(settings.VERTEX_KEYSTORE)),
        "reprs": repr([vertex.tasks, parties, [party.share for party in parties], canaries.__class__]).encode(),
    }
    for place, content in places.items():
        with subtests.test(place):
            assert len(content) > 100
            leaks = canaries.leaks(content)
            assert [leak for leak in leaks if leak.partition(",")[0] not in KEPT_OPEN.get(place, ())] == []


@pytest.mark.parametrize("form", forms(bytes(32)))
@pytest.mark.parametrize("before", [b"", b"x", b"xy"])
def test_a_planted_secret_is_found(form: str, before: bytes) -> None:
    secret = bytes(range(200, 232))
    canaries = Canaries()
    canaries.add("planted", secret)
    assert canaries.leaks(before + b"innocent") == []
    assert f"planted, {form}" in canaries.leaks(before + forms(secret)[form] + b"rest")


@pytest.mark.parametrize("around", [(b"", b""), (b"a", b"b"), (b"ab", b""), (b"abc", b"d")])
def test_a_secret_in_longer_base64_is_found(around: tuple[bytes, bytes]) -> None:
    secret = bytes(range(100, 132))
    canaries = Canaries()
    canaries.add("planted", secret)
    assert canaries.leaks(base64.b64encode(around[0] + secret + around[1]))
    assert canaries.leaks(base64.urlsafe_b64encode(around[0] + secret + around[1]))
