"""A new master key: sealed again while workers read and write, cut short at any step and run again; then the old one
opens nothing."""

import threading
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from audit.models import Event
from keys import node
from keys.keystore import JournalChanged, Keystore, KeystoreClosed, KeystoreUnavailable
from tests.keys.interruptions import interrupted
from tests.keys.providers import MASTER, NEW_MASTER, Files, Provider, Vault

SECRET = b"a share of 32 bytes or thereabout"
NAMES = ("acceptor/01/02", "share/01/02")


def filled(provider: Provider) -> list[tuple[str, bytes]]:
    """Two keys with what they sealed, and two records, all under the old master key."""
    store = provider.open()
    for name in NAMES:
        store.journal.replace(name, name.encode())
    refs = [store.keys.make() for _ in range(2)]
    return [(ref, store.keys.wrap(ref, SECRET, b"")) for ref in refs]


def opens(store: Keystore, sealed: list[tuple[str, bytes]]) -> bool:
    assert [store.journal.read(name) for name in NAMES] == [name.encode() for name in NAMES]
    return all(store.keys.unwrap(ref, each, b"") == SECRET for ref, each in sealed)


def rotated(provider: Provider) -> Keystore:
    store = provider.open(NEW_MASTER, MASTER)
    list(store.reseal())
    return store


def test_the_new_master_key_opens_everything_and_the_old_one_nothing(provider: Provider) -> None:
    sealed = filled(provider)
    worker = provider.open(MASTER, NEW_MASTER)
    store = provider.open(NEW_MASTER, MASTER)
    assert store.stale()
    names = list(store.reseal())
    assert names[-1] == "keystore", "the header says last that it is done"
    assert set(names) >= set(NAMES)
    assert store.stale() == []
    assert list(store.reseal()) == []
    for opened in (worker, provider.open(NEW_MASTER)):
        assert opened.id == store.id
        assert opens(opened, sealed)
    with pytest.raises(KeystoreClosed, match="master key"):
        provider.open(MASTER)


def test_a_rotation_cut_short_at_any_step_loses_nothing_and_is_finished_later(provider: Provider) -> None:
    sealed = filled(provider)
    masters = (MASTER, NEW_MASTER)

    def rotate(provider: Provider) -> None:
        list(provider.open(masters[1], masters[0]).reseal())

    for _ in interrupted(provider, rotate):
        old, new = masters
        for worker in (provider.open(old, new), provider.open(new, old)):
            assert opens(worker, sealed)
        rotate(provider)
        assert opens(provider.open(new), sealed)
        masters = (new, old)  # the next one goes back


def test_a_process_with_the_old_key_alone_finds_nothing_erased_nor_tampered_with(provider: Provider) -> None:
    sealed = filled(provider)
    worker = provider.open()
    rotated(provider)
    with pytest.raises(KeystoreUnavailable, match="master key"):
        worker.journal.read(NAMES[0])
    assert worker.keys.exists(sealed[0][0])
    if isinstance(provider, Files):
        with pytest.raises(KeystoreUnavailable, match="master key"):
            worker.keys.unwrap(*sealed[0], b"")


def test_what_a_worker_writes_under_the_old_key_meanwhile_is_found_by_the_next_pass(provider: Provider) -> None:
    filled(provider)
    late = provider.open(MASTER, NEW_MASTER)
    store = provider.open(NEW_MASTER, MASTER)
    left = 1
    for name in store.reseal():
        if name == NAMES[0] and left:
            late.journal.replace(NAMES[0], b"newer")
            left -= 1
    assert store.stale() == []
    assert store.journal.read(NAMES[0]) == b"newer"
    late.journal.replace(NAMES[1], b"after the end")
    assert store.stale() == [NAMES[1]]
    assert list(store.reseal()) == [NAMES[1]]


def test_a_rotation_that_workers_undo_ends_with_an_error_and_the_header_as_it_was(provider: Provider) -> None:
    filled(provider)
    late = provider.open(MASTER, NEW_MASTER)
    store = provider.open(NEW_MASTER, MASTER)

    def rotate() -> None:
        for name in store.reseal():
            if name in NAMES:
                late.journal.replace(name, b"again")

    with pytest.raises(KeystoreUnavailable, match="workers still seal"):
        rotate()
    assert "keystore" in store.stale()


