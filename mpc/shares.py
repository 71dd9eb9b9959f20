"""What a party keeps of a key: its share, and for each counterparty the state of their oblivious transfers.

Both are encoded for sealing: the bytes are as secret as the share itself. A ``Share`` can't be made unchecked; signing
and resharing take nothing else, and never an ``UncheckedShare``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from msgspec import Meta

from mpc.errors import Malformed
from mpc.group import Group, Point
from mpc.hashing import TH
from mpc.ot.state import AliceState, BobState
from mpc.params import MIN_THRESHOLD, VERSION
from mpc.schemes import group_of
from mpc.secret import Confidential, Secret
from mpc.sharing import evaluate, ranks
from mpc.wire import (
    MAX_PARTIES,
    Count,
    Description,
    Hash,
    Identities,
    IdentityKey,
    Points,
    Scalar,
    SecretMessage,
    decode,
    encode,
)


def check_quorum(t: int, identities: tuple[bytes, ...]) -> None:
    """ValueError unless 2 ≤ t ≤ n ≤ 32 and the identities are distinct and 32 bytes each."""
    if not MIN_THRESHOLD <= t <= len(identities) <= MAX_PARTIES:
        raise ValueError(f"a quorum needs {MIN_THRESHOLD} ≤ t ≤ n ≤ {MAX_PARTIES}, not t = {t}, n = {len(identities)}")
    if any(len(identity) != 32 for identity in identities):
        raise ValueError("an identity is 32 bytes")
    if len(set(identities)) != len(identities):
        raise ValueError("an identity stands twice in a quorum")


class UncheckedShare(SecretMessage):
    """A share as it was decoded: well-formed, nothing more."""

    version: Count
    scheme: str
    gid: Hash
    t: Count
    identities: Identities
    x: Count
    secret: Scalar
    feldman: Points
    chain_code: Hash

    def check(self) -> Share:
        """The share, if all of it fits together. Raises Malformed."""
        if self.version != VERSION:
            raise Malformed("share: version")
        try:
            group = group_of(self.scheme)
        except ValueError as error:
            raise Malformed(f"share: {error}") from error
        feldman = tuple(group.decode(point) for point in self.feldman)
        return Share(
            self.scheme, self.gid, self.t, self.identities, self.x, Secret(self.secret), feldman, self.chain_code
        )


@dataclass(frozen=True, eq=False)
class Share(Confidential):
    """A checked share of generation ``gid``: ``secret``·G = A(x), with A given by its t Feldman points.

    There is no other: whoever makes one has it checked, and gets Malformed if it does not fit together.
    ``identities`` are sorted; their ranks are the coordinates.
    """

    scheme: str
    gid: bytes
    t: int
    identities: tuple[bytes, ...]
    x: int
    secret: Secret
    feldman: tuple[Point, ...]
    chain_code: bytes

    def __post_init__(self) -> None:
        try:
            check_quorum(self.t, self.identities)
        except ValueError as error:
            raise Malformed(f"share: {error}") from error
        if list(self.identities) != sorted(self.identities):
            raise Malformed("share: order of identities")
        if len(self.feldman) != self.t or not 1 <= self.x <= len(self.identities):
            raise Malformed("share: number of points or coordinate")
        secret = self.scalar
        if secret == 0 or self.group.base_mul(secret) != evaluate(self.group, self.feldman, self.x):
            raise Malformed("share: not the discrete logarithm of its public share")

    def __repr__(self) -> str:
        return f"Share({self.scheme}, gid {self.gid.hex()[:16]}…, {self.t} of {len(self.identities)}, <redacted>)"

    @property
    def group(self) -> Group:
        return group_of(self.scheme)

    @property
    def n(self) -> int:
        return len(self.identities)

    @property
    def identity(self) -> bytes:
        """Whose share this is."""
        return self.identities[self.x - 1]

    @property
    def scalar(self) -> int:
        """The secret as a number: for one computation, not to be kept."""
        return self.group.decode_scalar(self.secret.reveal())

    @cached_property
    def public_key(self) -> bytes:
        """A_0, as its group encodes it."""
        return self.feldman[0].to_bytes()

    @cached_property
    def public_shares(self) -> tuple[Point, ...]:
        """X_i = A(x_i), in order of x."""
        return tuple(evaluate(self.group, self.feldman, x) for x in ranks(self.identities).values())

    def description(self) -> Description:
        """The public side of this generation, as an old party signs it for joiners."""
        return Description(
            scheme=self.scheme,
            gid=self.gid,
            t=self.t,
            identities=self.identities,
            public_key=self.public_key,
            public_shares=tuple(point.to_bytes() for point in self.public_shares),
            chain_code_hash=chain_code_hash(self.chain_code),
        )

    def encode(self) -> bytes:
        """For sealing. Secret."""
        return encode(
            UncheckedShare(
                version=VERSION,
                scheme=self.scheme,
                gid=self.gid,
                t=self.t,
                identities=self.identities,
                x=self.x,
                secret=self.secret.reveal(),
                feldman=tuple(point.to_bytes() for point in self.feldman),
                chain_code=self.chain_code,
            )
        )

    @staticmethod
    def decode(data: bytes) -> Share:
        """The checked share. Raises Malformed."""
        return decode(UncheckedShare, data).check()


class _StoredPair(SecretMessage):
    version: Count
    gid: Hash
    peer: IdentityKey
    alice_pair: Hash
    bob_pair: Hash
    alice: Annotated[bytes, Meta(max_length=2**16)]
    bob: Annotated[bytes, Meta(max_length=2**16)]
    zero_seed: Hash


@dataclass(frozen=True, eq=False)
class PairState(Confidential):
    """The set-up with one counterparty, for one generation. Sealed and destroyed under a key of its own.

    ``alice_pair`` names the set-up in which this party is Alice, ``bob_pair`` the other (32 B each).
    """

    gid: bytes
    peer: bytes
    alice_pair: bytes
    bob_pair: bytes
    alice: AliceState
    bob: BobState
    zero_seed: Secret

    def __repr__(self) -> str:
        return f"PairState(gid {self.gid.hex()[:16]}…, peer {self.peer.hex()[:16]}…, <redacted>)"

    def encode(self) -> bytes:
        """For sealing. Secret."""
        return encode(
            _StoredPair(
                version=VERSION,
                gid=self.gid,
                peer=self.peer,
                alice_pair=self.alice_pair,
                bob_pair=self.bob_pair,
                alice=self.alice.encode(),
                bob=self.bob.encode(),
                zero_seed=self.zero_seed.reveal(),
            )
        )

    @staticmethod
    def decode(data: bytes) -> PairState:
        """Raises Malformed."""
        stored = decode(_StoredPair, data)
        if stored.version != VERSION:
            raise Malformed("pair: version")
        return PairState(
            stored.gid,
            stored.peer,
            stored.alice_pair,
            stored.bob_pair,
            AliceState.decode(stored.alice),
            BobState.decode(stored.bob),
            Secret(stored.zero_seed),
        )


def chain_code_hash(chain_code: bytes) -> bytes:
    """What public statements say of the chain code, which is nobody's but the parties'."""
    return TH("chain-code", chain_code)
