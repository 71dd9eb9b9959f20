"""batch-sign: mixed results, one room or one for each, limits, and what is stored of a batch."""

import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256K1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from django.utils import timezone

from audit.models import Event
from keys import batch, operations
from keys.hashes import digest_of
from keys.models import KeyShare, Operation, PairState, ProtocolSession
from keys.sessions import services, worker
from mpc.batch import NOT_AGREED
from mpc.wire import SealedBundle
from tests.api import footprint
from tests.life import Party, Vertex, at_once
from tests.mpc.simulator import Lie, edit
from vertex.errors import ApiError

Fields = dict[str, Any]
Answers = list[dict[str, Any]]


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


def work() -> None:
    while worker.work("sign"):
        pass


def sign(vertex: Vertex, asked: Sequence[tuple[Party, Sequence[Fields]]]) -> list[Any]:
    """Each party's own requests, worked on as the rooms filled: what it is answered."""
    made = [ask(vertex, party, requests) for party, requests in asked]
    for name, room in vertex.relay.rooms.items():
        if room.refused:
            services.room_refused(room=name, err_type=room.refused)
    at_once([work] * len(made))
    for operation in made:
        operation.refresh_from_db()
    assert {operation.state for operation in made} <= {"done", "failed"}
    return [operation.result for operation in made]


def kinds(answers: Answers) -> list[str]:
    """For each request `Signature`, or the type of its error."""
    return [each["Error"]["err_type"] if "Error" in each else next(iter(each)) for each in answers]


def digest(number: int) -> str:
    return digest_of(bytes((number,)) * 32, "sha256").hex()


def told(action: str, party: Party) -> list[str]:
    """The digests of these events of a party, in order."""
    found = Event.objects.filter(action=action, subject=str(party.key_id)).order_by("seq")
    return [event.data["digest"] for event in found if "digest" in event.data]


@pytest.mark.parametrize("scheme", ["ecdsa", "ed25519", "bip340"])
def test_one_room_serves_a_batch_with_mixed_results(vertex: Vertex, scheme: str) -> None:
    first, second = vertex.keygen("ab", 2, scheme)
    room = vertex.room(2)
    asked = [fields(scheme, room, number) for number in range(4)]
    theirs = [asked[0], fields(scheme, room, 99), *asked[2:]]
    answers = sign(vertex, [(first, asked), (second, theirs)])
    for each in answers:
        assert kinds(each) == ["Signature", "executor_result", "Signature", "Signature"]
        assert each[1]["Error"]["err_msg"] == NOT_AGREED
    assert answers[0] == answers[1]
    assert len({str(each) for each in answers[0]}) == 4
    assert set(answers[0][0]["Signature"]) == ({"r", "s", "v", "der"} if scheme == "ecdsa" else {"signature"})
    for party, other in ((first, 1), (second, 99)):
        assert told("sign.requested", party) == [digest(number) for number in (0, other, 2, 3)]
        assert told("sign.released", party) == told("sign.done", party) == [digest(number) for number in (0, 2, 3)]
        assert told("sign.failed", party) == [digest(other)]
    for session in ProtocolSession.objects.filter(kind="sign"):
        assert session.state == "done"
        assert not any("message" in item for item in session.params["items"]), "the callers' own"
        assert len(session.params["items"]) == 4


def test_signatures_of_a_batch_verify(vertex: Vertex) -> None:
    parties = vertex.keygen("ab", 2)
    room = vertex.room(2)
    asked = [fields("ecdsa", room, number) for number in range(3)]
    [answers, _] = sign(vertex, [(party, asked) for party in parties])
    key = EllipticCurvePublicKey.from_encoded_point(SECP256K1(), bytes(parties[0].share.public_key or b""))
    for number, each in enumerate(answers):
        der = bytes.fromhex(each["Signature"]["der"])
        key.verify(der, bytes.fromhex(digest(number)), ECDSA(Prehashed(SHA256())))


