"""The vertex's own key: made once, private half sealed, and tied to the keystore that belongs to the database."""

from io import StringIO
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.core.management import CommandError, call_command
from django.db import transaction
from pytest_django import Settings

from audit.models import AuditHead, Event
from keys import node
from keys.keystore import KeyGone, KeystoreClosed, keystore
from keys.models import Node, PartyIdentity

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def opened(settings: Settings, tmp_path: Path) -> None:
    settings.VERTEX_KEYSTORE, settings.VERTEX_MASTER_KEY = str(tmp_path / "keystore"), "11" * 32
    settings.VERTEX_KEYSTORE_UNCOPIED = True


def public_key() -> ec.EllipticCurvePublicKey:
    key = load_pem_public_key((node.public_pem() or "").encode())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def test_the_key_is_made_once_and_recorded() -> None:
    assert node.public_pem() is None
    first = node.ensure_node()
    assert node.ensure_node().public_pem == first.public_pem == node.public_pem()
    assert keystore().keys.list() == [first.data_key]
    event = Event.objects.get()
    assert (event.action, event.data["keystore"]) == ("node.created", keystore().id)


def test_it_signs_messages_that_its_public_half_verifies() -> None:
    signature = node.sign(b"{message}")
    public_key().verify(signature, b"{message}", ec.ECDSA(SHA256()))
    with pytest.raises(InvalidSignature):
        public_key().verify(signature, b"{other}", ec.ECDSA(SHA256()))


def test_the_audit_head_is_signed_with_it(tmp_path: Path) -> None:
    node.ensure_node()
    head = node.sign_audit_head()
    assert node.sign_audit_head().pk == head.pk
    pem, log, out = tmp_path / "vertex.pem", tmp_path / "log.jsonl", StringIO()
    pem.write_text(node.public_pem() or "")
    call_command("audit_export", stdout=out)
    log.write_text(out.getvalue())
    for options in ({}, {"file": log}):
        call_command("audit_verify", pubkey=pem, stdout=StringIO(), **options)
    with transaction.atomic():
        AuditHead.objects.create(seq=1, hash=head.hash, time=head.time, statement=head.statement, signature=b"forged")
        with pytest.raises(CommandError, match="not signed by this key"):
            call_command("audit_verify", pubkey=pem)


def test_the_private_half_is_nowhere_in_the_clear_and_dies_with_its_data_key(tmp_path: Path) -> None:
    row = node.ensure_node()
    assert b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07" not in bytes(row.sealed_secret), "the curve's OID: not sealed"
    keystore().keys.destroy(row.data_key)
    with pytest.raises(KeyGone):
        node.sign(b"{}")


def test_another_keystore_is_refused(settings: Settings, tmp_path: Path) -> None:
    node.ensure_node()
    settings.VERTEX_KEYSTORE = str(tmp_path / "other")
    for call in (node.ensure_node, node.sign_audit_head):
        with pytest.raises(node.WrongKeystore):
            call()
    with pytest.raises(CommandError, match="belongs to keystore"):
        call_command("keystore_check", stdout=StringIO())


def test_a_process_without_the_master_key_only_reads(settings: Settings) -> None:
    node.ensure_node()
    settings.VERTEX_MASTER_KEY = ""
    assert "BEGIN PUBLIC KEY" in (node.public_pem() or "")
    with pytest.raises(KeystoreClosed):
        node.sign(b"{}")


def test_the_loser_of_two_first_workers_leaves_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    winner = node.ensure_node()
    monkeypatch.setattr(Node.objects, "first", lambda: None)
    assert node.ensure_node().public_pem == winner.public_pem
    assert keystore().keys.list() == [winner.data_key]


def check() -> str:
    out = StringIO()
    try:
        call_command("keystore_check", stdout=out)
    except CommandError as error:
        out.write(str(error))
    return out.getvalue()


def test_keystore_check_tells_rows_without_keys_and_keys_without_rows() -> None:
    node.ensure_node()
    before = keystore().keys.list()
    assert check() == f"keystore {keystore().id} (files): 1 keys, 0 journal records\n"
    assert keystore().keys.list() == before
    lost, extra = keystore().keys.make(), keystore().keys.make()
    PartyIdentity.objects.create(public=bytes(32), data_key=lost, sealed_secret=b"x")
    keystore().keys.destroy(lost)
    report = check()
    assert f"row without its key (erased): {lost}" in report
    assert f"key without a row (a restored database, or a session that died early): {extra}" in report
    assert "rows name keys that the keystore does not have" in report


def test_keystore_check_asks_whether_files_are_copied(settings: Settings) -> None:
    node.ensure_node()
    settings.VERTEX_KEYSTORE_UNCOPIED = False
    assert "VERTEX_KEYSTORE_UNCOPIED=1 says that it is not" in check()


def test_keystore_check_tells_what_a_rotation_has_left(settings: Settings) -> None:
    node.ensure_node()
    settings.VERTEX_MASTER_KEY, settings.VERTEX_MASTER_KEY_OTHER = "22" * 32, "11" * 32
    assert "2 records are under the other master key: keep it" in check(), "the node's key, and the header"


def test_keystore_check_refuses_a_wrong_master_key(settings: Settings) -> None:
    keystore()
    settings.VERTEX_MASTER_KEY = "22" * 32
    assert "does not open this keystore" in check()
