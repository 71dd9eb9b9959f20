"""Policies over the life of a key: who is asked before what, and that new shares stay under them."""

from typing import Any

import pytest

from audit.models import Event
from keys import backup, batch
from keys.boxes import AnswerKey
from keys.models import Approval, KeyShare, ProtocolSession, ShareExport
from keys.policies import services
from reshare import deleting
from reshare.requests import Room, existing_request, joining_request, refresh_request
from tests.life import Party, Vertex
from vertex.errors import ApiError


def bind(party: Party, kind: str, **parameters: Any) -> None:
    rule = services.built_in_rule_add(name=kind, kind=kind, parameters=parameters, actor="admin")
    policy = services.policy_create(name=kind, rules=[rule.id], actor="admin")
    services.policy_of_key(key_id=party.key_id, policy_id=policy.id, actor="admin")


def named(vertex: Vertex, party: Party, room: str) -> dict[str, Any]:
    operation = vertex.operation(party)
    about = {"user": party.user, "operation": operation, "key_id": party.key_id, "scheme": "ecdsa"}
    return about | {"room": Room(room, None, operation.deadline)}


def refresh(vertex: Vertex, parties: list[Party]) -> None:
    room = vertex.room(len(parties))
    for party in parties:
        refresh_request(**named(vertex, party, room))
    vertex.run()


def successor(party: Party) -> KeyShare:
    return KeyShare.objects.get(predecessor=party.key_id)


def test_a_refused_call_begins_nothing(vertex: Vertex) -> None:
    parties = vertex.keygen("ab", 2)
    party, ids = parties[0], [each.keygen_id for each in parties]
    bind(party, "allowed_actions", actions=["export"])
    room, operation = vertex.room(2), vertex.operation(party)
    before = ProtocolSession.objects.count()
    calls = {
        "sign": lambda: vertex.ask_sign(party, room),
        "reshare": lambda: existing_request(**named(vertex, party, room), keygen_ids=ids, new_threshold=2),
        "refresh": lambda: refresh_request(**named(vertex, party, room)),
        "delete": lambda: deleting.delete_request(
            user=party.user, operation=operation, key_id=party.key_id, scheme="ecdsa"
        ),
    }
    for action, call in calls.items():
        with pytest.raises(ApiError, match=f"rule allowed_actions: {action} is not among") as refused:
            call()
        assert refused.value.err_type == "policy_validation_failed"
    assert (ProtocolSession.objects.count(), party.state) == (before, "active")
    assert list(Event.objects.filter(action="policy.denied").values_list("data__action", flat=True)) == list(calls)


def test_what_is_not_let_out_begins_nothing(vertex: Vertex, settings: Any) -> None:
    settings.VERTEX_BACKUP = "plaintext"
    party, other = vertex.keygen("ab", 2)
    bind(party, "allowed_actions", actions=["sign"])
    before = ProtocolSession.objects.count()
    operation = vertex.operation(party)
    calls = {
        "export": lambda: vertex.ask_export(party, other, vertex.room(2)),
        "backup": lambda: backup.backup_request(
            user=party.user,
            operation=operation,
            key_id=party.key_id,
            scheme="ecdsa",
            answer_to=AnswerKey().public,
        ),
    }
    for action, call in calls.items():
        with pytest.raises(ApiError, match=f"rule allowed_actions: {action} is not among") as refused:
            call()
        assert refused.value.err_type == "policy_validation_failed"
    vertex.run()
    operation.refresh_from_db()
    assert (ProtocolSession.objects.count(), operation.state) == (before, "pending")
    assert (ShareExport.objects.exists(), party.share.exported_at) == (False, None)


def test_who_joins_is_not_asked(vertex: Vertex) -> None:
    party, other = vertex.party("a"), vertex.party("b")
    bind(party, "allowed_actions", actions=["export"])
    ids = [party.keygen_id, other.keygen_id]
    assert joining_request(**named(vertex, party, vertex.room(3)), keygen_ids=ids, new_threshold=2).role == "joining"


def test_what_is_gone_is_deleted_again_without_asking(vertex: Vertex) -> None:
    party = vertex.party("a")
    KeyShare.objects.filter(id=party.key_id).update(state="discarded")
    bind(party, "operator_approval")
    operation = vertex.operation(party)
    deleting.delete_request(user=party.user, operation=operation, key_id=party.key_id, scheme="ecdsa")
    operation.refresh_from_db()
    assert operation.result == {}
    assert not Approval.objects.exists()


@pytest.mark.parametrize("one_room", [True, False])
def test_of_a_batch_only_what_is_refused_fails(vertex: Vertex, one_room: bool) -> None:
    party = vertex.keygen("ab", 2)[0]
    bind(party, "message_prefix", prefixes=["01"])
    operation, room = vertex.operation(party), vertex.room(2)
    requests = [
        {
            "key_id": party.key_id,
            "room_uuid": room if one_room else vertex.room(2),
            "msg": byte * 32,
            "hash_algo": "none",
        }
        for byte in (b"\1", b"\2", b"\1")
    ]
    batch.batch_request(
        user=party.user, operation=operation, scheme="ecdsa", requests=requests, deadline=operation.deadline
    )
    sessions = ProtocolSession.objects.filter(kind="sign")
    if one_room:
        errors = [item.get("error", {}).get("err_type") for item in sessions.get().params["items"]]
        assert errors == [None, "policy_validation_failed", None]
    else:
        assert sorted(session.room for session in sessions) == sorted(requests[n]["room_uuid"] for n in (0, 2))
        part = operation.parts.get(index=1)
        assert part.result["err_type"] == "policy_validation_failed"


def test_a_new_share_has_its_predecessors_policy(vertex: Vertex) -> None:
    parties = vertex.keygen("abc", 2)
    bind(parties[0], "allowed_actions", actions=["refresh"])
    refresh(vertex, parties)
    held = parties[0].share.policy_id
    assert held is not None
    assert [successor(party).policy_id for party in parties] == [held, None, None]


def test_a_policy_attached_during_a_reshare_binds_the_new_share(vertex: Vertex) -> None:
    parties = vertex.keygen("abc", 2)
    ids, room = [party.keygen_id for party in parties], vertex.room(3)
    for party in parties:
        existing_request(**named(vertex, party, room), keygen_ids=ids, new_threshold=3)
    vertex.run()
    assert successor(parties[0]).state == "quarantined"
    bind(parties[0], "allowed_actions", actions=["refresh"])
    assert successor(parties[0]).policy_id == parties[0].share.policy_id is not None
    services.policy_of_key(key_id=parties[0].key_id, policy_id=None, actor="admin")
    assert successor(parties[0]).policy_id is None
