"""A process that dies, or a keystore that is lost, between any two durable steps: nothing half written, nothing half
erased, and the same call again gets there."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from keys.keystore import JournalExists, KeyGone, Keystore, KeystoreUnavailable
from keys.keystore.token import Token
from tests.keys.interruptions import interrupted, opened
from tests.keys.providers import Pkcs11, Provider, Vault

SECRET = b"a share of 32 bytes or thereabout"
SHARE, ACCEPTOR = "share/01/02", "acceptor/01/02"


def seal(store: Keystore) -> None:
    """As a share is stored: once, under a key of its own, what was stored before is kept."""
    if store.journal.read(SHARE) is None:
        ref = store.keys.make()
        try:
            store.journal.create(SHARE, ref.encode() + store.keys.wrap(ref, SECRET, b""))
        except JournalExists:
            store.keys.destroy(ref)


def stored(store: Keystore) -> tuple[str, bytes] | None:
    record = store.journal.read(SHARE)
    return None if record is None else (record[:32].decode(), record[32:])


def erase(store: Keystore) -> None:
    record = stored(store)
    if record is not None:
        store.keys.destroy(record[0])
        store.journal.destroy(SHARE)


def test_an_interrupted_first_start_is_finished_by_the_next(provider: Provider) -> None:
    for _ in interrupted(provider, opened(lambda store: None)):
        first = provider.open()
        assert provider.open().id == first.id
        seal(first)
        assert stored(provider.open()) is not None
        provider.lose_all()


def test_an_interrupted_seal_leaves_a_whole_share_or_none(provider: Provider) -> None:
    provider.open()
    for _ in interrupted(provider, opened(seal)):
        store = provider.open()
        record = stored(store)
        if record is not None:
            assert store.keys.unwrap(*record, b"") == SECRET
        seal(store)
        whole = stored(store)
        assert whole is not None
        assert store.keys.unwrap(*whole, b"") == SECRET
        assert store.journal.list("") == [SHARE]
        erase(store)


@pytest.mark.parametrize("how", ["replace", "check and set"])
def test_an_interrupted_replace_leaves_the_old_record_or_the_new_one(provider: Provider, how: str) -> None:
    def work(store: Keystore) -> None:
        if how == "replace":
            store.journal.replace(ACCEPTOR, b"new")
        elif store.journal.read(ACCEPTOR) == b"old":
            store.journal.swap(ACCEPTOR, b"old", b"new")

    provider.open().journal.create(ACCEPTOR, b"old")
    found = []
    for _ in interrupted(provider, opened(work)):
        store = provider.open()
        found.append(store.journal.read(ACCEPTOR))
        work(store)
        assert store.journal.read(ACCEPTOR) == b"new"
        assert store.journal.list("") == [ACCEPTOR]
        store.journal.replace(ACCEPTOR, b"old")
    assert set(found) == {b"old", b"new"}, "before and after the step that counts"


def test_an_interrupted_erase_is_not_taken_back_and_ends(provider: Provider) -> None:
    seal(provider.open())
    ends = set()
    for _ in interrupted(provider, opened(erase)):
        store = provider.open()
        record = stored(store)
        gone = True
        if record is not None:
            try:
                assert store.keys.unwrap(*record, b"") == SECRET
                gone = False
            except KeyGone:
                assert not store.keys.exists(record[0])
        ends.add((record is not None, gone))
        erase(store)
        assert store.journal.list("") == []
        assert store.keys.list() == []
        if record is not None:
            with pytest.raises(KeyGone):
                store.keys.unwrap(*record, b"")
        seal(store)
    assert {(True, False), (True, True)} <= ends, "before and after the key was destroyed"


@contextmanager
def full(provider: Provider, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """No file may grow beyond 20 bytes in this process; Vault and token say what they say when their storage is full.
    (SoftHSM doesn't: it answers that a key is stored of which it wrote a part. docs/keystore.md.)"""
    if isinstance(provider, Vault):
        refusal = {"errors": ["1 error occurred:\n\t* no space left on device\n\n"]}
        with patch.context() as context:
            context.setattr(provider.server, "fault", lambda request: (500, refusal) if "POST" in request else None)
            yield
        return
    if isinstance(provider, Pkcs11):
        patch.setattr(Token, "make", provider.refusing("DeviceMemory"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_no_half_record_and_says_so(
    provider: Provider, store: Keystore, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal(store)
    store.journal.create(ACCEPTOR, b"old")
    refs, names = store.keys.list(), store.journal.list("")
    with full(provider, monkeypatch):
        for call in (
            store.keys.make,
            lambda: store.journal.create("vote/01", b"yes"),
            lambda: store.journal.replace(ACCEPTOR, b"new"),
            lambda: store.journal.swap(ACCEPTOR, b"old", b"new"),
        ):
            with pytest.raises(KeystoreUnavailable, match=r"File too large|no space left|token refuses"):
                call()
    assert store.keys.list() == refs
    assert store.journal.list("") == names
    assert provider.open().journal.read(ACCEPTOR) == b"old"
    record = stored(store)
    assert record is not None
    assert store.keys.unwrap(*record, b"") == SECRET


def test_on_a_full_disk_a_share_can_still_be_erased(
    provider: Provider, store: Keystore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To overwrite takes no more room; Vault, whose deletions are writes, refuses: then nothing is called erased."""
    seal(store)
    with full(provider, monkeypatch):
        if isinstance(provider, Vault):
            with pytest.raises(KeystoreUnavailable):
                erase(store)
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
            erase(store)
    erase(store)
    assert store.keys.list() == []
    assert store.journal.list("") == []
