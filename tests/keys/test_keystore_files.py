"""The file keystore beside the contract: files bound to their place, flushed, private, overwritten when destroyed."""

import os
import resource
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from keys.keystore import KeyGone, KeystoreClosed, KeystoreUnavailable, Tampered, keystore
from keys.keystore.files import FileKeystore
from keys.keystore.sealing import MasterKeys
from tests.keys.providers import MASTER

SECRET = b"a share of 32 bytes or thereabout"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "keystore"


@pytest.fixture
def store(root: Path) -> FileKeystore:
    return FileKeystore(root, MasterKeys(MASTER))


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def test_neither_file_nor_sealed_value_shows_the_plaintext(root: Path, store: FileKeystore) -> None:
    ref = store.keys.make()
    sealed = store.keys.wrap(ref, SECRET, b"")
    store.journal.create("acceptor/01/02", SECRET)
    assert SECRET not in sealed
    assert all(SECRET not in path.read_bytes() for path in files(root))


def test_swapped_key_files_do_not_open(root: Path, store: FileKeystore) -> None:
    one, two = store.keys.make(), store.keys.make()
    sealed = store.keys.wrap(one, SECRET, b"")
    shutil.copy(root / "keys" / two, root / "keys" / one)
    with pytest.raises(Tampered):
        store.keys.unwrap(one, sealed, b"")
    with pytest.raises(Tampered):
        store.keys.wrap(one, SECRET, b"")


def test_swapped_journal_files_do_not_open(root: Path, store: FileKeystore) -> None:
    store.journal.create("acceptor/aa/01", b"promised 1")
    store.journal.create("acceptor/aa/02", b"promised 2")
    shutil.copy(root / "journal" / "acceptor.aa.02", root / "journal" / "acceptor.aa.01")
    with pytest.raises(Tampered):
        store.journal.read("acceptor/aa/01")


def test_files_of_another_keystore_with_the_same_master_key_do_not_open(tmp_path: Path, store: FileKeystore) -> None:
    other = FileKeystore(tmp_path / "other", MasterKeys(MASTER))
    other.journal.create("acceptor/aa/01", b"promised 9")
    ref = other.keys.make()
    shutil.copy(tmp_path / "other" / "journal" / "acceptor.aa.01", tmp_path / "keystore" / "journal")
    shutil.copy(tmp_path / "other" / "keys" / ref, tmp_path / "keystore" / "keys")
    with pytest.raises(Tampered):
        store.journal.read("acceptor/aa/01")
    with pytest.raises(Tampered):
        store.keys.wrap(ref, SECRET, b"")


def test_destroyed_key_is_gone_for_every_process(root: Path, store: FileKeystore) -> None:
    other_process = FileKeystore(root, MasterKeys(MASTER))
    ref, kept = store.keys.make(), store.keys.make()
    sealed = store.keys.wrap(ref, SECRET, b"")
    link = root / "link"
    os.link(root / "keys" / ref, link)
    other_process.keys.destroy(ref)
    with pytest.raises(KeyGone):
        store.keys.unwrap(ref, sealed, b"")
    with pytest.raises(KeyGone):
        store.keys.wrap(ref, SECRET, b"")
    assert not store.keys.exists(ref)
    assert store.keys.list() == [kept]
    assert not any(link.read_bytes()), "the file's content outlived its name"
    store.keys.destroy(ref)