def test_what_one_vertex_refuses_is_its_own_error_there(vertex: Vertex) -> None:
    first, second = vertex.keygen("ab", 2)
    room = vertex.room(2)
    asked = [fields("ecdsa", room, number) for number in range(2)]
    broken = [asked[0], fields("ecdsa", room, 1, hash_algo="none", msg=b"too short")]
    mine, theirs = sign(vertex, [(first, asked), (second, broken)])
    assert kinds(mine) == ["Signature", "executor_result"]
    assert kinds(theirs) == ["Signature", "bad_request_params"]
    assert told("sign.requested", second) == told("sign.done", second) == [digest(0)]
    assert told("sign.failed", second) == []
    assert vertex.relay.rooms[room].refused is None, "the others sign the rest"


def test_each_request_may_have_a_room_of_its_own(vertex: Vertex) -> None:
    first, second = vertex.keygen("ab", 2)
    stranger = vertex.party("z")
    rooms = [vertex.room(2) for _ in range(3)]
    asked = [fields("ecdsa", room, number) for number, room in enumerate(rooms)]
    theirs = [asked[0], asked[1] | {"key_id": stranger.key_id}, asked[2]]
    mine, answers = sign(vertex, [(first, asked), (second, theirs)])
    assert kinds(mine) == ["Signature", "executor_result", "Signature"]
    assert kinds(answers) == ["Signature", "key_id_not_exists", "Signature"]
    assert mine[::2] == answers[::2]
    assert "refused the call that names this room (key_id_not_exists)" in mine[1]["Error"]["err_msg"]
    assert Operation.objects.exclude(parent=None).exclude(state="pending").count() == 6
    assert told("sign.done", first) == [digest(0), digest(2)]


def test_a_batch_of_one_is_a_single_signature(vertex: Vertex) -> None:
    first, second = vertex.keygen("ab", 2)
    room = vertex.room(2)
    operation = ask(vertex, first, [fields("ecdsa", room, 1)])
    single = vertex.ask_sign(second, room, bytes.fromhex(digest(1)))
    at_once([work] * 2)
    operation.refresh_from_db()
    single.refresh_from_db()
    assert operation.result == [{"Signature": single.result}]


def test_a_batch_and_a_single_signature_in_one_room_are_a_named_error(vertex: Vertex) -> None:
    first, second = vertex.keygen("ab", 2)
    room = vertex.room(2)
    operation = ask(vertex, first, [fields("ecdsa", room, number) for number in range(2)])
    vertex.ask_sign(second, room, bytes.fromhex(digest(0)))
    at_once([work] * 2)
    operation.refresh_from_db()
    assert (operation.state, operation.result["err_type"]) == ("failed", "executor_result")
    assert "protocol" in operation.result["err_msg"]


NO_BATCH: dict[str, tuple[Any, str]] = {
    "two rooms for three": (lambda rooms, key: [{"room_uuid": rooms[at]} for at in (0, 0, 1)], "bad_request_params"),
    "two keys in one": (
        lambda rooms, key: [{"room_uuid": rooms[0]}, {"room_uuid": rooms[0], "key_id": key}],
        "bad_request_params",
    ),
    "two relays": (
        lambda rooms, key: [{"room_uuid": rooms[0]}, {"room_uuid": rooms[0], "relay_address": "other"}],
        "bad_request_params",
    ),
    "too many for one room": (lambda rooms, key: [{"room_uuid": rooms[0]}] * 101, "batch_too_large"),
    "a relay that is not allowed": (
        lambda rooms, key: [{"room_uuid": rooms[0], "relay_address": "evil.example"}] * 2,
        "bad_request_params",
    ),
}


