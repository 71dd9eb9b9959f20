"""The keystore with its keys in a PKCS#11 token, a hardware security module for one; the journal stays a directory.

Each reference is the id of one AES key that the token makes and does not give out. What it seals is a content key
(`Envelope`): tokens are slow and limit what they take. A marker, a key of that label named after the keystore's id,
tells that the token is the directory's: "not there" is believed only while it is.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from keys.keystore.base import KeyGone, KeystoreClosed, Tampered
from keys.keystore.journal import FileJournal, Root
from keys.keystore.resealing import reseal
from keys.keystore.sealing import KEY, Envelope, MasterKeys, Sealer, checked_ref, new_ref
from keys.keystore.token import Place, Token


class Pkcs11Keystore:
    """Opens token and directory, making what isn't there. Raises KeystoreClosed, KeystoreUnavailable."""

    kind = "pkcs11"
    method = "C_DestroyObject"

    def __init__(self, root: Path, token: Token, masters: MasterKeys) -> None:
        # The marker first: a header without one would say that the keys were lost. One without a header is left alone.
        self._root = Root(root, masters, ("journal",), lambda identifier: Pkcs11Keys(token, identifier).make_marker())
        self.id = self._root.id
        self.keys = Pkcs11Keys(token, self.id)
        if not self.keys.has_marker():
            raise KeystoreClosed("this token does not hold the keys of this keystore")
        self.journal = FileJournal(self._root.parts["journal"], Sealer(masters, self.id, "journal"))

    def __repr__(self) -> str:
        return f"Pkcs11Keystore({self.id})"

    def stale(self) -> list[str]:
        """See `keys.keystore.base.Keystore`; the token's keys are under no master key of ours."""
        return [*self.journal.stale(), *self._root.stale()]

    def reseal(self) -> Iterator[str]:
        """See `keys.keystore.base.Keystore`."""
        return reseal((self.journal,), self._root)


class Pkcs11Keys:
    """See `keys.keystore.base.Keys`. Each call looks the key up: destroyed in one process means destroyed in all."""

    def __init__(self, token: Token, identifier: str) -> None:
        self._token = token
        self._place = Place(label=f"vertex {identifier}", marker=f"vertex keystore {identifier}")

    def make(self) -> str:
        ref = new_ref()
        self._token.make(self._place.label, bytes.fromhex(ref))
        return ref

    def wrap(self, ref: str, plaintext: bytes, aad: bytes) -> bytes:
        content_key = os.urandom(KEY)
        box = self._token.encrypt(self._place, _id(ref), content_key, _id(ref))
        if box is None:
            raise KeyGone(ref)
        return Envelope.seal(content_key, box, ref, plaintext, aad)

    def unwrap(self, ref: str, sealed: bytes, aad: bytes) -> bytes:
        try:
            box, rest = Envelope.box(sealed)
            content_key = self._token.decrypt(self._place, _id(ref), box, _id(ref))
        except (Tampered, ValueError):
            if not self.exists(ref):
                raise KeyGone(ref) from None
            raise Tampered("the token does not open what was sealed") from None
        if content_key is None:
            raise KeyGone(ref)
        return Envelope.open(content_key, rest, ref, aad)

    def destroy(self, ref: str) -> None:
        self._token.destroy(self._place, _id(ref))

    def exists(self, ref: str) -> bool:
        return self._token.exists(self._place, _id(ref))

    def list(self) -> list[str]:
        return sorted(identifier.hex() for identifier in self._token.identifiers(self._place))

    def has_marker(self) -> bool:
        """Whether this token holds the keys of this keystore."""
        return self._token.has(self._place.marker)

    def make_marker(self) -> None:
        self._token.make(self._place.marker, b"marker")


def _id(ref: str) -> bytes:
    return bytes.fromhex(checked_ref(ref))
