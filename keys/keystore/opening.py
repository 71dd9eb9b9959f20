"""Which keystore the settings name, opened: once per process, for workers only."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings

from keys.keystore.base import Keystore, KeystoreClosed
from keys.keystore.files import FileKeystore
from keys.keystore.pkcs11 import Pkcs11Keystore
from keys.keystore.sealing import MasterKeys
from keys.keystore.token import Token, TokenAccess
from keys.keystore.vault import VaultKeystore, VaultPlaces
from keys.keystore.vault_http import VaultAccess, VaultClient


@dataclass(frozen=True)
class Named:
    """What the settings say; equal settings share one open keystore."""

    kind: str
    path: str
    master_key: str = field(repr=False)
    other_master_key: str = field(repr=False)
    pkcs11: TokenAccess
    vault: VaultAccess
    places: VaultPlaces
    insecure_http: bool


def keystore() -> Keystore:
    """This vertex's keystore. Raises KeystoreClosed where the settings name none (only a worker's do) or not the one
    that is there, KeystoreUnavailable where it does not answer."""
    named = _named()
    if not named.master_key:
        raise KeystoreClosed("this process has no keystore: VERTEX_MASTER_KEY is for workers")
    # A process of its own has locks, connections and a login of its own: none survives a fork.
    return _open(named, os.getpid())


@lru_cache(maxsize=4)
def _open(named: Named, process: int) -> Keystore:
    opener = _OPENERS.get(named.kind)
    if opener is None:
        raise KeystoreClosed(f"VERTEX_KEYSTORE_KIND is one of {', '.join(_OPENERS)}")
    masters = MasterKeys(_key(named.master_key), _key(named.other_master_key) if named.other_master_key else None)
    return opener(named, masters)


def _files(named: Named, masters: MasterKeys) -> Keystore:
    return FileKeystore(_directory(named), masters)


def _pkcs11(named: Named, masters: MasterKeys) -> Keystore:
    if not (named.pkcs11.module and named.pkcs11.label and named.pkcs11.pin):
        raise KeystoreClosed("VERTEX_PKCS11_MODULE, VERTEX_PKCS11_TOKEN and VERTEX_PKCS11_PIN name the token")
    return Pkcs11Keystore(_directory(named), Token(named.pkcs11), masters)


def _vault(named: Named, masters: MasterKeys) -> Keystore:
    if not named.vault.url.startswith("https://") and not named.insecure_http:
        raise KeystoreClosed("VERTEX_VAULT_URL begins with https://")
    return VaultKeystore(VaultClient(named.vault), named.places, masters)


_OPENERS: dict[str, Callable[[Named, MasterKeys], Keystore]] = {"files": _files, "pkcs11": _pkcs11, "vault": _vault}


def _directory(named: Named) -> Path:
    if not named.path:
        raise KeystoreClosed("this process has no keystore: VERTEX_KEYSTORE names its directory")
    return Path(named.path)


def _key(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise KeystoreClosed("a master key is 32 bytes in hex") from None


def _named() -> Named:
    given: Any = settings
    return Named(
        kind=given.VERTEX_KEYSTORE_KIND,
        path=given.VERTEX_KEYSTORE,
        master_key=given.VERTEX_MASTER_KEY,
        other_master_key=given.VERTEX_MASTER_KEY_OTHER,
        pkcs11=TokenAccess(given.VERTEX_PKCS11_MODULE, given.VERTEX_PKCS11_TOKEN, given.VERTEX_PKCS11_PIN),
        vault=VaultAccess(
            url=given.VERTEX_VAULT_URL,
            token=given.VERTEX_VAULT_TOKEN,
            role_id=given.VERTEX_VAULT_ROLE_ID,
            secret_id=given.VERTEX_VAULT_SECRET_ID,
            namespace=given.VERTEX_VAULT_NAMESPACE,
            ca=given.VERTEX_VAULT_CA,
            timeout=given.VERTEX_VAULT_TIMEOUT,
        ),
        places=VaultPlaces(given.VERTEX_VAULT_TRANSIT, given.VERTEX_VAULT_KV, given.VERTEX_VAULT_PREFIX),
        insecure_http=given.INSECURE_HTTP,
    )