@pytest.mark.parametrize(("make", "err_type"), NO_BATCH.values(), ids=NO_BATCH.keys())
def test_what_is_no_batch_leaves_nothing_behind(vertex: Vertex, make: Any, err_type: str) -> None:
    parties = vertex.keygen("abc", 3, "ed25519")
    rooms = [vertex.room(3) for _ in range(2)]
    requests = [fields("ed25519", "", 0) | each for each in make(rooms, parties[1].key_id)]
    before = footprint()
    with pytest.raises(ApiError) as refused:
        ask(vertex, parties[0], requests)
    assert refused.value.err_type == err_type
    assert footprint() == before | {"Operation": before["Operation"] + 1}, "the caller's own"


@pytest.mark.parametrize(("count", "largest"), [(2, 3), (66, 3), (67, 3), (100, 3), (101, 2)])
def test_a_room_is_no_larger_than_the_relay_carries(
    vertex: Vertex, monkeypatch: pytest.MonkeyPatch, count: int, largest: int
) -> None:
    [party, *_] = vertex.keygen("abc", 2, "ed25519")
    joined: list[tuple[int, int]] = []
    join = vertex.relay.join

    def noted(room: str, *, party: str, **wanted: Any) -> Any:
        joined.append((wanted["min_size"], wanted["max_size"]))
        return join(room, party=party, **wanted)

    monkeypatch.setattr(vertex.relay, "join", noted)
    ask(vertex, party, [fields("ed25519", vertex.room(2), 0)] * count)
    assert joined == [(2, largest)]


@pytest.mark.parametrize("why", ["key", "state"])
def test_where_every_request_is_refused_the_room_hears_it(vertex: Vertex, why: str) -> None:
    parties = vertex.keygen("ab", 2)
    room, key_id = vertex.room(2), parties[0].key_id
    if why == "key":
        key_id = parties[1].key_id
    else:
        KeyShare.objects.filter(id=key_id).update(state="superseded")
    before = ProtocolSession.objects.count()
    operation = ask(vertex, parties[0], [fields("ecdsa", room, number, key_id=key_id) for number in range(2)])
    operation.refresh_from_db()
    expected = "key_id_not_exists" if why == "key" else "share_superseded"
    assert (operation.state, operation.status, kinds(operation.result)) == ("done", 200, [expected] * 2)
    assert vertex.relay.rooms[room].refused == expected
    assert ProtocolSession.objects.count() == before


def flipped_extension(bundle: Any) -> None:
    items = list(bundle.items)
    items[1] = items[1][:-1] + bytes((items[1][-1] ^ 1,))
    bundle.items = tuple(items)


def test_who_cheats_in_one_request_is_banned_and_ends_the_batch(vertex: Vertex) -> None:
    liar, victim = parties = vertex.keygen("ab", 2)
    room = vertex.room(2)
    asked = [fields("ecdsa", room, number) for number in range(3)]
    with Lie(liar.identity, 1, edit(SealedBundle, flipped_extension), receiver=victim.identity).told():
        answers = sign(vertex, [(party, asked) for party in parties])
    assert [each["err_type"] for each in answers] == ["executor_result"] * 2
    assert liar.keygen_id in answers[1]["err_msg"]
    assert PairState.objects.get(share=victim.key_id, peer=liar.identity).banned_at is not None
    assert Event.objects.filter(action="pair.banned").count() == 1
    assert told("sign.released", victim) == told("sign.done", victim) == []


def test_nothing_is_released_of_a_share_that_must_not_sign_any_more(vertex: Vertex) -> None:
    parties = vertex.keygen("ab", 2)
    room = vertex.room(2)
    made = [ask(vertex, party, [fields("ecdsa", room, number) for number in range(2)]) for party in parties]
    KeyShare.objects.filter(id=parties[0].key_id).update(state="superseded")
    at_once([work] * 2)
    for operation in made:
        operation.refresh_from_db()
    assert [operation.state for operation in made] == ["failed", "failed"]
    assert made[0].result["err_type"] == "share_superseded"
    assert not Event.objects.filter(action="sign.released").exists()


