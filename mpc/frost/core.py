"""FROST's algebra: nonces, binding factors, shares of a signature (RFC 9591, sections 4 and 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mpc.bip340 import has_even_y
from mpc.errors import Abort
from mpc.frost.keys import SigningKey
from mpc.frost.suites import Suite
from mpc.group import Draw, Group, Point
from mpc.secret import Confidential
from mpc.sharing import lagrange


@dataclass(frozen=True)
class NonceCommitment:
    """D and E of one signer."""

    hiding: Point
    binding: Point

    def encode(self) -> bytes:
        """Two points."""
        return self.hiding.to_bytes() + self.binding.to_bytes()


class Nonces(Confidential):
    """A pair of secret nonces (d, e) for one signature. Two signatures with one pair are the share."""

    __slots__ = ("_pair", "commitment")

    def __init__(self, group: Group, hiding: int, binding: int) -> None:
        self._pair: tuple[int, int] | None = (hiding, binding)
        self.commitment = NonceCommitment(group.base_mul(hiding), group.base_mul(binding))

    @classmethod
    def fresh(cls, suite: Suite, secret: int, draw: Draw) -> Nonces:
        """H3 of 32 random bytes and the share, for each."""
        return cls(suite.group, *(make_nonce(suite, secret, draw(f"nonce/{use}", 32)) for use in ("hiding", "binding")))

    def take(self) -> tuple[int, int]:
        """The pair, once. RuntimeError when it was taken before."""
        if self._pair is None:
            raise RuntimeError("these nonces were used")
        pair, self._pair = self._pair, None
        return pair


def make_nonce(suite: Suite, secret: int, random: bytes) -> int:
    """nonce_generate (section 4.1)."""
    return suite.h3(random, suite.group.encode_scalar(secret))


class Signing(Confidential):
    """What all signers compute alike once the list B of commitments is there: ρ_i, R, c. ``commitments``: by x.

    Aborts if R is the identity.
    """

    def __init__(
        self, suite: Suite, key: SigningKey, message: bytes, commitments: Mapping[int, NonceCommitment]
    ) -> None:
        self._suite, self._key, self._message = suite, key, message
        self._group = suite.group
        self._commitments = {x: commitments[x] for x in sorted(commitments)}
        self.binding_factors = self._bind()
        self._nonce_points = {
            x: self._group.add(one.hiding, self._group.mul_public(one.binding, self.binding_factors[x]))
            for x, one in self._commitments.items()
        }
        total = self._group.combine(self._nonce_points.values())
        if total.is_identity:
            raise Abort("the nonces add up to zero")
        self._negated = suite.even and not has_even_y(total)
        self.nonce_point = self._group.negate(total) if self._negated else total
        self._challenge = suite.challenge(self.nonce_point, key.public, message)

    def binding_prefix(self) -> bytes:
        """What every ρ hashes before the signer's identifier (section 4.4)."""
        encoded = b"".join(self._group.encode_scalar(x) + one.encode() for x, one in self._commitments.items())
        return self._key.public.to_bytes() + self._suite.h4(self._message) + self._suite.h5(encoded)

    def _bind(self) -> dict[int, int]:
        prefix = self.binding_prefix()
        return {x: self._suite.h1(prefix, self._group.encode_scalar(x)) for x in self._commitments}

    def share(self, x: int, nonces: Nonces, secret: int) -> int:
        """z_x = ±(d + e·ρ) + λ·s'·c. Takes the nonces; ``secret`` is the party's share of the shared key."""
        hiding, binding = nonces.take()
        nonce = hiding + binding * self.binding_factors[x]
        return ((-nonce if self._negated else nonce) + self._weight(x) * self._key.share(secret)) % self._group.order

    def holds(self, x: int, z: int, public_share: Point) -> bool:
        """z·G = ±(D + ρ·E) + λ·c·X' (section 5.4), with the party's share X of the shared key."""
        nonce_point = self._nonce_points[x]
        image = self._group.negate(nonce_point) if self._negated else nonce_point
        weighted = self._group.mul_public(self._key.public_share(public_share), self._weight(x))
        return self._group.base_mul(z) == self._group.add(image, weighted)

    def signature(self, shares: Mapping[int, int]) -> bytes | None:
        """The signature of the sum, None if it does not verify under the key."""
        signature = self._suite.encode_signature(self.nonce_point, sum(shares.values()) % self._group.order)
        return signature if self._suite.verify(self._key.public, self._message, signature) else None

    def _weight(self, x: int) -> int:
        return lagrange(self._group, x, self._commitments) * self._challenge % self._group.order
