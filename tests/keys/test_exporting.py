"""Export of a whole key: who gets it, what is marked before a share leaves, and what the key still does."""

from typing import Any

import pytest
from coincurve import PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from audit.models import Event
from keys import exporting, operations
from keys.actions import require
from keys.boxes import AnswerKey
from keys.keystore import keystore
from keys.models import KeyShare, Operation, ShareExport
from tests.life import Party, Vertex
from vertex.errors import ApiError


def refused(key: KeyShare, action: Any) -> str:
    try:
        return require(key, action)
    except ApiError as error:
        return error.err_type


def opened(operation: Operation, key: AnswerKey) -> dict[str, Any]:
    answer = operations.answer(operation, key).data
    assert isinstance(answer, dict)
    return answer


def ask(vertex: Vertex, party: Party, to: Party) -> str:
    with pytest.raises(ApiError) as error:
        vertex.ask_export(party, to, vertex.room(2))
    return error.value.err_type


@pytest.mark.parametrize("scheme", ["ecdsa", "ed25519", "bip340"])
def test_the_recipient_gets_the_key_and_every_participant_is_done_with_it(vertex: Vertex, scheme: str) -> None:
    a, b, c = vertex.keygen("abc", 2, scheme)
    key = AnswerKey()
    to_b, to_c = vertex.export([b, c], b, key.public)
    assert (to_b.state, to_c.state, to_c.result) == ("done", "done", {})
    secret = bytes.fromhex(opened(to_b, key)["private_key"])
    if scheme != "ed25519":
        assert PublicKey.from_secret(secret).format() == bytes(b.share.public_key or b"")
    for party in (b, c):
        share = party.share
        assert share.exported_at is not None
        assert [refused(share, action) for action in ("sign", "reshare", "backup")] == ["share_superseded"] * 3
        assert [refused(share, action) for action in ("export", "derive", "read", "delete")] == ["ok"] * 4
        assert [(each.kind, each.caller) for each in ShareExport.objects.filter(share=share)] == [
            ("whole key", party.name)
        ]
    assert a.share.exported_at is None
    assert Event.objects.filter(action="key.exported").count() == 2


def test_an_exported_key_signs_no_more_but_may_be_exported_again(vertex: Vertex) -> None:
    parties = vertex.keygen("ab", 2, "bip340")
    vertex.export(parties, parties[0])
    with pytest.raises(ApiError) as error:
        vertex.ask_sign(parties[1], vertex.room(2))
    assert (error.value.err_type, "exported whole" in error.value.message) == ("share_superseded", True)
    first = parties[0].share.exported_at
    again = vertex.export(parties, parties[1])
    assert [operation.state for operation in again] == ["done", "done"]
    assert parties[0].share.exported_at == first
    assert ShareExport.objects.count() == 4


def test_nothing_but_the_view_opens_the_answer_and_only_once(vertex: Vertex) -> None:
    parties, key = vertex.keygen("ab", 2, "ed25519"), AnswerKey()
    operation = vertex.export(parties, parties[0], key.public)[0]
    assert operations.answer(operation).data == {}
    assert operations.public_result(operation) == {}
    assert set(opened(operation, key)) == {"private_key"}
    operation.refresh_from_db()
    assert operation.result == {}


def test_a_share_that_may_not_go_does_not_go(vertex: Vertex, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its state changed after the request: the mark is not made, and nothing leaves."""
    parties = vertex.keygen("ab", 2, "ed25519")
    asked = exporting.ExportKind.checkpoint

    def changed(kind: Any, session: Any, lease: Any, checkpoint: Any) -> Any:
        KeyShare.objects.filter(id=session.share_id).update(state="retiring")
        return asked(kind, session, lease, checkpoint)

    monkeypatch.setattr(exporting.ExportKind, "checkpoint", changed)
    done = vertex.export(parties, parties[0])
    assert {operation.result["err_type"] for operation in done} <= {"reshare_conflict", "executor_result"}
    assert [party.share.exported_at for party in parties] == [None, None]
    assert not ShareExport.objects.exists()
    room = next(reversed(vertex.relay.rooms.values()))
    assert not [place for place in room.slots if place[1] == 2]


def test_the_mark_is_made_before_the_share_leaves(vertex: Vertex, monkeypatch: pytest.MonkeyPatch) -> None:
    parties = vertex.keygen("ab", 2, "ed25519")
    monkeypatch.setattr(exporting.ShareExport.objects, "create", lambda **fields: 1 / 0)
    vertex.export(parties, parties[0])
    room = next(reversed(vertex.relay.rooms.values()))
    assert not [place for place in room.slots if place[1] == 2]
    assert [party.share.exported_at for party in parties] == [None, None]


def test_a_restored_database_learns_the_mark_from_the_journal(vertex: Vertex) -> None:
    parties = vertex.keygen("ab", 2, "ed25519")
    vertex.export(parties, parties[0])
    marked = parties[0].share.exported_at
    KeyShare.objects.update(exported_at=None)
    exporting.marks_restore()
    assert parties[0].share.exported_at == marked
    assert len(keystore().journal.list("exported/")) == 2


def test_requests_that_can_not_be(vertex: Vertex) -> None:
    parties = vertex.keygen("ab", 2, "ed25519")
    stranger = vertex.party("stranger", "ed25519")
    assert ask(vertex, parties[0], stranger) == "bad_request_params"
    assert ask(vertex, stranger, stranger) == "key_operation_before_keygen"
    with pytest.raises(ApiError, match="export_to"):
        exporting.export_request(
            user=parties[0].user,
            operation=vertex.operation(parties[0]),
            key_id=parties[0].key_id,
            scheme="ed25519",
            export_to="nobody",
            room_uuid=vertex.room(2),
            relay_address=None,
            deadline=parties[0].share.created_at,
            answer_to=X25519PrivateKey.generate().public_key().public_bytes_raw(),
        )


def test_an_export_refuses_while_a_reshare_may_deal_the_share(vertex: Vertex, monkeypatch: pytest.MonkeyPatch) -> None:
    parties = vertex.keygen("ab", 2, "ed25519")
    monkeypatch.setattr(exporting, "in_flight", lambda key: True)
    done = vertex.export(parties, parties[0])
    assert "reshare_conflict" in {operation.result["err_type"] for operation in done}
    assert [party.share.exported_at for party in parties] == [None, None]
