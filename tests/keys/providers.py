"""The keystore's providers as the tests open them, each with a place of its own."""

import os
import secrets
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar

import pkcs11
import pytest

from keys.keystore import Keystore
from keys.keystore.files import FileKeystore
from keys.keystore.pkcs11 import Pkcs11Keystore
from keys.keystore.sealing import MasterKeys
from keys.keystore.token import Token, TokenAccess
from keys.keystore.vault import VaultKeystore, VaultPlaces
from keys.keystore.vault_http import VaultAccess, VaultClient
from tests.keys.vault_server import Fault, VaultServer

MASTER, NEW_MASTER = bytes(range(32)), bytes(range(32, 64))
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "1234"


class Provider(ABC):
    """One keystore's place. `open` is what another process would do."""

    name: ClassVar[str]

    @abstractmethod
    def open(self, master: bytes = MASTER, other: bytes | None = None) -> Keystore: ...

    @abstractmethod
    def another(self) -> "Provider":
        """Another keystore of this kind."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The settings that name it, besides the master keys."""

    @abstractmethod
    def lose_keys(self) -> None:
        """What holds the keys is not what held them: an empty one is in its place."""

    @abstractmethod
    def lose_journal(self) -> None:
        """The same for the journal."""

    @abstractmethod
    def lose_all(self) -> None:
        """As if it had never been."""

    @abstractmethod
    def fail(self, patch: pytest.MonkeyPatch) -> None:
        """From now on nothing answers, neither keys nor journal."""


class Files(Provider):
    name = "files"

    def __init__(self, root: Path) -> None:
        self.root = root

    def open(self, master: bytes = MASTER, other: bytes | None = None) -> Keystore:
        return FileKeystore(self.root, MasterKeys(master, other))

    def another(self) -> Provider:
        return Files(self.root.with_name("another"))

    def settings(self) -> dict[str, Any]:
        return {"VERTEX_KEYSTORE_KIND": "files", "VERTEX_KEYSTORE": str(self.root)}

    def lose_keys(self) -> None:
        shutil.rmtree(self.root / "keys")

    def lose_journal(self) -> None:
        shutil.rmtree(self.root / "journal")

    def lose_all(self) -> None:
        shutil.rmtree(self.root)

    def fail(self, patch: pytest.MonkeyPatch) -> None:
        def refuse(*args: object, **kwargs: object) -> None:
            raise OSError(5, "Input/output error")

        for call in ("open", "stat", "listdir"):
            patch.setattr(os, call, refuse)


class Pkcs11(Provider):
    name = "pkcs11"

    def __init__(self, root: Path, label: str = "one") -> None:
        self.root, self.label = root, label

    def access(self) -> TokenAccess:
        return TokenAccess(SOFTHSM, self.label, PIN)

    def open(self, master: bytes = MASTER, other: bytes | None = None) -> Keystore:
        return Pkcs11Keystore(self.root, Token(self.access()), MasterKeys(master, other))

    def another(self) -> Provider:
        return Pkcs11(self.root.with_name("another"), self.label)

    def settings(self) -> dict[str, Any]:
        token = {"VERTEX_PKCS11_MODULE": SOFTHSM, "VERTEX_PKCS11_TOKEN": self.label, "VERTEX_PKCS11_PIN": PIN}
        return token | {"VERTEX_KEYSTORE_KIND": "pkcs11", "VERTEX_KEYSTORE": str(self.root)}

    def lose_keys(self) -> None:
        self.label = "two"

    def lose_journal(self) -> None:
        shutil.rmtree(self.root / "journal")

    def lose_all(self) -> None:
        shutil.rmtree(self.root)

    def fail(self, patch: pytest.MonkeyPatch) -> None:
        Files(self.root).fail(patch)
        patch.setattr(Token, "make", self.refusing("DeviceError"))
        patch.setattr(Token, "_found", self.refusing("DeviceError", in_turn=True))

    @staticmethod
    def refusing(error: str, *, in_turn: bool = False) -> Callable[..., None]:
        """In place of a token's method: what happens when the library answers so."""

        def refuse(token: Token, *args: object) -> None:
            with nullcontext() if in_turn else token._turn():
                raise getattr(pkcs11, error)

        return refuse


class Vault(Provider):
    name = "vault"

    def __init__(self, server: VaultServer, prefix: str = "one", timeout: float = 5.0) -> None:
        self.server, self.prefix, self.timeout = server, prefix, timeout

    def client(self) -> VaultClient:
        return VaultClient(VaultAccess(self.server.url, token="root", timeout=self.timeout))

    def open(self, master: bytes = MASTER, other: bytes | None = None) -> Keystore:
        return VaultKeystore(self.client(), VaultPlaces(prefix=self.prefix), MasterKeys(master, other))

    def another(self) -> Provider:
        return Vault(self.server, "another")

    def settings(self) -> dict[str, Any]:
        place = {"VERTEX_VAULT_URL": self.server.url, "VERTEX_VAULT_TOKEN": "root", "VERTEX_VAULT_PREFIX": self.prefix}
        return place | {"VERTEX_KEYSTORE_KIND": "vault", "VERTEX_KEYSTORE": ""}

    def lose_keys(self) -> None:
        self.server.transit.keys.clear()

    def lose_journal(self) -> None:
        self.server.kv.secrets.clear()

    def lose_all(self) -> None:
        self.lose_keys()
        self.lose_journal()

    def fail(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(self.server, "fault", lambda request: Fault.LOST)


def softhsm(directory: Path) -> None:
    """Tokens `one`, `two` and `three`, in a directory of this test process."""
    tool = shutil.which("softhsm2-util")
    assert tool is not None, "install softhsm2: the tests of the PKCS#11 keystore need it"
    assert Path(SOFTHSM).exists(), f"softhsm2 without {SOFTHSM}"
    (directory / "tokens").mkdir()
    configuration = directory / "softhsm2.conf"
    configuration.write_text(
        f"directories.tokendir = {directory}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    os.environ["SOFTHSM2_CONF"] = str(configuration)  # read when the library is loaded
    for label in ("one", "two", "three"):
        so_pin = secrets.token_hex(8)
        command = [tool, "--init-token", "--free", "--label", label, "--so-pin", so_pin, "--pin", PIN]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def empty_token() -> None:
    """Destroy what a test left in token `one`: SoftHSM decrypts every object of a token to find one."""
    with Token(TokenAccess(SOFTHSM, "one", PIN))._turn() as session:
        for each in list(session.get_objects()):
            each.destroy()
