"""What every keystore promises, one case for all providers: files, PKCS#11 (SoftHSM) and Vault (the stand-in)."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from keys.keystore import (
    InvalidName,
    JournalChanged,
    JournalExists,
    KeyGone,
    Keystore,
    KeystoreClosed,
    KeystoreUnavailable,
    Tampered,
    token,
)
from tests.keys.providers import NEW_MASTER, Provider

SECRET = b"a share of 32 bytes or thereabout"
NAME = "acceptor/01/02"

# --- keys ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plaintext", [b"", SECRET, bytes(1 << 20)], ids=["empty", "share", "one MiB"])
def test_what_one_process_seals_another_opens(provider: Provider, store: Keystore, plaintext: bytes) -> None:
    ref = store.keys.make()
    sealed = store.keys.wrap(ref, plaintext, b"aad")
    other_process = provider.open()
    assert other_process.id == store.id
    assert other_process.keys.list() == [ref]
    assert other_process.keys.unwrap(ref, sealed, b"aad") == plaintext
    assert len(sealed) <= len(plaintext) + 256
    assert store.keys.wrap(ref, plaintext, b"aad") != sealed


def test_a_sealed_value_does_not_show_what_it_seals(store: Keystore) -> None:
    assert SECRET not in store.keys.wrap(store.keys.make(), SECRET, b"")


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda sealed: sealed[:-1],
    "longer": lambda sealed: sealed + b"\0",
    "version": lambda sealed: bytes([sealed[0] ^ 3]) + sealed[1:],
    "first part": lambda sealed: sealed[:2] + bytes([sealed[2] ^ 1]) + sealed[3:],
    "middle": lambda sealed: sealed[:25] + bytes([sealed[25] ^ 1]) + sealed[26:],
    "tag": lambda sealed: sealed[:-1] + bytes([sealed[-1] ^ 1]),
    "head only": lambda sealed: sealed[:5],
    "empty": lambda sealed: b"",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_ciphertext_is_refused(store: Keystore, change: Callable[[bytes], bytes]) -> None:
    ref = store.keys.make()
    sealed = store.keys.wrap(ref, SECRET, b"aad")
    with pytest.raises(Tampered):
        store.keys.unwrap(ref, change(sealed), b"aad")
    assert store.keys.unwrap(ref, sealed, b"aad") == SECRET


def test_a_sealed_value_is_bound_to_its_key_and_associated_data(store: Keystore) -> None:
    one, two = store.keys.make(), store.keys.make()
    sealed = store.keys.wrap(one, SECRET, b"aad")
    for ref, aad in ((two, b"aad"), (one, b"other"), (one, b"")):
        with pytest.raises(Tampered):
            store.keys.unwrap(ref, sealed, aad)


def test_a_destroyed_key_is_gone_for_every_process(provider: Provider, store: Keystore) -> None:
    other_process = provider.open()
    ref, kept = store.keys.make(), store.keys.make()
    sealed = store.keys.wrap(ref, SECRET, b"")
    other_process.keys.destroy(ref)
    for keys in (store.keys, other_process.keys):
        for opened in (sealed, b"", sealed[:-1]):
            with pytest.raises(KeyGone):
                keys.unwrap(ref, opened, b"")
        with pytest.raises(KeyGone):
            keys.wrap(ref, SECRET, b"")
        assert not keys.exists(ref)
        assert keys.list() == [kept]
    store.keys.destroy(ref)
    assert store.keys.list() == [kept]


@pytest.mark.parametrize("ref", ["", "../keystore", "0" * 31, "0" * 33, "G" * 32, "0" * 32 + "\n", "../" + "0" * 29])
def test_references_that_try_to_escape(store: Keystore, ref: str) -> None:
    for call in (
        store.keys.destroy,
        store.keys.exists,
        lambda ref: store.keys.wrap(ref, b"", b""),
        lambda ref: store.keys.unwrap(ref, b"", b""),
    ):
        with pytest.raises(InvalidName):
            call(ref)


# --- journal ------------------------------------------------------------------------------------------------------


def test_the_journal_lists_by_prefix_replaces_and_destroys(provider: Provider, store: Keystore) -> None:
    for name in ("acceptor/aa/02", "acceptor/aa/01", "acceptor/bb/01", "stored/aa"):
        store.journal.create(name, name.encode())
    store.journal.replace("acceptor/aa/01", b"newer")
    store.journal.replace("sent/aa", b"first")
    journal = provider.open().journal
    assert journal.list("acceptor/aa/") == ["acceptor/aa/01", "acceptor/aa/02"]
    assert journal.list("")[-2:] == ["sent/aa", "stored/aa"]
    assert journal.read("acceptor/aa/01") == b"newer"
    journal.destroy("acceptor/aa/01")
    assert store.journal.read("acceptor/aa/01") is None
    assert store.journal.list("acceptor/aa/") == ["acceptor/aa/02"]
    journal.destroy("acceptor/aa/01")
    store.journal.create("acceptor/aa/01", b"again")
    assert journal.read("acceptor/aa/01") == b"again"


def test_an_empty_journal_has_nothing(store: Keystore) -> None:
    assert store.journal.list("") == []
    assert store.journal.read(NAME) is None


def test_an_exclusive_create_keeps_what_is_there(store: Keystore) -> None:
    store.journal.create(NAME, b"old")
    with pytest.raises(JournalExists):
        store.journal.create(NAME, b"new")
    assert store.journal.read(NAME) == b"old"


def test_check_and_set_writes_only_in_place_of_what_was_expected(store: Keystore) -> None:
    store.journal.swap(NAME, None, b"one")
    store.journal.swap(NAME, b"one", b"two")
    for expected in (None, b"one", b""):
        with pytest.raises(JournalChanged):
            store.journal.swap(NAME, expected, b"three")
    assert store.journal.read(NAME) == b"two"
    store.journal.destroy(NAME)
    with pytest.raises(JournalChanged):
        store.journal.swap(NAME, b"two", b"three")
    assert store.journal.read(NAME) is None


def at_once(count: int, work: Callable[[int], object]) -> list[object]:
    """The results of `count` threads that start together."""
    start = threading.Barrier(count)

    def run(number: int) -> object:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_of_racing_creators_one_wins(provider: Provider, store: Keystore) -> None:
    stores = [store, provider.open()]

    def create(number: int) -> bool:
        try:
            stores[number % 2].journal.create("vote/01", b"%d" % number)
        except JournalExists:
            return False
        return True

    won = at_once(8, create)
    assert won.count(True) == 1
    assert store.journal.read("vote/01") == b"%d" % won.index(True)


def test_racing_check_and_sets_lose_no_update(provider: Provider, store: Keystore) -> None:
    stores = [store, provider.open()]
    store.journal.create(NAME, b"0")

    def count(number: int) -> None:
        journal, left = stores[number % 2].journal, 4
        while left:
            stands = journal.read(NAME)
            try:
                journal.swap(NAME, stands, b"%d" % (int(stands or b"") + 1))
                left -= 1
            except JournalChanged:
                pass

    at_once(6, count)
    assert store.journal.read(NAME) == b"24"


@pytest.mark.parametrize(
    "name",
    ["", "/", "../keystore", "a/../b", "a//b", "/etc/passwd", "a/", ".", "a.b", "A", "a\0b", "a\n", "é", "a" * 201],
)
def test_journal_names_that_try_to_escape(store: Keystore, name: str) -> None:
    for call in (store.journal.read, store.journal.destroy):
        with pytest.raises(InvalidName):
            call(name)
    for write in (
        store.journal.create,
        store.journal.replace,
        lambda name, data: store.journal.swap(name, None, data),
    ):
        with pytest.raises(InvalidName):
            write(name, b"")


# --- whose it is, and what it says when it can't say ---------------------------------------------------------------


def test_two_keystores_have_nothing_in_common(provider: Provider, store: Keystore) -> None:
    other = provider.another().open()
    ref = store.keys.make()
    store.journal.create(NAME, b"promised")
    assert other.id != store.id
    assert other.keys.list() == []
    with pytest.raises(KeyGone):
        other.keys.wrap(ref, SECRET, b"")
    assert other.journal.read(NAME) is None


def test_another_master_key_does_not_open_it(provider: Provider, store: Keystore) -> None:
    with pytest.raises(KeystoreClosed, match="master key"):
        provider.open(NEW_MASTER)


def test_without_its_keys_it_is_closed_and_none_is_called_erased(provider: Provider, store: Keystore) -> None:
    ref = store.keys.make()
    sealed = store.keys.wrap(ref, SECRET, b"")
    provider.lose_keys()
    with pytest.raises(KeystoreClosed):
        provider.open()
    if provider.name == "pkcs11":
        return  # an open session stays at its token
    for call in (
        store.keys.list,
        lambda: store.keys.exists(ref),
        lambda: store.keys.destroy(ref),
        lambda: store.keys.unwrap(ref, sealed, b""),
    ):
        with pytest.raises(KeystoreUnavailable):
            call()


def test_without_its_journal_it_is_closed_and_no_promise_is_forgotten(provider: Provider, store: Keystore) -> None:
    store.keys.make()
    store.journal.create(NAME, b"promised")
    provider.lose_journal()
    for call in (lambda: store.journal.read(NAME), lambda: store.journal.list("")):
        with pytest.raises(KeystoreUnavailable):
            call()
    with pytest.raises(KeystoreClosed):
        provider.open()


def test_what_does_not_answer_is_unavailable_never_gone(
    provider: Provider, store: Keystore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = store.keys.make()
    sealed = store.keys.wrap(ref, SECRET, b"")
    store.journal.create(NAME, b"old")
    with monkeypatch.context() as patch:
        provider.fail(patch)
        for call in (
            store.keys.make,
            store.keys.list,
            lambda: store.keys.wrap(ref, SECRET, b""),
            lambda: store.keys.unwrap(ref, sealed, b""),
            lambda: store.keys.exists(ref),
            lambda: store.keys.destroy(ref),
            lambda: store.journal.read(NAME),
            lambda: store.journal.list(""),
            lambda: store.journal.create("vote/01", b""),
            lambda: store.journal.replace(NAME, b"new"),
            lambda: store.journal.swap(NAME, b"old", b"new"),
            lambda: store.journal.destroy(NAME),
        ):
            with pytest.raises(KeystoreUnavailable):
                call()
    assert store.keys.list() == [ref]
    assert store.keys.unwrap(ref, sealed, b"") == SECRET
    assert store.journal.list("") == [NAME]
    assert store.journal.read(NAME) == b"old"


def test_64_threads_at_once(store: Keystore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token, "WAIT_SECONDS", 90.0)  # SoftHSM looks at every object, and this machine has other work

    def life(number: int) -> bool:
        secret = b"%d" % number
        ref = store.keys.make()
        sealed = store.keys.wrap(ref, secret, b"")
        store.journal.create(f"share/{number}", secret)
        assert store.keys.unwrap(ref, sealed, b"") == secret
        store.keys.destroy(ref)
        return not store.keys.exists(ref) and store.journal.read(f"share/{number}") == secret

    assert at_once(64, life) == [True] * 64
    assert store.keys.list() == []
    assert len(store.journal.list("share/")) == 64
