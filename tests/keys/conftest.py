"""Fixtures of the tests of `keys`."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from keys.keystore import Keystore
from tests.api import admin, alice, bob, new_operator, new_user, nobody, worker
from tests.keys.policed import key
from tests.keys.providers import Files, Pkcs11, Provider, Vault, empty_token, softhsm
from tests.keys.receiver import Receiver
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
def receiver(settings: Any) -> Iterator[Receiver]:
    made = Receiver()
    settings.VERTEX_WEBHOOK_HOSTS = [made.host]
    yield made
    made.close()


@dataclass
class NameServer:
    """It answers nothing about names under `.test` before the test's end."""

    asked: list[str] = field(default_factory=list)
    let_go: threading.Event = field(default_factory=threading.Event)
    gave_up: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    server, known = NameServer(), socket.getaddrinfo

    def look_up(host: Any, *rest: Any, **named: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        if not name.endswith(".test"):
            return known(host, *rest, **named)
        server.asked.append(name)
        server.let_go.wait(20)
        server.gave_up.set()
        raise socket.gaierror("no answer")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield server
    server.let_go.set()


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
