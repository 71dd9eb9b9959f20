"""Fixtures of the tests of `keys`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from keys.keystore import Keystore
from tests.api import admin, alice, bob, new_operator, new_user, nobody, worker
from tests.keys.policed import key
from tests.keys.providers import Files, Pkcs11, Provider, Vault, empty_token, softhsm
from tests.keys.vault_server import VaultServer
from tests.life import vertex

__all__ = ["admin", "alice", "bob", "key", "new_operator", "new_user", "nobody", "vertex", "worker"]

SOFTHSM_AT: list[Path] = []


@pytest.fixture(scope="session")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SoftHSM's tokens, once in a process, as the library reads its configuration: a folder that imports this fixture
    has one of its own."""
    if not SOFTHSM_AT:
        SOFTHSM_AT.append(tmp_path_factory.mktemp("softhsm"))
        softhsm(SOFTHSM_AT[0])
    return SOFTHSM_AT[0]


@pytest.fixture
def vault() -> Iterator[VaultServer]:
    server = VaultServer()
    yield server
    server.close()


@pytest.fixture(params=["files", "pkcs11", "vault"])
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Provider]:
    """Each provider, with a place of its own."""
    root = tmp_path / "keystore"
    if request.param == "files":
        yield Files(root)
    elif request.param == "vault":
        yield Vault(request.getfixturevalue("vault"))
    else:
        request.getfixturevalue("tokens")
        yield Pkcs11(root)
        empty_token()


@pytest.fixture
def store(provider: Provider) -> Keystore:
    return provider.open()
