"""AES keys in a PKCS#11 token, which never leave it: one login, one session, one call at a time.

The binding initialises the vendor's library without locking, which PKCS#11 allows to callers that call from one thread
at a time; so one lock orders all calls of this process. The library does not survive a fork: a child initialises it
again.
"""

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from keys.keystore.base import KeystoreClosed, KeystoreUnavailable

NONCE = 12
_TAG_BITS = 128
# How long a thread waits for its turn; the time limits of a call are the vendor's library's.
WAIT_SECONDS = 10.0
_initialised: dict[str, int] = {}  # module's path: process
_locks: dict[str, threading.Lock] = defaultdict(threading.Lock)  # by module's path
os.register_at_fork(after_in_child=_locks.clear)


@dataclass(frozen=True)
class TokenAccess:
    """The vendor's module (a path), the token's label and the user's PIN."""

    module: str
    label: str
    pin: str = field(repr=False)


class Place(NamedTuple):
    """The label of a keystore's keys, and that of the marker: "not there" is believed only where the marker is found
    under the same login."""

    label: str
    marker: str


class Token:
    """Keys in a token by label and id (bytes). Raises KeystoreClosed, KeystoreUnavailable."""

    def __init__(self, access: TokenAccess) -> None:
        try:
            import pkcs11
        except ImportError:
            raise KeystoreClosed("this keystore needs the package python-pkcs11") from None
        self._pkcs11: Any = pkcs11
        self._access = access
        self._session: Any = None
        with self._turn():
            pass  # a wrong PIN is said at once

    def __repr__(self) -> str:
        return f"Token({self._access.label})"

    def make(self, label: str, identifier: bytes) -> None:
        """A non-extractable AES-256 key, stored in the token on return."""
        attribute = self._pkcs11.Attribute
        template = {
            attribute.TOKEN: True,
            attribute.PRIVATE: True,
            attribute.SENSITIVE: True,
            attribute.EXTRACTABLE: False,
            attribute.MODIFIABLE: False,
            attribute.ENCRYPT: True,
            attribute.DECRYPT: True,
            attribute.WRAP: False,
            attribute.UNWRAP: False,
            attribute.SIGN: False,
            attribute.VERIFY: False,
            attribute.DERIVE: False,
        }
        with self._turn() as session:
            session.generate_key(
                self._pkcs11.KeyType.AES, 256, id=identifier, label=label, store=True, template=template
            )

    def encrypt(self, place: Place, identifier: bytes, plaintext: bytes, aad: bytes) -> bytes | None:
        """AES-GCM, ``nonce ‖ ciphertext ‖ tag``; None where there is no such key."""
        nonce = os.urandom(NONCE)
        sealed = self._with_key(place, identifier, lambda key: key.encrypt(plaintext, **self._gcm(nonce, aad)))
        return None if sealed is None else nonce + sealed

    def decrypt(self, place: Place, identifier: bytes, sealed: bytes, aad: bytes) -> bytes | None:
        """Raises ValueError where it does not authenticate; None where there is no such key."""
        return self._with_key(place, identifier, lambda key: self._decrypted(key, sealed, aad))

    def _decrypted(self, key: Any, sealed: bytes, aad: bytes) -> bytes:
        """Modules don't agree on what they answer to bytes that a key did not seal; if the same key opens what it seals
        now, it was the bytes."""
        try:
            return bytes(key.decrypt(sealed[NONCE:], **self._gcm(sealed[:NONCE], aad)))
        except (self._pkcs11.PKCS11Error, ValueError) as error:
            probe = self._gcm(os.urandom(NONCE), aad)
            if key.decrypt(key.encrypt(b"probe", **probe), **probe) != b"probe":
                raise KeystoreUnavailable("the token does not open what it seals") from error
            raise ValueError("does not authenticate") from error

    def destroy(self, place: Place, identifier: bytes) -> None:
        """C_DestroyObject for every key of that id, and a look that none is left."""
        with self._turn() as session:
            for key in self._found(session, place.label, identifier):
                key.destroy()
            if self._found(session, place.label, identifier):
                raise KeystoreUnavailable("the token still has the key that it was told to destroy")
            self._check_marker(session, place)

    def identifiers(self, place: Place) -> list[bytes]:
        """The ids of all keys."""
        with self._turn() as session:
            found = [bytes(key[self._pkcs11.Attribute.ID]) for key in self._found(session, place.label)]
            self._check_marker(session, place)
            return found

    def exists(self, place: Place, identifier: bytes) -> bool:
        return self._with_key(place, identifier, lambda key: b"") is not None

    def has(self, label: str) -> bool:
        """Whether there is any key of that label."""
        with self._turn() as session:
            return bool(self._found(session, label))

    def _with_key(self, place: Place, identifier: bytes, use: Callable[[Any], bytes]) -> bytes | None:
        with self._turn() as session:
            found = self._found(session, place.label, identifier)
            if found:
                return bytes(use(found[0]))
            self._check_marker(session, place)
            return None

    def _check_marker(self, session: Any, place: Place) -> None:
        """Before "not there" is believed, in the same turn: in the next one another thread may have logged in again."""
        if not self._found(session, place.marker):
            self._forget()  # perhaps the token has only ended our login
            raise KeystoreUnavailable("this keystore's keys are no longer in the token")

    def _found(self, session: Any, label: str, identifier: bytes | None = None) -> list[Any]:
        attribute = self._pkcs11.Attribute
        wanted = {attribute.CLASS: self._pkcs11.ObjectClass.SECRET_KEY, attribute.LABEL: label}
        if identifier is not None:
            wanted[attribute.ID] = identifier
        return list(session.get_objects(wanted))

    def _gcm(self, nonce: bytes, aad: bytes) -> dict[str, Any]:
        parameters = self._pkcs11.GCMParams(nonce, aad, _TAG_BITS)
        return {"mechanism": self._pkcs11.Mechanism.AES_GCM, "mechanism_param": parameters}

    @contextmanager
    def _turn(self) -> Iterator[Any]:
        """The session, for this thread alone; what fails closes it, so that the next call logs in again."""
        lock = _locks[self._access.module]
        if not lock.acquire(timeout=WAIT_SECONDS):
            raise KeystoreUnavailable("the token is busy for too long")
        try:
            if self._session is None:
                self._session = self._opened()
            yield self._session
        except self._pkcs11.PKCS11Error as error:
            self._forget()
            raise KeystoreUnavailable(f"the token refuses: {type(error).__name__}") from error
        finally:
            lock.release()

    def _opened(self) -> Any:
        pkcs11, access = self._pkcs11, self._access
        try:
            library = pkcs11.lib(access.module)
            if _initialised.setdefault(access.module, os.getpid()) != os.getpid():
                library.reinitialize()
                _initialised[access.module] = os.getpid()
            token = library.get_token(token_label=access.label)
            try:
                return token.open(rw=True, user_pin=access.pin)
            except pkcs11.UserAlreadyLoggedIn:  # another token object of this process is
                return token.open(rw=True)
        except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange, pkcs11.PinLocked) as error:
            raise KeystoreClosed(f"the token refuses the PIN: {type(error).__name__}") from error

    def _forget(self) -> None:
        """End the session; the next call logs in again."""
        session, self._session = self._session, None
        if session is not None:
            try:
                session.close()
            except self._pkcs11.PKCS11Error:
                pass  # it is gone already
