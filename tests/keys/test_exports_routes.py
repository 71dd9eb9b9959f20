"""Export, import and backup over REST: what is refused before anything starts, and that no refusal repeats a secret."""

from typing import Any
from uuid import uuid4

import pytest

from keys.models import Operation, ProtocolSession
from mpc.identity import encode_keygen_id
from tests.api import Api, error_of
from tests.keys.test_keys_routes import make, make_active

BAD = (400, "bad_request_params")
OFF = (400, "server_share_backup_setting_disabled")
IDS = [encode_keygen_id(bytes((n,)) * 32) for n in (1, 2)]


def asked(**fields: Any) -> dict[str, Any]:
    return {"key_id": str(uuid4()), "room_uuid": str(uuid4()), **fields}


def importing(**fields: Any) -> dict[str, Any]:
    return asked(num_parties=3, threshold=2, keygen_ids=IDS, **fields)


def test_a_secret_is_never_answered_later(alice: Api) -> None:
    body = asked(export_to=IDS[0])
    assert error_of(alice.call("POST /ecdsa/export/full", body, Prefer="respond-async")) == BAD
    route = f"GET /ecdsa/backup/export-key-share/{make_active(alice).id}"
    assert error_of(alice.call(route, Prefer="respond-async")) == BAD
    assert not Operation.objects.exists()


PRIVATE_KEYS = {"zero": "00" * 32, "q": "ff" * 32, "short": "11" * 31, "long": "11" * 33, "no hex": "zz" * 32}


@pytest.mark.parametrize("scheme", ["ecdsa", "bip340"])
@pytest.mark.parametrize("given", PRIVATE_KEYS.values(), ids=PRIVATE_KEYS)
def test_what_is_no_private_key_is_not_repeated(alice: Api, scheme: str, given: str) -> None:
    answer = alice.call(f"POST /{scheme}/import/key-importer", importing(private_key=given))
    assert error_of(answer) == BAD
    assert given not in answer.content.decode()


@pytest.mark.parametrize(
    "fields",
    [{"key_format": "pem"}, {"chain_code": "11"}, {"private_key": 7}, {"private_key": None}],
    ids=["format", "chain code", "number", "none"],
)
def test_what_an_import_does_not_take(alice: Api, fields: dict[str, Any]) -> None:
    body = importing(private_key="22" * 32) | fields
    assert error_of(alice.call("POST /ed25519/import/key-importer", body)) == BAD


@pytest.mark.parametrize("fields", [{"importer_keygen_id": "nobody"}, {"expected_pubkey": "11" * 5}])
def test_what_a_recipient_was_told_must_be_readable(alice: Api, fields: dict[str, Any]) -> None:
    key = make(alice, scheme="ed25519")
    body = importing(**fields) | {"key_id": str(key.id)}
    assert error_of(alice.call("POST /ed25519/import/import-key-share-recipient", body)) == BAD
    assert not ProtocolSession.objects.exists()


def test_backups_are_off_by_default(alice: Api) -> None:
    key = make_active(alice)
    assert error_of(alice.call(f"GET /ecdsa/backup/export-key-share/{key.id}")) == OFF
    assert error_of(alice.call("POST /ecdsa/backup/import-key-share", {"key_share": "AAAA"})) == OFF


def test_others_keys_are_unknown(alice: Api, bob: Api) -> None:
    key = make_active(bob)
    unknown = (400, "key_id_not_exists")
    assert error_of(alice.call(f"GET /ecdsa/backup/export-key-share/{key.id}")) == unknown
    body = asked(export_to=IDS[0]) | {"key_id": str(key.id)}
    assert error_of(alice.call("POST /ecdsa/export/full", body)) == unknown


def test_only_admins_agree_to_a_restored_share(alice: Api, admin: Api) -> None:
    key = make_active(alice)
    assert error_of(alice.call(f"POST /keys/{key.id}/agree", {})) == (400, "you_have_to_be_admin")
    assert error_of(admin.call(f"POST /keys/{key.id}/agree", {})) == BAD
