"""A PKCS#11 token beside the contract: what its keys may do, and what happens when it fails."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pkcs11
import pytest

from keys.keystore import KeyGone, Keystore, KeystoreClosed, KeystoreUnavailable
from keys.keystore import token as token_module
from keys.keystore.token import Token, TokenAccess
from tests.keys.providers import PIN, SOFTHSM, Pkcs11, empty_token

SECRET = b"a share of 32 bytes or thereabout"


@pytest.fixture
def place(tokens: Path, tmp_path: Path) -> Iterator[Pkcs11]:
    yield Pkcs11(tmp_path / "keystore")
    empty_token()


def test_a_keys_bytes_never_leave_the_token(place: Pkcs11) -> None:
    store = place.open()
    ref = store.keys.make()
    with Token(place.access())._turn() as session:
        (key,) = session.get_objects({pkcs11.Attribute.ID: bytes.fromhex(ref)})
        wanted = ("TOKEN", "PRIVATE", "SENSITIVE", "EXTRACTABLE", "NEVER_EXTRACTABLE", "MODIFIABLE", "WRAP", "DERIVE")
        found = {name: key[getattr(pkcs11.Attribute, name)] for name in wanted}
        with pytest.raises(pkcs11.PKCS11Error):
            key[pkcs11.Attribute.VALUE]
    off = ("EXTRACTABLE", "MODIFIABLE", "WRAP", "DERIVE")
    assert found == {name: name not in off for name in wanted}


def test_what_is_sealed_in_one_process_is_destroyed_in_another(place: Pkcs11) -> None:
    store = place.open()
    ref = store.keys.make()
    sealed = store.keys.wrap(ref, SECRET, b"")
    child = os.fork()
    if child == 0:
        try:
            other = place.open()
            assert other.keys.unwrap(ref, sealed, b"") == SECRET
            other.keys.destroy(ref)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with pytest.raises(KeyGone):
        store.keys.unwrap(ref, sealed, b"")


def test_after_an_error_the_next_call_logs_in_again(place: Pkcs11, monkeypatch: pytest.MonkeyPatch) -> None:
    store = place.open()
    ref = store.keys.make()
    with monkeypatch.context() as patch:
        patch.setattr(Token, "_found", place.refusing("SessionHandleInvalid", in_turn=True))
        with pytest.raises(KeystoreUnavailable, match="SessionHandleInvalid"):
            store.keys.exists(ref)
    assert store.keys.exists(ref)


def test_a_token_that_ended_the_login_does_not_look_like_an_empty_one(place: Pkcs11) -> None:
    store = place.open()
    ref = store.keys.make()
    logout(store)
    with pytest.raises(KeystoreUnavailable, match="no longer in the token"):
        store.keys.exists(ref)
    assert store.keys.exists(ref), "logged in again"


@pytest.mark.parametrize("call", ["exists", "destroy", "wrap", "unwrap", "list"])
def test_a_key_is_looked_for_and_believed_gone_under_one_login(
    place: Pkcs11, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """The token ended the login, and after our turn another thread logs in again."""
    store = place.open()
    ref = store.keys.make()
    sealed = store.keys.wrap(ref, SECRET, b"")
    arguments = {"wrap": (ref, SECRET, b""), "unwrap": (ref, sealed, b""), "list": ()}.get(call, (ref,))
    turn = Token._turn

    @contextmanager
    def taken_in_turns(token: Token) -> Iterator[Any]:
        with turn(token) as session:
            yield session
        token._forget()

    logout(store)
    with monkeypatch.context() as patch:
        patch.setattr(Token, "_turn", taken_in_turns)
        with pytest.raises(KeystoreUnavailable, match="no longer in the token"):
            getattr(store.keys, call)(*arguments)
    assert store.keys.unwrap(ref, sealed, b"") == SECRET


def logout(store: Keystore) -> None:
    """End the login of this process, as a token that was taken out and put back does."""
    library = pkcs11.lib(SOFTHSM)
    library.reinitialize()
    store.keys._token._session = library.get_token(token_label="one").open(rw=True)  # type: ignore[attr-defined]


def test_a_thread_does_not_wait_for_its_turn_for_ever(place: Pkcs11, monkeypatch: pytest.MonkeyPatch) -> None:
    store = place.open()
    monkeypatch.setattr(token_module, "WAIT_SECONDS", 0.05)
    with Token(place.access())._turn(), pytest.raises(KeystoreUnavailable, match="busy"):
        store.keys.list()
    assert store.keys.list() == []


REFUSED = {
    "no such module": (TokenAccess("/nonexistent/module.so", "one", PIN), KeystoreUnavailable),
    "no such token": (TokenAccess(SOFTHSM, "nobody's", PIN), KeystoreUnavailable),
    "a wrong PIN": (TokenAccess(SOFTHSM, "three", "4321"), KeystoreClosed),
}


@pytest.mark.parametrize(("access", "error"), REFUSED.values(), ids=REFUSED)
def test_what_can_not_be_opened_is_said_at_once(tokens: Path, access: TokenAccess, error: type[Exception]) -> None:
    with pytest.raises(error):
        Token(access)
