"""Vault beside the contract: what it is asked to do, what counts as its word, and how a worker logs in."""

from typing import Any

import pytest

from keys.keystore import JournalChanged, KeyGone, KeystoreClosed, KeystoreUnavailable
from keys.keystore.sealing import MasterKeys
from keys.keystore.vault import VaultKeystore, VaultPlaces
from keys.keystore.vault_http import VaultAccess, VaultClient
from tests.keys.providers import MASTER, Vault
from tests.keys.vault_server import Fault, VaultServer, refusal

SECRET = b"a share of 32 bytes or thereabout"
NAME = "acceptor/01/02"


def opened(server: VaultServer, **access: Any) -> VaultKeystore:
    return VaultKeystore(VaultClient(VaultAccess(server.url, **access)), VaultPlaces(prefix="one"), MasterKeys(MASTER))


@pytest.fixture
def store(vault: VaultServer) -> VaultKeystore:
    return opened(vault, token="root")


def test_keys_are_made_so_that_they_stay_in_vault_and_deleted_for_good(
    vault: VaultServer, store: VaultKeystore
) -> None:
    ref = store.keys.make()
    key = vault.transit.keys[f"one-{ref}"]
    assert (key.kind, key.exportable, key.allow_plaintext_backup) == ("aes256-gcm96", False, False)
    assert not key.deletion_allowed, "until it is to be deleted"
    vault.requests.clear()
    store.keys.destroy(ref)
    path = f"transit/keys/one-{ref}"
    assert vault.requests[1:4] == [f"POST {path}/config", f"DELETE {path}", f"GET {path}"]
    assert f"one-{ref}" not in vault.transit.keys


def test_vault_sees_neither_share_nor_record(vault: VaultServer, store: VaultKeystore, monkeypatch: Any) -> None:
    seen: list[str] = []
    answer = vault._answer
    monkeypatch.setattr(vault, "_answer", lambda *args: (seen.append(str(args)), answer(*args))[1])
    ref = store.keys.make()
    sealed = store.keys.wrap(ref, b"S" * 64, b"")
    assert store.keys.unwrap(ref, sealed, b"") == b"S" * 64
    store.journal.create(NAME, b"S" * 64)
    assert len(seen) >= 4
    assert not any("SSSS" in each or "U1NTU1NT" in each for each in seen)


@pytest.mark.parametrize(("meanwhile", "swapped"), [(b"one", True), (b"another", False)])
def test_another_version_need_not_be_another_content(
    vault: VaultServer, store: VaultKeystore, monkeypatch: pytest.MonkeyPatch, meanwhile: bytes, swapped: bool
) -> None:
    """A rotation seals a record again between a swap's look and its write."""
    store.journal.create(NAME, b"one")
    records, write = store.journal._records, store.journal._records.write
    writes: list[int] = []

    def late(name: str, version: int, value: bytes) -> bool:
        writes.append(version)
        if len(writes) == 1:
            opened(vault, token="root").journal.replace(NAME, meanwhile)
        return write(name, version, value)

    monkeypatch.setattr(records, "write", late)
    if swapped:
        store.journal.swap(NAME, b"one", b"two")
    else:
        with pytest.raises(JournalChanged):
            store.journal.swap(NAME, b"one", b"two")
    assert writes == ([1, 2] if swapped else [1])
    assert store.journal.read(NAME) == (b"two" if swapped else meanwhile)


def test_a_record_is_destroyed_in_all_its_versions(vault: VaultServer, store: VaultKeystore) -> None:
    store.journal.create(NAME, b"old")
    store.journal.replace(NAME, b"new")
    secret = vault.kv.secrets["one/journal/acceptor.01.02"]
    assert (secret.current, list(secret.versions)) == (2, [2])
    store.journal.destroy(NAME)
    assert "one/journal/acceptor.01.02" not in vault.kv.secrets


def test_a_record_that_somebody_deleted_is_not_taken_for_none(vault: VaultServer, store: VaultKeystore) -> None:
    store.journal.create(NAME, b"promised")
    vault.kv.answer("DELETE", ["data", "one", "journal", "acceptor.01.02"], {}, False)
    with pytest.raises(KeystoreUnavailable, match="deleted by somebody else"):
        store.journal.read(NAME)
    with pytest.raises(KeystoreUnavailable):
        store.journal.swap(NAME, None, b"nothing was promised")


MOUNTS = {
    "keys that come back when used": ("transit", {"disable_upsert": False}, "disable_upsert=true"),
    "writes without check-and-set": ("kv", {"cas_required": False}, "cas_required=true"),
    "versions that stay": ("kv", {"max_versions": 10}, "max_versions=1"),
}


@pytest.mark.parametrize(("mount", "config", "says"), MOUNTS.values(), ids=MOUNTS)
def test_mounts_that_are_not_set_for_a_keystore_are_refused(
    vault: VaultServer, mount: str, config: dict[str, Any], says: str
) -> None:
    vault.transit.disable_upsert = config.get("disable_upsert", True)
    vault.kv.config |= config if mount == "kv" else {}
    with pytest.raises(KeystoreClosed, match=says):
        opened(vault, token="root")
    assert vault.kv.secrets == {}
    assert vault.transit.keys == {}


