"""What all providers share: sealing with AES-256-GCM, the ring of master keys, the header that tells whose keystore it
is.

A sealed value of a master key names the key: ``02 ‖ key id (8) ‖ nonce (12) ‖ ciphertext ‖ tag (16)``; one of a data
key does not: ``01 ‖ nonce (12) ‖ ciphertext ‖ tag (16)``. The authenticated data bind purpose, place and what the
caller adds, each with its length before it.
"""

import hmac
import os
import re

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keys.keystore.base import InvalidName, KeystoreClosed, KeystoreUnavailable, Tampered
from keys.keystore.directory import is_wiped

KEY = 32
_BY_DATA_KEY, _BY_MASTER_KEY, _BY_ENVELOPE = b"\x01", b"\x02", b"\x03"
_KEY_ID = 8
_NONCE = 12
_TAG = 16
_ID = 16
_REF = re.compile(r"[0-9a-f]{32}\Z")
_JOURNAL_NAME = re.compile(r"[a-z0-9-]+(/[a-z0-9-]+)*\Z")
_JOURNAL_NAME_LENGTH = 200


def seal(key: AESGCM, plaintext: bytes, purpose: str, place: str, aad: bytes) -> bytes:
    """Seal under a data key: ``len(plaintext) + 29`` bytes."""
    return _BY_DATA_KEY + _encrypt(key, plaintext, _bound(_BY_DATA_KEY, purpose, place, aad))


def unseal(key: AESGCM, sealed: bytes, purpose: str, place: str, aad: bytes) -> bytes:
    """Open what `seal` made; raises Tampered."""
    return _decrypt(key, _body(sealed, _BY_DATA_KEY), _bound(_BY_DATA_KEY, purpose, place, aad))


class MasterKeys:
    """The node's master key, which seals, and at most one other, which is only read: the two of a rotation."""

    def __init__(self, current: bytes, other: bytes | None = None) -> None:
        if any(len(key) != KEY for key in (current, other) if key is not None):
            raise KeystoreClosed(f"a master key has {KEY} bytes")
        self._keys = {_key_id(key): key for key in (current, other) if key is not None}
        self.current = _key_id(current)

    def __repr__(self) -> str:
        return "MasterKeys(<redacted>)"

    def derived(self, identifier: str, purpose: str) -> dict[bytes, AESGCM]:
        """By key id: the keys of one keystore for one purpose."""
        info, salt = b"vertex/keystore/2/" + purpose.encode(), bytes.fromhex(identifier)
        return {
            key_id: AESGCM(HKDF(SHA256(), length=KEY, salt=salt, info=info).derive(key))
            for key_id, key in self._keys.items()
        }


class Sealer:
    """Seals under the master key for one keystore and purpose. What another keystore sealed doesn't open."""

    def __init__(self, masters: MasterKeys, identifier: str, purpose: str) -> None:
        self._keys = masters.derived(identifier, purpose)
        self._current = masters.current
        self._purpose = purpose

    def seal(self, place: str, plaintext: bytes) -> bytes:
        """``len(plaintext) + 37`` bytes, bound to `place`."""
        bound = _bound(_BY_MASTER_KEY, self._purpose, place, b"")
        return _BY_MASTER_KEY + self._current + _encrypt(self._keys[self._current], plaintext, bound)

    def unseal(self, place: str, sealed: bytes) -> bytes:
        """Raises Tampered; KeystoreUnavailable where the value names a master key that this process doesn't have."""
        body = _body(sealed, _BY_MASTER_KEY)
        key = self._keys.get(body[:_KEY_ID])
        if key is None:
            raise KeystoreUnavailable("sealed under a master key that this process does not have")
        return _decrypt(key, body[_KEY_ID:], _bound(_BY_MASTER_KEY, self._purpose, place, b""))

    def is_current(self, sealed: bytes) -> bool:
        """Whether it names the master key that seals."""
        return sealed[: 1 + _KEY_ID] == _BY_MASTER_KEY + self._current

    def resealed(self, place: str, sealed: bytes | None) -> bytes | None:
        """The same under the master key that seals; None when there is nothing to do."""
        if sealed is None or is_wiped(sealed) or self.is_current(sealed):
            return None
        return self.seal(place, self.unseal(place, sealed))


