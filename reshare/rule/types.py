"""The words of the commit rule (docs/lifecycle.md): ballots, receipts, attempts, the acceptor record, states, orders.

Plain immutable values without signatures or keys: whoever builds them has verified what they were read from.
"""

from enum import StrEnum
from typing import NamedTuple


class Ballot(NamedTuple):
    """Orders the attempts of one `gid`: `k` first, then `rid` (32 bytes), so two attempts unknown to each other too."""

    k: int
    rid: bytes


class Kind(StrEnum):
    """What a receipt states."""

    STORED = "STORED"
    FAILED = "FAILED"
    CONFIRMED = "CONFIRMED"
    ABORTED = "ABORTED"
    PROMISED = "PROMISED"
    DELETED = "DELETED"
    COMPLETED = "COMPLETED"


VOTES = frozenset({Kind.CONFIRMED, Kind.ABORTED})
# These sign the reshare digest: they count only where it equals the digest of the verified preimage.
DIGESTED = frozenset({Kind.STORED, Kind.CONFIRMED, Kind.DELETED})


class Mode(StrEnum):
    """Why a party promised: it deals its share, or it helps to carry a committed attempt to a higher ballot."""

    DEALING = "dealing"
    CARRYING = "carrying"


class Receipt(NamedTuple):
    """The facts of one verified receipt.

    `k` is the attempt's, for PROMISED and DELETED the ballot's. `digest` (32 bytes) is None where the kind does not
    sign one. `mode` and `reported` (the last accepted ballot, or None) belong to PROMISED alone.
    """

    kind: Kind
    party: bytes
    rid: bytes
    k: int
    digest: bytes | None = None
    mode: Mode | None = None
    reported: Ballot | None = None

    @property
    def ballot(self) -> Ballot:
        return Ballot(self.k, self.rid)


class Attempt(NamedTuple):
    """One reshare of one `gid`, as its signed hellos or its verified preimage tell it.

    `digest` is None until the protocol is through or a preimage was verified. Identities are 32 bytes each.
    """

    rid: bytes
    k: int
    gid: bytes
    digest: bytes | None
    old: tuple[bytes, ...]
    t: int
    new: tuple[bytes, ...]
    new_t: int
    d: int

    @property
    def ballot(self) -> Ballot:
        return Ballot(self.k, self.rid)

    @property
    def n(self) -> int:
        return len(self.old)

    @property
    def f(self) -> int:
        """Lying old parties that this attempt's `d` bears; a `gid` bears the least of its attempts (facts.borne)."""
        return self.d - (self.n - self.t + 1)

    @property
    def p(self) -> int:
        """Old parties that must promise."""
        return self.t + self.f


class Acceptor(NamedTuple):
    """The journal's record of one party and `gid`; replaced as a whole, durable before anything of it leaves.

    `said` holds this party's own STORED, FAILED, CONFIRMED, ABORTED and PROMISED receipts for ever: each can be issued
    again from here, and none contradicted. DELETED follows from `accepted` once the share is gone. `deleted`: its user
    gave the share up while it was active. `restored`: a receipt of its own proved this record older than its past.
    """

    promised: Ballot | None = None
    accepted: Ballot | None = None
    certificate: tuple[Receipt, ...] = ()
    said: frozenset[Receipt] = frozenset()
    deleted: bool = False
    restored: bool = False

    def vote(self, rid: bytes) -> Receipt | None:
        return next((r for r in self.said if r.rid == rid and r.kind in VOTES), None)

    def has_said(self, kind: Kind, rid: bytes) -> bool:
        return any(r.kind == kind and r.rid == rid for r in self.said)


class Old(StrEnum):
    """States of the share that a reshare replaces."""

    ACTIVE = "active"
    RETIRING = "retiring"
    SUPERSEDED = "superseded"
    ERASED = "erased"


class New(StrEnum):
    """States of the share that a reshare makes."""

    CREATED = "created"
    QUARANTINED = "quarantined"
    ACTIVE = "active"
    PARKED = "parked"
    DISCARDED = "discarded"


class Ledger(StrEnum):
    """States of a deletion ledger row: one per old party and attempt."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    ERASED = "erased"
    ABORTED = "aborted"


class Run(StrEnum):
    """How far the protocol came at this party.

    HELLO: the hello round is complete and the driver asks whether to deal. THROUGH: it ended well here. FAILED: it
    ended otherwise after the hello round, or an ABORTED brought hellos with this party's own before it had dealt.
    """

    HELLO = "hello"
    THROUGH = "through"
    FAILED = "failed"


class Deadline(StrEnum):
    """The durations of the configuration, each counted from this party's own end of the hello round."""

    STORE_BY = "store_by"
    VOTE_BY = "vote_by"


class OrderKind(StrEnum):
    """What an operator (or a policy, or the share's user) can ask for."""

    CONFIRM = "confirm"
    ABORT = "abort"
    ERASE = "erase"
    SUPERSEDE = "supersede"
    CARRY = "carry"
    DROP = "drop"
    DELETE = "delete"
    AGREE = "agree"


class Order(NamedTuple):
    """A standing order; `rid` is b"" for DELETE and AGREE, which are about the whole `gid`.

    SUPERSEDE names the attempt that may be dealt although another one has not ended.
    """

    kind: OrderKind
    rid: bytes = b""
