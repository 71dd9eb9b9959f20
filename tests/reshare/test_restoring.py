"""Backups of single shares: out, recorded; back in, suspended until an operator agrees, and never what was given up."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from django.core.management import CommandError
from django.utils import timezone

from audit.models import Event
from keys import bans, handed, operations, restored
from keys.actions import require
from keys.backup import Container, backup_export, backup_request, content_of
from keys.boxes import AnswerKey, ensure_box, renewal_due
from keys.keystore import keystore
from keys.models import KeyShare, Operation, PairState, ProtocolSession, ShareExport
from keys.restored import agree
from keys.shares import journal_name, pairs_open, share_open
from mpc.errors import Malformed
from mpc.identity import encode_keygen_id
from mpc.wire import encode
from reshare import acceptor
from reshare.kind import ReshareKind
from reshare.outcome import RESTORED
from reshare.reconcile import reconcile
from reshare.requests import Room, existing_request, refresh_request
from reshare.restoring import agreed_task, restore_request, restore_task
from reshare.rule.types import Ballot
from tests.backups import asked, export, lose, new_backup_key, restore, to_this_vertex
from tests.life import Killed, Vertex
from vertex.errors import ApiError


@pytest.fixture
def backups(settings: Any, tmp_path: Path) -> Path:
    """A vertex that makes encrypted backups, and the file of the key that opens them."""
    path = tmp_path / "backup.key"
    settings.VERTEX_BACKUP, settings.VERTEX_BACKUP_PUBLIC_KEY = "encrypted", new_backup_key(path)
    return path


def refusal(operation: Operation) -> str:
    return str(operation.result["err_type"])


def refused(key: KeyShare, action: Any) -> str:
    try:
        return require(key, action)
    except ApiError as error:
        return error.err_type


def test_an_encrypted_backup_is_recorded_and_opens_with_its_key_only(
    vertex: Vertex, backups: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    party = vertex.keygen("ab", 2, "ed25519")[0]
    given = export(vertex, party)
    assert given["export_type"] == "encrypted"
    assert [(each.kind, each.caller) for each in ShareExport.objects.all()] == [
        ("backup, encrypted", f"user:{party.user.id}")
    ]
    assert Event.objects.get(action="share.exported").data == {"export_type": "encrypted"}
    other = tmp_path / "other.key"
    other.write_text(X25519PrivateKey.generate().private_bytes_raw().hex())
    with pytest.raises(CommandError, match="not opened"):
        to_this_vertex(given["key_share"], other, monkeypatch)
    with pytest.raises(ApiError, match="backup_open --vertex"):
        restore(vertex, party, given["key_share"])


@pytest.mark.parametrize("scheme", ["ed25519", "ecdsa"])
def test_a_restored_share_acts_once_an_operator_agrees(
    vertex: Vertex, backups: Path, monkeypatch: pytest.MonkeyPatch, settings: Any, scheme: str
) -> None:
    settings.VERTEX_TWO_PERSON = False
    parties = vertex.keygen("ab", 2, scheme)
    public_key, gid = bytes(parties[0].share.public_key or b""), bytes(parties[0].share.gid or b"")
    text = export(vertex, parties[0])["key_share"]
    lose(parties[0])
    done = restore(vertex, parties[0], to_this_vertex(text, backups, monkeypatch), scheme=scheme)
    assert done.state == "done", done.result
    parties[0].key_id = key_id = done.result["key_id"]
    key = parties[0].share
    assert (key.state, key.suspended, bytes(key.public_key or b"")) == ("active", RESTORED, public_key)
    assert [refused(key, action) for action in ("sign", "reshare", "export", "backup")] == ["reshare_conflict"] * 4
    assert acceptor.read(parties[0].identity, gid).restored
    assert pairs_open(key) == {}, "a backup has no pairs"
    agree(key_id=key_id, actor="admin", reason="the old host burnt down")
    agreed_task(*vertex.tasks[-1][1])
    assert parties[0].share.suspended == ""
    signed = vertex.sign(parties)
    assert [each.state for each in signed] == (["done"] if scheme == "ed25519" else ["failed"]) * 2


def test_two_persons_agree(vertex: Vertex, backups: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.VERTEX_TWO_PERSON = True
    party = vertex.keygen("ab", 2, "ed25519")[0]
    text = export(vertex, party)["key_share"]
    lose(party)
    party.key_id = restore(vertex, party, to_this_vertex(text, backups, monkeypatch)).result["key_id"]
    with pytest.raises(ApiError) as error:
        agree(key_id=party.key_id, actor="admin", reason="alone")
    assert error.value.err_type == "policy_validation_failed"
    assert party.share.suspended == RESTORED


def test_what_lives_here_or_was_given_up_does_not_come_back(
    vertex: Vertex, backups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    party = vertex.keygen("ab", 2, "ed25519")[0]
    share = party.share
    gid = bytes(share.gid or b"")
    text = to_this_vertex(export(vertex, party)["key_share"], backups, monkeypatch)
    assert refusal(restore(vertex, party, text)) == "unique_violation"
    KeyShare.objects.filter(id=share.id).update(state="superseded")
    assert refusal(restore(vertex, party, text)) == "share_superseded"
    KeyShare.objects.filter(id=share.id).update(state="erased", sealed_share=None, data_key=None)
    assert refusal(restore(vertex, party, text)) == "share_erased"
    assert not acceptor.read(party.identity, gid).restored, "a refusal changes nothing"
    entry = keystore().journal.read(journal_name(party.identity, gid))
    lose(party)
    keystore().journal.replace(journal_name(party.identity, gid), entry or b"")
    assert refusal(restore(vertex, party, text)) == "unique_violation"
    keystore().journal.destroy(journal_name(party.identity, gid))
    empty = acceptor.read(party.identity, gid)
    acceptor.replace(party.identity, gid, expected=empty, record=empty._replace(accepted=Ballot(1, bytes(32))))
    assert refusal(restore(vertex, party, text)) == "share_superseded"


def test_an_older_generation_does_not_come_back(vertex: Vertex, backups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    party = vertex.keygen("ab", 2, "ed25519")[0]
    text = to_this_vertex(export(vertex, party)["key_share"], backups, monkeypatch)
    KeyShare.objects.filter(id=party.key_id).update(gid=bytes(32), generation=2)
    assert refusal(restore(vertex, party, text)) == "share_superseded"


def test_off_and_the_two_modes(vertex: Vertex, settings: Any) -> None:
    party = vertex.keygen("ab", 2, "ed25519")[0]
    with pytest.raises(ApiError) as error:
        export(vertex, party)
    assert error.value.err_type == "server_share_backup_setting_disabled"
    settings.VERTEX_BACKUP = "plaintext"
    given = export(vertex, party)
    assert given["export_type"] == Container.parse(given["key_share"]).kind == "plaintext"
    with pytest.raises(ApiError, match="export_type"):
        restore(vertex, party, given["key_share"], export_type="encrypted")
    assert refusal(restore(vertex, party, given["key_share"], scheme="bip340")) == "bad_request_params"
    for mode in ("off", "encrypted"):
        settings.VERTEX_BACKUP = mode
        with pytest.raises(ApiError) as error:
            restore(vertex, party, given["key_share"])
        assert error.value.err_type == "server_share_backup_setting_disabled"


@pytest.mark.parametrize("text", ["", "!", "AAAA", "kw==", "x" * 100])
def test_what_is_no_backup(vertex: Vertex, backups: Path, text: str) -> None:
    with pytest.raises(ApiError, match="not a "):
        restore(vertex, vertex.party("a", "ed25519"), text)


def test_the_backup_of_a_key_exported_whole_is_refused(vertex: Vertex, backups: Path) -> None:
    parties = vertex.keygen("ab", 2, "ed25519")
    vertex.export(parties, parties[0])
    with pytest.raises(ApiError, match="exported whole"):
        export(vertex, parties[0])


def test_a_backup_brings_the_bans_of_its_time(
    vertex: Vertex, backups: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.VERTEX_TWO_PERSON = False
    party, banned, undone, peer = vertex.keygen("abcd", 2)
    pairs = PairState.objects.filter(share=party.share)
    pairs.filter(peer=banned.identity).update(banned_at=timezone.now())
    pairs.filter(peer=undone.identity).update(banned_at=timezone.now(), lifted_at=timezone.now())
    keystore().keys.destroy(str(pairs.get(peer=peer.identity).data_key))  # a ban that the database has forgotten
    text = to_this_vertex(export(vertex, party)["key_share"], backups, monkeypatch)
    lose(party)
    done = restore(vertex, party, text, scheme="ecdsa")
    party.key_id = done.result["key_id"]
    expected = sorted([banned.identity, peer.identity])
    assert [bytes(pair.peer) for pair in bans.standing(party.share)] == expected
    assert bans.by_keystore(party.share) == tuple(expected), "and the next backup brings them too"
    made_at = datetime.fromisoformat(done.result["bans_known_until"])
    assert made_at == party.share.backed_up_at
    assert restored.statement_of(party.share)["banned"] == [encode_keygen_id(each) for each in expected]
    agree(key_id=party.key_id, actor="admin", reason="the old host burnt down")
    agreed_task(*vertex.tasks[-1][1])
    for quorum, refusal in (([party, banned, undone], "banned for a failed check"), ([party, undone], None)):
        operation = vertex.operation(party)
        asked = {
            "key_id": party.key_id,
            "scheme": "ecdsa",
            "keygen_ids": [each.keygen_id for each in quorum],
            "new_threshold": 2,
            "room": Room(vertex.room(4), None, operation.deadline),
        }
        if refusal is None:
            assert existing_request(user=party.user, operation=operation, **asked).pk
        else:
            with pytest.raises(ApiError, match=refusal):
                existing_request(user=party.user, operation=operation, **asked)


@pytest.mark.parametrize("wrong", ["stranger", "itself", "twice", "in another order"])
def test_bans_of_a_backup_are_of_its_counterparties(vertex: Vertex, settings: Any, wrong: str) -> None:
    settings.VERTEX_BACKUP = "plaintext"
    party, *peers = vertex.keygen("abc", 2, "ed25519")
    content, _ = content_of(Container.parse(export(vertex, party)["key_share"]).body)
    first, second = sorted(peer.identity for peer in peers)
    content.banned = (first, second)
    assert content_of(encode(content))[0].banned == (first, second)
    content.banned = {
        "stranger": (bytes(32),),
        "itself": (party.identity,),
        "twice": (first, first),
        "in another order": (second, first),
    }[wrong]
    with pytest.raises(Malformed, match="bans"):
        content_of(encode(content))


@pytest.mark.parametrize("task", ["keys.backup_export", "reshare.restore"])
def test_a_task_that_was_lost_with_the_broker_is_sent_again(vertex: Vertex, settings: Any, task: str) -> None:
    settings.VERTEX_BACKUP = "plaintext"
    party = vertex.keygen("ab", 2, "ed25519")[0]
    text, operation = export(vertex, party)["key_share"], asked(vertex, party)
    ensure_box()
    if task == "reshare.restore":
        lose(party)
        restore_request(operation=operation, scheme="ed25519", key_share=text, export_type=None)
    else:
        answer_to = AnswerKey().public
        backup_request(user=party.user, operation=operation, key_id=party.key_id, scheme="ed25519", answer_to=answer_to)
    vertex.tasks.clear()
    assert handed.ask_again() == 0, "it may be on its way"
    Operation.objects.update(created_at=timezone.now() - timedelta(seconds=settings.VERTEX_SWEEP + 2))
    assert handed.ask_again() == 1
    assert vertex.tasks == [(task, [str(operation.id)])], "nothing but the id"
    does = {"keys.backup_export": backup_export, "reshare.restore": restore_task}[task]
    does(str(operation.id))
    does(str(operation.id))  # both had only been late
    operation.refresh_from_db()
    assert (operation.state, operation.arguments) == ("done", {}), operation.result
    assert handed.ask_again() == 0
    assert Event.objects.filter(action="share.restored").count() == (task == "reshare.restore")
    assert ShareExport.objects.count() == (2 if task == "keys.backup_export" else 0)


def test_the_box_key_stays_while_a_backup_waits(vertex: Vertex, settings: Any) -> None:
    settings.VERTEX_BACKUP, settings.VERTEX_SYNC_TIMEOUT = "plaintext", 0
    party = vertex.keygen("ab", 2, "ed25519")[0]
    text = export(vertex, party)["key_share"]
    ensure_box()
    operation = asked(vertex, party)
    restore_request(operation=operation, scheme="ed25519", key_share=text, export_type=None)
    assert not renewal_due()
    restore_task(str(operation.id))
    assert renewal_due()


def test_a_worker_dies_between_keystore_and_database(
    vertex: Vertex, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.VERTEX_BACKUP = "plaintext"
    party = vertex.keygen("ab", 2, "ed25519")[0]
    text = export(vertex, party)["key_share"]
    lose(party)

    def die(**_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(operations, "finish", die)
        with pytest.raises(Killed):
            restore(vertex, party, text)
    assert not KeyShare.objects.filter(identity__public=party.identity).exists()
    operation = Operation.objects.get(state="pending", task="reshare.restore")
    other = restore(vertex, party, text)
    assert refusal(other) == "unique_violation", "another call's share is half there"
    restore_task(str(operation.id))
    operation.refresh_from_db()
    party.key_id = operation.result["key_id"]
    assert (party.state, party.share.suspended) == ("active", RESTORED)
    assert share_open(party.share).identity == party.identity


def test_a_restored_database_knows_the_share_and_its_bans_from_the_journal(vertex: Vertex, settings: Any) -> None:
    settings.VERTEX_BACKUP = "plaintext"
    party, peer = vertex.keygen("ab", 2, "ed25519")
    PairState.objects.create(share=party.share, peer=peer.identity, banned_at=timezone.now())
    text = export(vertex, party)["key_share"]
    lose(party)
    party.key_id = restore(vertex, party, text).result["key_id"]
    made_at = party.share.backed_up_at
    PairState.objects.filter(share=party.share).delete()
    KeyShare.objects.filter(id=party.key_id).delete()
    reconcile()
    assert (party.state, party.share.suspended, party.share.backed_up_at) == ("active", RESTORED, made_at)
    assert [bytes(pair.peer) for pair in bans.standing(party.share)] == [peer.identity]


def test_a_suspended_share_is_not_dealt_by_a_worker_either(vertex: Vertex, settings: Any) -> None:
    """The request was before the suspension."""
    party = vertex.keygen("ab", 2, "ed25519")[0]
    operation = vertex.operation(party)
    room = Room(vertex.room(2), None, operation.deadline)
    refresh = {"key_id": party.key_id, "scheme": "ed25519", "room": room}
    row = refresh_request(user=party.user, operation=operation, **refresh)
    KeyShare.objects.filter(id=party.key_id).update(suspended=RESTORED)
    session = ProtocolSession.objects.get(reshare=row)
    with pytest.raises(ApiError, match="suspended until an operator decides"):
        ReshareKind().begin(session)
