"""The life of Ed25519 and BIP340 keys through the sessions: generated, signing, refreshed, reshared, the same key."""

import hashlib
from typing import Any

import pytest
from coincurve import PublicKeyXOnly
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.models import Event
from keys.models import KeyShare, PairState, ProtocolSession
from keys.selectors import shown_key
from keys.sessions import worker
from mpc.frost.keys import signing_key
from mpc.schemes import scheme_of
from reshare.models import Reshare
from reshare.requests import Room, existing_request, joining_request, refresh_request
from tests.life import Party, Vertex, at_once
from tests.reshare.test_whole_life import confirm, new_party
from vertex.errors import ApiError

MESSAGE = b"not a digest"


def check(party: Party, signature: str, path: tuple[int, ...] = (), tweak: bytes | None = None) -> None:
    """By OpenSSL or libsecp256k1, under the key that the derive route tells."""
    share = party.share
    key = signing_key(share.scheme, bytes(share.public_key or b""), bytes(share.chain_code or b""), path, tweak)
    shown = scheme_of(share.scheme).shown(key.public.to_bytes())
    if share.scheme == "ed25519":
        Ed25519PublicKey.from_public_bytes(shown).verify(bytes.fromhex(signature), MESSAGE)
    else:
        assert PublicKeyXOnly(shown).verify(bytes.fromhex(signature), MESSAGE)


def signed(vertex: Vertex, parties: list[Party], **more: Any) -> str:
    operations = vertex.sign(parties, MESSAGE, **more)
    assert {operation.state for operation in operations} == {"done"}, operations[0].result
    results = [operation.result for operation in operations]
    assert all(result == results[0] and set(result) == {"signature"} for result in results)
    check(parties[0], results[0]["signature"], **more)
    return str(results[0]["signature"])


def reshared(vertex: Vertex, staying: list[Party], joiner: Party) -> list[Party]:
    everybody, name = [*staying, joiner], vertex.room(len(staying) + 1)
    share, rows = staying[0].share, []
    expected = bytes.fromhex(shown_key(share.scheme, share.public_key) or "")
    for party in everybody:
        operation = vertex.operation(party)
        asked = {
            "user": party.user,
            "operation": operation,
            "key_id": party.key_id,
            "scheme": share.scheme,
            "keygen_ids": [each.keygen_id for each in everybody],
            "new_threshold": 2,
            "room": Room(name, None, operation.deadline),
        }
        if party is joiner:
            rows.append(joining_request(**asked, expected_pubkey=expected))
        else:
            rows.append(existing_request(**asked))
    vertex.run()
    made = []
    for party, row in zip(everybody, rows, strict=True):
        row.refresh_from_db()
        made.append(new_party(party, row))
    for row in rows[:2]:
        confirm(row)
    vertex.run()
    return made


def refreshed(vertex: Vertex, parties: list[Party]) -> list[Party]:
    name, rows = vertex.room(len(parties)), []
    for party in parties:
        operation = vertex.operation(party)
        room = Room(name, None, operation.deadline)
        scheme = party.share.scheme
        rows.append(
            refresh_request(user=party.user, operation=operation, key_id=party.key_id, scheme=scheme, room=room)
        )
    vertex.run()
    made = []
    for party, row in zip(parties, rows, strict=True):
        row.refresh_from_db()
        made.append(new_party(party, row))
    return made


@pytest.mark.parametrize("scheme", ["ed25519", "bip340"])
def test_a_key_lives_through_a_refresh_and_a_reshare(vertex: Vertex, scheme: str) -> None:
    first = vertex.keygen("abc", 2, scheme)
    public_key = bytes(first[0].share.public_key or b"")
    signed(vertex, first[:2])
    signed(vertex, first, path=(3,))
    if scheme == "bip340":
        signed(vertex, first[1:], tweak=b"")
        signed(vertex, first[1:], tweak=bytes(range(32)), path=(3,))
    released = Event.objects.filter(action="sign.released").values_list("data", flat=True)
    assert {data["digest"] for data in released} == {hashlib.sha256(MESSAGE).hexdigest()}
    assert not ProtocolSession.objects.filter(params__has_key="message").exists(), "messages are not kept"

    second = refreshed(vertex, first)
    assert [party.state for party in first] == ["erased"] * 3
    assert [party.state for party in second] == ["active"] * 3
    signed(vertex, second[1:])

    third = reshared(vertex, second[:2], vertex.party("d", scheme))
    assert [party.state for party in third] == ["active"] * 3
    assert [party.state for party in second[:2]] == ["erased"] * 2
    assert {bytes(party.share.public_key or b"") for party in third} == {public_key}
    signed(vertex, third[1:], path=(3,))
    with pytest.raises(ApiError) as refused:
        vertex.ask_sign(second[0], vertex.room(2))
    assert refused.value.err_type == "share_erased"
    assert not PairState.objects.exists()
    assert set(Reshare.objects.values_list("state", flat=True)) <= {"complete", "clean"}


@pytest.mark.parametrize(
    ("first", "second", "field"),
    [
        ({"tweak": b""}, {}, "tweak"),
        ({}, {"path": (1,)}, "path"),
        ({"tweak": bytes(32)}, {"tweak": b""}, "tweak"),
    ],
)
def test_signers_that_were_asked_for_different_things(
    vertex: Vertex, first: dict[str, Any], second: dict[str, Any], field: str
) -> None:
    parties = vertex.keygen("ab", 2, "bip340")
    room = vertex.room(2)
    operations = [
        vertex.ask_sign(party, room, MESSAGE, **asked) for party, asked in zip(parties, (first, second), strict=True)
    ]
    at_once([lambda: worker.work("sign")] * 2)
    for operation in operations:
        operation.refresh_from_db()
        assert operation.state == "failed"
        assert operation.result["err_type"] == "executor_result"
        assert f"parameters differ: {field}" in operation.result["err_msg"]
    assert not ProtocolSession.objects.filter(params__has_key="message").exists(), "messages are not kept"
    assert not Event.objects.filter(action="sign.released").exists()


def test_a_share_superseded_between_request_and_work_does_not_sign(vertex: Vertex) -> None:
    parties = vertex.keygen("ab", 2, "ed25519")
    room = vertex.room(2)
    operations = [vertex.ask_sign(party, room, MESSAGE) for party in parties]
    KeyShare.objects.filter(id=parties[0].key_id).update(state="superseded")
    at_once([lambda: worker.work("sign")] * 2)
    for operation in operations:
        operation.refresh_from_db()
    assert [operation.state for operation in operations] == ["failed", "failed"]
    assert operations[0].result["err_type"] == "share_superseded"
    assert not Event.objects.filter(action="sign.released").exists()