def test_of_two_first_workers_one_makes_the_keystore(vault: VaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from keys.keystore.vault import Header

    first = opened(vault, token="root")
    read = Header.opened
    answers = iter([None])  # the second one looked before the first had written
    with monkeypatch.context() as patch:
        patch.setattr(Header, "opened", lambda self: next(answers, read(self)))
        second = opened(vault, token="root")
    assert second.id == first.id
    assert [name for name in vault.transit.keys if "keystore" in name] == [f"one-keystore-{first.id}"]


NOT_VAULTS_WORD: dict[str, Any] = {
    "no such mount": refusal(404, 'no handler for route "transit/keys/x". route entry not found.'),
    "a proxy's 404": (404, {"message": "no Route matched"}),
    "forbidden": refusal(403, "permission denied"),
    "sealed": refusal(503, "Vault is sealed"),
    "overloaded": refusal(429, "request rate limit exceeded"),
    "a standby": (307, {}),
    "not caught up": refusal(412, "required index state not present"),
    "broken": refusal(500, "internal error"),
    "an error as 200": (200, {"errors": ["what?"]}),
    "the request is lost": Fault.LOST,
    "the answer is lost": Fault.UNANSWERED,
    "no answer in time": Fault.HANGS,
}


@pytest.mark.parametrize("fault", NOT_VAULTS_WORD.values(), ids=NOT_VAULTS_WORD)
def test_only_vaults_own_word_says_that_something_is_gone(vault: VaultServer, fault: Any) -> None:
    place = Vault(vault, "one", timeout=0.2)
    store = place.open()
    ref = store.keys.make()
    sealed = store.keys.wrap(ref, SECRET, b"")
    store.journal.create(NAME, b"old")
    # The keystore's marker and header are there all the time: they alone would show that the mounts are not ours.
    ours = (ref, "acceptor", "GET transit/keys")
    vault.fault = lambda request: (
        fault if any(each in request and "-keystore-" not in request for each in ours) else None
    )
    calls = [
        lambda: store.keys.unwrap(ref, sealed, b""),
        lambda: store.keys.wrap(ref, SECRET, b""),
        lambda: store.journal.read(NAME),
        lambda: store.journal.swap(NAME, b"old", b"new"),
        lambda: store.keys.list(),
    ]
    if fault != NOT_VAULTS_WORD["an error as 200"]:
        calls.append(lambda: store.keys.exists(ref))
    for call in calls:
        with pytest.raises(KeystoreUnavailable):
            call()
    vault.fault = lambda request: None
    assert store.keys.unwrap(ref, sealed, b"") == SECRET


def test_a_deletion_that_vault_did_not_do_is_not_called_one(vault: VaultServer, store: VaultKeystore) -> None:
    ref = store.keys.make()
    store.journal.create(NAME, b"old")
    vault.fault = lambda request: (204, None) if request.startswith("DELETE") else None
    with pytest.raises(KeystoreUnavailable, match="still has the key"):
        store.keys.destroy(ref)
    with pytest.raises(KeystoreUnavailable, match="still has the record"):
        store.journal.destroy(NAME)
    vault.fault = lambda request: None
    assert store.keys.exists(ref)
    assert store.journal.read(NAME) == b"old"


def test_encrypting_under_a_deleted_key_does_not_make_it_again(vault: VaultServer, store: VaultKeystore) -> None:
    ref = store.keys.make()
    store.keys.destroy(ref)
    with pytest.raises(KeyGone):
        store.keys.wrap(ref, SECRET, b"")
    assert f"one-{ref}" not in vault.transit.keys


# --- who we are there ---------------------------------------------------------------------------------------------


def test_an_app_role_logs_in_once_and_again_when_its_token_has_expired(vault: VaultServer) -> None:
    store = opened(vault, role_id="role", secret_id="secret")
    ref = store.keys.make()
    assert vault.requests.count("POST auth/approle/login") == 1
    vault.tokens.discard("worker")
    vault.roles["role", "secret"] = "worker 2"
    assert store.keys.exists(ref)
    assert vault.requests.count("POST auth/approle/login") == 2
    vault.tokens.clear()
    vault.roles.clear()
    with pytest.raises(KeystoreUnavailable, match="invalid role or secret"):
        store.keys.exists(ref)


def test_a_token_that_is_refused_is_not_tried_again(vault: VaultServer) -> None:
    with pytest.raises(KeystoreUnavailable, match="permission denied"):
        opened(vault, token="not this one")
    assert len(vault.requests) == 1


def test_a_call_that_hangs_ends_at_its_time_limit(vault: VaultServer) -> None:
    store = Vault(vault, "one", timeout=0.2).open()
    vault.fault = lambda request: Fault.HANGS
    with pytest.raises(KeystoreUnavailable, match="ReadTimeout"):
        store.keys.make()


def test_an_address_that_nobody_listens_at(vault: VaultServer) -> None:
    vault.close()
    with pytest.raises(KeystoreUnavailable, match="does not answer"):
        opened(vault, token="root")


@pytest.mark.parametrize("prefix", ["", "A", "a/b", "../x", "a" * 65])
def test_a_prefix_that_could_mean_another_path_is_refused(vault: VaultServer, prefix: str) -> None:
    with pytest.raises(KeystoreClosed, match="prefix"):
        Vault(vault, prefix).open()
    assert vault.requests == []
