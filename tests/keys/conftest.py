"""Fixtures of the tests of `keys`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from keys.keystore import Keystore
from tests.api import admin, alice, bob, new_operator, new_user, nobody, worker
from tests.keys.providers import Files, Pkcs11, Provider, Vault, empty_token, softhsm
from tests.keys.vault_server import VaultServer
from tests.life import vertex

__all__ = ["admin", "alice", "bob", "new_operator", "new_user", "nobody", "vertex", "worker"]


@pytest.fixture(scope="session")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SoftHSM's tokens; the library reads its configuration once in a process."""
    directory = tmp_path_factory.mktemp("softhsm")
    softhsm(directory)
    return directory


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
