"""The signature schemes, and what the protocols need to know of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mpc.bip340 import x_only
from mpc.ed25519 import ED25519
from mpc.group import SECP256K1, Group


@dataclass(frozen=True)
class Scheme:
    """``pairwise``: its parties keep oblivious transfers with each other, which key generation and resharing make.

    ``x_only``: its users know keys by the 32 bytes of the x-coordinate.
    """

    name: str
    group: Group
    pairwise: bool = False
    x_only: bool = False

    def shown(self, public_key: bytes) -> bytes:
        """A public key as this scheme's users know it: 33 bytes (ECDSA) or 32."""
        return x_only(public_key) if self.x_only else public_key

    @property
    def key_lengths(self) -> set[int]:
        """How many bytes may name a key."""
        return {self.group.point_length, 32 if self.x_only else self.group.point_length}

    def is_named(self, public_key: bytes, by: bytes) -> bool:
        """Whether ``by`` names this key: its encoding, or what ``shown`` makes of it. A key and its negative are one
        BIP340 key.
        """
        return by in (public_key, self.shown(public_key))


SCHEMES: Final = {
    scheme.name: scheme
    for scheme in (
        Scheme("ecdsa", SECP256K1, pairwise=True),
        Scheme("ed25519", ED25519),
        Scheme("bip340", SECP256K1, x_only=True),
    )
}


def scheme_of(name: str) -> Scheme:
    """The scheme of that name. ValueError for one that is not supported."""
    try:
        return SCHEMES[name]
    except KeyError:
        raise ValueError(f"unknown scheme {name!r}") from None


def group_of(name: str) -> Group:
    """The group of a signature scheme. ValueError for one that is not supported."""
    return scheme_of(name).group
