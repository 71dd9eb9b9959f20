"""The key that a signature is for: the shared key, a child of it, or a child with a taproot tweak.

Everything that is done to a key here is linear, so it is done to each share alike: with s' = factor·s + offset, shares
of s become shares of s' one by one (the weights λ of a quorum add up to 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mpc import bip340, derive
from mpc.group import Group, Point
from mpc.schemes import scheme_of
from mpc.secret import Confidential


@dataclass(frozen=True, eq=False, repr=False)
class SigningKey(Confidential):
    """``public`` = factor·A_0 + offset·G. The offset is no secret of the signers, but with a child's private key it
    gives the parent's: it is never sent.
    """

    group: Group
    public: Point
    factor: int = 1
    offset: int = 0

    def __repr__(self) -> str:
        return f"SigningKey({self.public!r}, <redacted>)"

    def share(self, secret: int) -> int:
        """A party's share of this key from its share of the shared key."""
        return (self.factor * secret + self.offset) % self.group.order

    def public_share(self, point: Point) -> Point:
        """The same of its public share."""
        image = point if self.factor == 1 else self.group.negate(point)
        return self.group.add(image, self.group.base_mul(self.offset))

    def plus(self, offset: int) -> SigningKey:
        """This key with offset·G added. ValueError if that is the identity."""
        public = self.group.add(self.public, self.group.base_mul(offset))
        if public.is_identity:
            raise ValueError("this key has no such child or tweak")
        return SigningKey(self.group, public, self.factor, (self.offset + offset) % self.group.order)

    def made_even(self) -> SigningKey:
        """This key, or its negative: the one with even y."""
        if bip340.has_even_y(self.public):
            return self
        return SigningKey(self.group, self.group.negate(self.public), -self.factor, -self.offset % self.group.order)


def signing_key(
    scheme: str, public_key: bytes, chain_code: bytes, path: Sequence[int] = (), tweak: bytes | None = None
) -> SigningKey:
    """The child at ``path``; of BIP340 the one with even y, tweaked with the root ``tweak`` (32 B; empty: of no script
    tree) unless that is None.

    ValueError for a path without child and for a tweak that the scheme or the key has not.
    """
    group = scheme_of(scheme).group
    delta, child = derive.offset(public_key, chain_code, path, group)
    key = SigningKey(group, group.decode(child), 1, delta)
    if not scheme_of(scheme).x_only:
        if tweak is not None:
            raise ValueError("only BIP340 keys are tweaked")
        return key
    key = key.made_even()
    if tweak is None:
        return key
    internal = bip340.x_only(key.public.to_bytes())
    return key.plus(bip340.tap_tweak(internal, tweak)).made_even()