@pytest.mark.parametrize("scheme", ["ecdsa", "bip340"])
def test_a_batch_whose_worker_died_is_never_run_again(
    vertex: Vertex, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parties = vertex.keygen("ab", 2, scheme)
    room = vertex.room(2)
    made = [ask(vertex, party, [fields(scheme, room, number) for number in range(2)]) for party in parties]
    gone = timezone.now() - timedelta(seconds=1)
    ProtocolSession.objects.filter(kind="sign").update(state="running", lease_until=gone)
    monkeypatch.setattr(worker, "Driver", None)  # must not be asked
    services.sweep()
    for operation in made:
        operation.refresh_from_db()
        assert operation.state == "failed"
        assert "worker that ran this was lost" in operation.result["err_msg"]
    assert not any("message" in item for s in ProtocolSession.objects.filter(kind="sign") for item in s.params["items"])


# --- parts of a batch ---------------------------------------------------------------------------------------------


@pytest.fixture
def parted(vertex: Vertex) -> tuple[Operation, list[Operation]]:
    operation = vertex.operation(vertex.party("a"))
    return operation, operations.split(operation, parts=3)


def test_who_gives_up_waiting_ends_what_has_not_begun(vertex: Vertex) -> None:
    first, second = vertex.keygen("ab", 2)
    rooms = [vertex.room(2) for _ in range(3)]
    operation = ask(vertex, first, [fields("ecdsa", room, number) for number, room in enumerate(rooms)])
    vertex.ask_sign(second, rooms[1], bytes.fromhex(digest(1)))
    at_once([work] * 2)
    operation.refresh_from_db()
    assert operation.state == "pending"
    batch.batch_cancel(operation_id=operation.id)
    operation.refresh_from_db()
    assert (operation.state, kinds(operation.result)) == ("done", ["executor_result", "Signature", "executor_result"])
    assert "not all 2 parties joined" in operation.result[0]["Error"]["err_msg"]


def test_who_gives_up_waiting_ends_a_room_of_the_whole_batch(vertex: Vertex) -> None:
    [party, _] = vertex.keygen("ab", 2, "ed25519")
    operation = ask(vertex, party, [fields("ed25519", vertex.room(2), 0)] * 2)
    batch.batch_cancel(operation_id=operation.id)
    operation.refresh_from_db()
    assert (operation.state, operation.result["err_type"]) == ("failed", "executor_result")


def test_parts_that_end_at_once_end_the_batch_once(parted: tuple[Operation, list[Operation]]) -> None:
    operation, parts = parted
    together = threading.Barrier(len(parts))

    def end(at: int) -> None:
        together.wait(timeout=30)
        error = ApiError("share_erased", "m") if at == 1 else None
        assert operations.finish(operation_id=parts[at].id, result={"signature": str(at)}, error=error)
        assert not operations.finish(operation_id=parts[at].id, result={}), "twice"

    at_once([lambda at=at: end(at) for at in range(3)])  # type: ignore[misc]
    operation.refresh_from_db()
    assert (operation.state, operation.status) == ("done", 200)
    assert operation.result == [
        {"Signature": {"signature": "0"}},
        {"Error": {"err_type": "share_erased", "err_msg": "m"}},
        {"Signature": {"signature": "2"}},
    ]


def test_a_batch_is_overdue_by_its_parts(parted: tuple[Operation, list[Operation]]) -> None:
    operation, parts = parted
    operations.finish(operation_id=parts[0].id, result={"signature": "0"})
    Operation.objects.filter(id=operation.id).update(deadline=timezone.now() - timedelta(seconds=1))
    assert operations.expire() == 0
    operation.refresh_from_db()
    assert operation.state == "pending"
    Operation.objects.update(deadline=timezone.now() - timedelta(seconds=1))
    assert operations.expire() == 2
    operation.refresh_from_db()
    assert kinds(operation.result) == ["Signature", "executor_result", "executor_result"]
