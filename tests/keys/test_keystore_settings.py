"""Which keystore the settings name; and that a worker takes no other than the one that its database belongs to."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from keys import node
from keys.keystore import KeyGone, KeystoreClosed, KeystoreUnavailable, keystore
from keys.shares import identity_create, identity_open
from tests.keys.providers import MASTER, Provider, Vault
from tests.keys.vault_server import Fault


@pytest.fixture
def use(settings: Settings) -> Callable[[Provider], None]:
    """Let the settings name a provider's keystore."""

    def named(provider: Provider) -> None:
        for name, value in {**provider.settings(), "VERTEX_MASTER_KEY": MASTER.hex()}.items():
            setattr(settings, name, value)
        settings.INSECURE_HTTP = True

    return named


@pytest.mark.django_db
def test_a_worker_seals_and_erases_in_the_keystore_that_the_settings_name(
    provider: Provider, use: Callable[[Provider], None]
) -> None:
    use(provider)
    node.ensure_node()
    identity = identity_create()
    assert identity_open(identity).public == bytes(identity.public)
    assert keystore().kind == provider.name
    assert keystore() is keystore()
    assert len(provider.open().keys.list()) == 2
    out = StringIO()
    call_command("keystore_check", stdout=out)
    assert f"keystore {keystore().id} ({provider.name}): 2 keys, 0 journal records" in out.getvalue()
    assert len(provider.open().keys.list()) == 2
    assert provider.open().journal.list("") == []
    keystore().keys.destroy(str(identity.data_key))
    with pytest.raises(KeyGone):
        provider.open().keys.wrap(str(identity.data_key), b"", b"")


@pytest.mark.django_db
def test_a_worker_refuses_a_keystore_that_is_not_its_databases(
    provider: Provider, use: Callable[[Provider], None]
) -> None:
    use(provider)
    row = node.ensure_node()
    use(provider.another())
    for call in (node.ensure_node, node.sign_audit_head, node.known_node):
        with pytest.raises(node.WrongKeystore, match=f"belongs to keystore {row.keystore_id}"):
            call()
    for command in ("keystore_check", "keystore_rotate"):
        with pytest.raises(CommandError, match="belongs to keystore"):
            call_command(command, stdout=StringIO())
    use(provider)
    assert node.ensure_node().keystore_id == row.keystore_id


@pytest.mark.django_db
def test_a_worker_does_not_start_without_an_answer(
    provider: Provider, use: Callable[[Provider], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from vertex.celery import _worker_init

    use(provider)
    node.ensure_node()
    with monkeypatch.context() as patch:
        provider.fail(patch)
        with pytest.raises(KeystoreUnavailable):
            keystore().keys.list()
    provider.lose_keys()
    use(provider)
    keystore.__globals__["_open"].cache_clear()  # another process
    with pytest.raises(SystemExit, match="can't use its keystore"):
        _worker_init()


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no master key": ({"VERTEX_MASTER_KEY": ""}, "VERTEX_MASTER_KEY"),
    "a master key that is not hex": ({"VERTEX_MASTER_KEY": "no hex"}, "32 bytes in hex"),
    "a short master key": ({"VERTEX_MASTER_KEY": "00" * 31}, "32 bytes"),
    "a short other master key": ({"VERTEX_MASTER_KEY_OTHER": "00" * 31}, "32 bytes"),
    "no directory": ({"VERTEX_KEYSTORE": ""}, "VERTEX_KEYSTORE"),
    "a kind that is none": ({"VERTEX_KEYSTORE_KIND": "kms"}, "files, pkcs11, vault"),
    "pkcs11 without a token": ({"VERTEX_KEYSTORE_KIND": "pkcs11"}, "VERTEX_PKCS11_TOKEN"),
    "vault without TLS": (
        {"VERTEX_KEYSTORE_KIND": "vault", "VERTEX_VAULT_URL": "http://vault", "INSECURE_HTTP": False},
        "https://",
    ),
    "vault without a token": (
        {"VERTEX_KEYSTORE_KIND": "vault", "VERTEX_VAULT_URL": "https://vault"},
        "a token, or a role id",
    ),
}


@pytest.mark.parametrize(("changed", "says"), REFUSED.values(), ids=REFUSED)
def test_settings_that_name_no_keystore_are_refused(
    settings: Settings, tmp_path: Path, changed: dict[str, Any], says: str
) -> None:
    given = {"VERTEX_KEYSTORE": str(tmp_path / "keystore"), "VERTEX_MASTER_KEY": MASTER.hex()}
    for name, value in {**given, **changed}.items():
        setattr(settings, name, value)
    with pytest.raises(KeystoreClosed, match=says):
        keystore()


def test_no_secret_shows_in_what_is_printed(vault: Any) -> None:
    place = Vault(vault)
    store = place.open()
    shown = "".join(map(repr, (store, store.keys, place.client(), place.client()._access, Fault)))
    assert "root" not in shown
    assert MASTER.hex() not in shown