class Envelope:
    """For keys that stay where they are: a fresh content key seals, and only that goes to the keeper of the key.

    ``03 ‖ length of the box (2) ‖ box ‖ nonce (12) ‖ ciphertext ‖ tag (16)``; the box is the keeper's.
    """

    @staticmethod
    def seal(content_key: bytes, box: bytes, ref: str, plaintext: bytes, aad: bytes) -> bytes:
        bound = _bound(_BY_ENVELOPE, "wrapped", ref, aad)
        return _BY_ENVELOPE + len(box).to_bytes(2, "big") + box + _encrypt(AESGCM(content_key), plaintext, bound)

    @staticmethod
    def box(sealed: bytes) -> tuple[bytes, bytes]:
        """(box, rest); raises Tampered."""
        body = _body(sealed, _BY_ENVELOPE)
        size = int.from_bytes(body[:2], "big")
        if len(body) < 2 + size + _NONCE + _TAG:
            raise Tampered("a sealed value that was cut")
        return body[2 : 2 + size], body[2 + size :]

    @staticmethod
    def open(content_key: bytes, rest: bytes, ref: str, aad: bytes) -> bytes:
        """Raises Tampered."""
        if len(content_key) != KEY:
            raise Tampered("not a content key")
        return _decrypt(AESGCM(content_key), rest, _bound(_BY_ENVELOPE, "wrapped", ref, aad))


# --- the header: whose keystore it is -----------------------------------------------------------------------------


def header_made(masters: MasterKeys) -> bytes:
    """The header of a new keystore: its id (16 bytes), and a proof that the master key is the right one."""
    identifier = os.urandom(_ID)
    return identifier + Sealer(masters, identifier.hex(), "id").seal("", b"")


def header_opened(header: bytes, masters: MasterKeys) -> str:
    """The keystore's id; raises KeystoreClosed."""
    identifier = header[:_ID].hex()
    try:
        Sealer(masters, identifier, "id").unseal("", header[_ID:])
    except (Tampered, KeystoreUnavailable, ValueError):
        raise KeystoreClosed("this master key does not open this keystore") from None
    return identifier


def header_resealed(header: bytes | None, masters: MasterKeys) -> bytes | None:
    """The header under the master key that seals; None when it is already."""
    if header is None:
        return None
    sealed = Sealer(masters, header_opened(header, masters), "id").resealed("", header[_ID:])
    return None if sealed is None else header[:_ID] + sealed


# --- names --------------------------------------------------------------------------------------------------------


def new_ref() -> str:
    return os.urandom(16).hex()


def is_ref(text: str) -> bool:
    return _REF.match(text) is not None


def checked_ref(ref: str) -> str:
    """Raises InvalidName."""
    if not is_ref(ref):
        raise InvalidName("not a reference of this keystore")
    return ref


def flat_name(name: str) -> str:
    """A journal name as one word, ``/`` written as ``.``; raises InvalidName."""
    if len(name) > _JOURNAL_NAME_LENGTH or not _JOURNAL_NAME.match(name):
        raise InvalidName("not a journal name")
    return name.replace("/", ".")


def named(flat: str) -> str:
    """The journal name of a flat one."""
    return flat.replace(".", "/")


# --- pieces -------------------------------------------------------------------------------------------------------


def _key_id(key: bytes) -> bytes:
    return hmac.digest(key, b"vertex/keystore/2/key id", "sha256")[:_KEY_ID]


def _encrypt(key: AESGCM, plaintext: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + key.encrypt(nonce, plaintext, bound)


def _decrypt(key: AESGCM, body: bytes, bound: bytes) -> bytes:
    if len(body) < _NONCE + _TAG:
        raise Tampered("a sealed value that was cut")
    try:
        return key.decrypt(body[:_NONCE], body[_NONCE:], bound)
    except InvalidTag:
        raise Tampered("a sealed value does not authenticate") from None


def _body(sealed: bytes, version: bytes) -> bytes:
    if sealed[:1] != version:
        raise Tampered("not a sealed value of this version")
    return sealed[1:]


def _bound(version: bytes, purpose: str, place: str, aad: bytes) -> bytes:
    parts = (version, purpose.encode(), place.encode(), aad)
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
