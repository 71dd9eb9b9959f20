"""Backups of shares as users and operators handle them: out of a vertex, opened offline, into another."""

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from keys import operations
from keys.backup import backup_export, backup_request
from keys.boxes import AnswerKey, box_public, ensure_box
from keys.keystore import keystore
from keys.models import KeyShare, Operation, PartyIdentity, ProtocolSession, Receipt
from keys.shares import material_destroy
from reshare import acceptor
from reshare.restoring import restore_request, restore_task
from tests.life import Party, Vertex


def new_backup_key(path: Path) -> str:
    """Its public half; the other is in the file."""
    said = io.StringIO()
    call_command("backup_open", "--new", "--key", str(path), stdout=said)
    return said.getvalue().strip()


def asked(vertex: Vertex, party: Party) -> Operation:
    """As a call of the API makes it."""
    operation = vertex.operation(party)
    operation.caller = f"user:{party.user.id}"
    operation.save(update_fields=["caller"])
    return operation


def export(vertex: Vertex, party: Party) -> dict[str, Any]:
    """The backup of a party's share as the waiting view answers it."""
    operation, key = asked(vertex, party), AnswerKey()
    share = party.share
    backup_request(user=party.user, operation=operation, key_id=share.id, scheme=share.scheme, answer_to=key.public)
    name, arguments = vertex.tasks[-1]
    assert name == "keys.backup_export"
    backup_export(*arguments)
    operation.refresh_from_db()
    answer = operations.answer(operation, key)
    assert answer.status_code == 200, answer.data
    return dict(answer.data)


def restore(vertex: Vertex, party: Party, text: str, **more: Any) -> Operation:
    """A backup comes in: the call when its worker is through."""
    ensure_box()
    operation = asked(vertex, party)
    restore_request(operation=operation, **{"scheme": "ed25519", "key_share": text, "export_type": None, **more})
    restore_task(*vertex.tasks[-1][1])
    operation.refresh_from_db()
    return operation


def to_this_vertex(text: str, key: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An encrypted backup, sealed again where the backup key is."""
    ensure_box()
    said = io.StringIO()
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    call_command("backup_open", "--key", str(key), "--vertex", box_public().hex(), stdout=said)
    return said.getvalue().strip()


def lose(party: Party) -> None:
    """Another vertex: neither rows nor keystore know the share."""
    share = party.share
    material_destroy(share)
    keystore().journal.destroy(acceptor.name(party.identity, bytes(share.gid or b"")))
    ProtocolSession.objects.filter(share=share).delete()
    share.exports.all().delete()
    share.pairs.all().delete()
    KeyShare.objects.filter(id=share.id).delete()
    Receipt.objects.all().delete()
    PartyIdentity.objects.filter(public=party.identity).delete()