def test_a_rotation_neither_revives_what_is_destroyed_nor_undoes_what_is_written(provider: Provider) -> None:
    """Back and forth between two keys while a worker counts, destroys and makes."""
    filled(provider)
    worker = provider.open(MASTER, NEW_MASTER)
    worker.journal.replace("count", b"0")
    stop = threading.Event()
    failures: list[BaseException] = []

    def rotate() -> None:
        old, new = MASTER, NEW_MASTER
        try:
            while not stop.is_set():
                list(provider.open(new, old).reseal())
                old, new = new, old
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=rotate)
    thread.start()
    try:
        for number in range(12):
            worker.journal.swap("count", b"%d" % number, b"%d" % (number + 1))
            ref = worker.keys.make()
            worker.journal.create(f"share/{number}", ref.encode())
            worker.keys.destroy(ref)
            worker.journal.destroy(f"share/{number}")
            assert not worker.keys.exists(ref)
    except JournalChanged:
        failures.append(AssertionError("an older record came back"))
    finally:
        stop.set()
        thread.join()
    assert failures == []
    assert worker.journal.read("count") == b"12"
    assert len(worker.keys.list()) == 2
    assert worker.journal.list("share/") == [NAMES[1]]


def test_of_files_the_one_under_the_old_key_is_overwritten(tmp_path: Path) -> None:
    files = Files(tmp_path / "keystore")
    sealed = filled(files)
    held = {ref: (files.root / "keys" / ref).open("rb") for ref, _ in sealed}
    rotated(files)
    for ref, file in held.items():
        with file:
            assert not any(file.read()), "the old wrapping stayed on the disk"
        assert any((files.root / "keys" / ref).read_bytes())


def test_what_a_killed_rotation_left_of_a_key_goes_with_the_key(tmp_path: Path) -> None:
    files = Files(tmp_path / "keystore")
    ref = filled(files)[0][0]
    kept = [(files.root / "keys" / f"new~{ref}~{number:016x}") for number in range(2)]
    for path in kept:
        path.write_bytes(b"the same key under the new master key")
    link = tmp_path / "link"
    link.hardlink_to(kept[0])
    files.open().keys.destroy(ref)
    assert not any(path.exists() for path in kept)
    assert not any(link.read_bytes())


def test_vault_keeps_no_version_under_the_old_key(vault: object) -> None:
    place = Vault(vault)  # type: ignore[arg-type]
    filled(place)
    rotated(place)
    assert all(len(secret.versions) == 1 for secret in place.server.kv.secrets.values())


# --- the command --------------------------------------------------------------------------------------------------


def rotate_command() -> str:
    out = StringIO()
    call_command("keystore_rotate", stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_the_command_rotates_and_leaves_an_event(provider: Provider, settings: Settings) -> None:
    for name, value in {**provider.settings(), "VERTEX_MASTER_KEY": MASTER.hex()}.items():
        setattr(settings, name, value)
    with pytest.raises(CommandError, match="nothing to rotate"):
        rotate_command()
    row = node.ensure_node()
    sealed = filled(provider)
    settings.VERTEX_MASTER_KEY, settings.VERTEX_MASTER_KEY_OTHER = NEW_MASTER.hex(), MASTER.hex()
    records = len(provider.open(NEW_MASTER, MASTER).stale())
    assert f"{records} records sealed again" in rotate_command()
    event = Event.objects.get(action="keystore.rotated")
    assert event.data == {"keystore": row.keystore_id, "kind": provider.name, "records": records}
    settings.VERTEX_MASTER_KEY_OTHER = ""
    assert opens(provider.open(NEW_MASTER), sealed)
    assert "0 records sealed again" in rotate_command()
    assert Event.objects.filter(action="keystore.rotated").count() == 1
    settings.VERTEX_MASTER_KEY = MASTER.hex()
    with pytest.raises(CommandError, match=r"run it again: .* master key"):
        rotate_command()