def test_destroy_cut_short_after_the_overwrite_is_gone_and_finished_at_the_next_start(
    root: Path, store: FileKeystore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = store.keys.make()
    sealed = store.keys.wrap(ref, SECRET, b"")

    def crash(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", crash)
        with pytest.raises(KeyboardInterrupt):
            store.keys.destroy(ref)
    with pytest.raises(KeyGone):
        store.keys.unwrap(ref, sealed, b"")
    assert FileKeystore(root, MasterKeys(MASTER)).keys.list() == []


@pytest.mark.parametrize("written", [8, 30])
def test_what_was_overwritten_in_part_is_gone_not_tampered_with(root: Path, store: FileKeystore, written: int) -> None:
    """A disk that fails in the middle of a destroy: the next one finishes it, as does the next start."""
    for finish in (store.keys.destroy, lambda ref: FileKeystore(root, MasterKeys(MASTER))):
        ref = store.keys.make()
        sealed = store.keys.wrap(ref, SECRET, b"")
        store.journal.create("share/01", b"sealed share")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (written, hard))
        try:
            for destroy in (lambda ref=ref: store.keys.destroy(ref), lambda: store.journal.destroy("share/01")):
                with pytest.raises(KeystoreUnavailable):
                    destroy()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        with pytest.raises(KeyGone):
            store.keys.unwrap(ref, sealed, b"")
        assert store.journal.read("share/01") is None
        finish(ref)
        store.journal.destroy("share/01")
        assert (store.keys.list(), store.journal.list("")) == ([], [])


def test_every_write_is_flushed_to_file_and_directory_before_it_returns(
    store: FileKeystore, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    real = {name: getattr(os, name) for name in ("fsync", "link", "rename", "unlink")}

    def spy(name: str) -> Callable[..., None]:
        def call(*args: object, **kwargs: object) -> None:
            directory = name == "fsync" and stat.S_ISDIR(os.fstat(args[0]).st_mode)  # type: ignore[arg-type]
            calls.append("fsync directory" if directory else name)
            real[name](*args, **kwargs)

        return call

    for name in real:
        monkeypatch.setattr(os, name, spy(name))
    store.journal.create("a", b"1")
    assert calls == ["fsync", "link", "unlink", "fsync directory"]
    calls.clear()
    store.journal.replace("a", b"2")
    assert calls == ["fsync", "rename", "fsync directory"]
    calls.clear()
    store.journal.destroy("a")
    assert calls == ["fsync", "fsync", "unlink", "fsync directory"], "the beginning first"


def test_what_a_dead_writer_left_is_overwritten(root: Path, store: FileKeystore) -> None:
    """A rotation that was killed: a data key sealed anew, under no other name."""
    left = root / "keys" / f"new~{'0' * 32}~{'0' * 16}"
    left.write_bytes(b"a sealed data key")
    os.utime(left, (time.time() - 3600,) * 2)
    with left.open("rb") as still:
        FileKeystore(root, MasterKeys(MASTER))
        assert still.read() == bytes(17)
    assert [path.name for path in (root / "keys").iterdir()] == store.keys.list() == []


def test_a_dead_writers_second_name_of_a_live_file_is_unlinked_only(root: Path, store: FileKeystore) -> None:
    """It died between link and unlink."""
    ref = store.keys.make()
    sealed = store.keys.wrap(ref, b"secret", b"")
    left = root / "keys" / f"new~{ref}~{'0' * 16}"
    left.hardlink_to(root / "keys" / ref)
    os.utime(left, (time.time() - 3600,) * 2)
    FileKeystore(root, MasterKeys(MASTER))
    assert not left.exists()
    assert store.keys.unwrap(ref, sealed, b"") == b"secret"


def test_a_frozen_writer_does_not_link_what_was_overwritten(
    root: Path, store: FileKeystore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It wakes just as another process takes its file for a dead one's."""
    left = root / "journal" / f"new~a~{'0' * 16}"
    left.write_bytes(b"half")
    os.utime(left, (time.time() - 3600,) * 2)
    fstat, linked = os.fstat, []

    def wakes(fd: int) -> os.stat_result:
        found = fstat(fd)
        if found.st_size == 4 and not linked:
            linked.append(True)
            with pytest.raises(FileNotFoundError):
                os.link(left, root / "journal" / "a")
        return found

    monkeypatch.setattr(os, "fstat", wakes)
    FileKeystore(root, MasterKeys(MASTER))
    assert linked
    assert store.journal.list("") == []


@pytest.mark.parametrize("fails", ["link", "rename", "unlink"])
def test_a_write_that_fails_leaves_nothing_that_opens(
    root: Path, store: FileKeystore, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    """What it had written is overwritten, if it was not in its place already."""
    real, held = getattr(os, fails), []
    place = root / "journal"

    def refuses(*args: object, **kwargs: object) -> None:
        if not held:
            [temporary] = place.glob("new~*")
            held.append(temporary.open("rb"))
            raise OSError(5, "Input/output error")
        real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, fails, refuses)
        with pytest.raises(KeystoreUnavailable):
            (store.journal.replace if fails == "rename" else store.journal.create)("a", b"1")
    with held[0] as still:
        assert (not any(still.read())) is (fails != "unlink")
    assert list(place.glob("new~*")) == []
    assert store.journal.read("a") == (b"1" if fails == "unlink" else None)


def test_leftovers_of_a_dead_writer_are_removed_but_not_those_of_a_live_one(root: Path, store: FileKeystore) -> None:
    old, fresh = root / "keys" / "new~old", root / "keys" / "new~fresh"
    old.write_bytes(b"half")
    fresh.write_bytes(b"half")
    os.utime(old, (time.time() - 3600,) * 2)
    FileKeystore(root, MasterKeys(MASTER))
    assert not old.exists()
    assert fresh.exists()
    assert store.keys.list() == []


def test_a_symbolic_link_in_the_directory_is_not_followed(root: Path, store: FileKeystore, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (root / "journal" / "linked").symlink_to(victim)
    for call in (store.journal.read, store.journal.destroy):
        with pytest.raises(KeystoreUnavailable, match="symbolic links"):
            call("linked")
    assert victim.read_bytes() == b"precious"


def test_everything_is_private_to_the_owner(root: Path, store: FileKeystore) -> None:
    store.keys.make()
    store.journal.create("stored/01", b"")
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [root, *root.rglob("*")]}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


@pytest.mark.parametrize("part", ["", "keys", "journal"])
def test_a_directory_that_others_can_read_is_refused(root: Path, store: FileKeystore, part: str) -> None:
    (root / part).chmod(0o750)
    with pytest.raises(KeystoreClosed, match="0700"):
        FileKeystore(root, MasterKeys(MASTER))


@pytest.mark.parametrize(
    "master", [bytes(32), MASTER[:31], MASTER + b"\0", b""], ids=["other", "short", "long", "empty"]
)
def test_wrong_master_key_does_not_open(root: Path, store: FileKeystore, master: bytes) -> None:
    with pytest.raises(KeystoreClosed):
        FileKeystore(root, MasterKeys(master))


def test_settings_open_it_once_and_only_with_a_master_key(root: Path, settings: object) -> None:
    settings.VERTEX_KEYSTORE, settings.VERTEX_MASTER_KEY = str(root), MASTER.hex()  # type: ignore[attr-defined]
    assert keystore() is keystore()
    assert MASTER.hex() not in repr(keystore())
    for master in ("", "no hex", MASTER.hex()[:-2]):
        settings.VERTEX_MASTER_KEY = master  # type: ignore[attr-defined]
        with pytest.raises(KeystoreClosed):
            keystore()
