"""Everything that one party knows about one `gid`, and the readings of it that several transitions share."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mpc.wire import MAX_K, MAX_K_STEP
from reshare.rule import facts as reading
from reshare.rule.facts import Facts
from reshare.rule.types import (
    Acceptor,
    Attempt,
    Ballot,
    Deadline,
    Kind,
    Ledger,
    New,
    Old,
    Order,
    OrderKind,
    Receipt,
    Run,
)

# The record of a party that has said nothing yet.
BLANK = Acceptor()


_UNREAD = Facts()


@dataclass(frozen=True, slots=True)
class View:
    """One party's knowledge, read afresh before each transition.

    The acceptor record comes from the journal; `old_key` and `new_keys` say whether the data keys really are in the
    keystore. `old`, `new` and `ledger` are the database's states, which a restore may have rolled back: no guard that
    protects the key relies on them. Mappings and sets are by `rid`. `facts` are read from `receipts` unless given.
    """

    me: bytes
    gid: bytes
    attempts: tuple[Attempt, ...]
    acceptor: Acceptor = BLANK
    old: Old | None = None  # None: this party holds no share of `gid` and never did
    old_key: bool = False
    new: Mapping[bytes, New] = field(default_factory=dict)
    new_keys: frozenset[bytes] = frozenset()
    ledger: Mapping[bytes, Ledger] = field(default_factory=dict)  # this party's own rows
    receipts: frozenset[Receipt] = frozenset()
    runs: Mapping[bytes, Run] = field(default_factory=dict)
    overdue: frozenset[tuple[Deadline, bytes]] = frozenset()
    orders: frozenset[Order] = frozenset()
    sessions: bool = False  # the key of a session that made or dealt `gid` still exists
    facts: Facts = _UNREAD

    def __post_init__(self) -> None:
        if self.facts is _UNREAD:
            object.__setattr__(self, "facts", reading.read(self.attempts, self.receipts))

    def ordered(self, kind: OrderKind, rid: bytes = b"") -> bool:
        return Order(kind, rid) in self.orders


def given_up(view: View) -> bool:
    """The old share is erased or is to be: nothing may use it any more."""
    return view.acceptor.accepted is not None or view.acceptor.deleted


def holds(view: View) -> bool:
    """The old share is here and may be used: to sign, to deal."""
    return view.old_key and not given_up(view)


def nothing_higher(view: View, ballot: Ballot) -> bool:
    return view.acceptor.promised is None or view.acceptor.promised <= ballot


def committed(view: View, rid: bytes) -> bool:
    """A commit is known from receipts, or from the certificate in the journal."""
    accepted = view.acceptor.accepted
    return rid in view.facts.committed or (accepted is not None and accepted.rid == rid)


def acceptable(view: View, ballot: Ballot) -> bool:
    """Steps 5 and 7: committed, and the attempt's own ballot or one that p parties promised to carry."""
    own = any(attempt.ballot == ballot for attempt in view.attempts)
    return committed(view, ballot.rid) and (own or ballot in view.facts.carriable)


def ballots(view: View, attempt: Attempt) -> Iterator[Ballot]:
    """Every ballot known for this attempt, highest first: its own, carried, completed and accepted ones."""
    known = {attempt.ballot, view.acceptor.accepted, *view.facts.proposed, *view.facts.complete}
    yield from sorted((ballot for ballot in known if ballot is not None and ballot.rid == attempt.rid), reverse=True)


def unfinished(view: View) -> frozenset[bytes]:
    """The `rid`s of attempts without a known end, those that only the journal remembers included."""
    rids = {attempt.rid for attempt in view.attempts if view.me in attempt.old}
    rids |= {receipt.rid for receipt in view.acceptor.said if receipt.kind not in (Kind.STORED, Kind.FAILED)}
    if view.acceptor.promised is not None:
        rids.add(view.acceptor.promised.rid)
    return frozenset(rids) - view.facts.aborted - view.facts.completed


def completed(view: View) -> bool:
    return bool(view.facts.complete)


def restored(view: View) -> bool:
    """Step 8: this keystore was restored, and may have said more than it knows; no operator has agreed to go on."""
    return view.acceptor.restored and not view.ordered(OrderKind.AGREE)


def on_hold(view: View) -> bool:
    """Step 8: a conflict or a restored keystore is known, and no operator has agreed to go forward."""
    return restored(view) or (view.facts.conflicted and not view.ordered(OrderKind.AGREE))


def within_reach(view: View, ballot: Ballot) -> bool:
    """Not so far above what this party has promised, or took part in, that only a liar can have come to it."""
    own = [attempt.k for attempt in view.attempts]
    own += [view.acceptor.promised.k] if view.acceptor.promised is not None else []
    return ballot.k <= min(max(own, default=0) + MAX_K_STEP, MAX_K - 1)


def highest(view: View) -> Ballot:
    """The highest ballot heard of that an honest party can have come to."""
    if within_reach(view, view.facts.highest):
        return view.facts.highest
    heard = (receipt.ballot for receipt in view.receipts)
    return max((ballot for ballot in heard if within_reach(view, ballot)), default=reading.NO_BALLOT)


def uncovered(view: View) -> frozenset[Receipt]:
    """Own receipts that this journal does not cover: the keystore was restored (step 8)."""
    record = view.acceptor

    def covered(receipt: Receipt) -> bool:
        match receipt.kind:
            case Kind.PROMISED:
                return record.promised is not None and receipt.ballot <= record.promised
            case Kind.DELETED:
                return record.accepted is not None and receipt.ballot <= record.accepted
            case Kind.COMPLETED:
                return True
        return any(r.kind == receipt.kind and r.rid == receipt.rid for r in record.said)

    return frozenset(r for r in view.receipts if r.party == view.me and not covered(r))


def owed(view: View) -> frozenset[Receipt]:
    """Receipts that the journal covers and that are not among those held: a crash or a restore lost them.

    A `STORED` proves that its share is here: it is said again once the share's row is (`remake row`), and no more where
    the share has gone since, for what it said then has been heard."""

    def sayable(receipt: Receipt) -> bool:
        here = receipt.rid in view.new_keys and view.new.get(receipt.rid) not in (None, New.CREATED)
        return receipt.kind != Kind.STORED or here

    return frozenset(filter(sayable, view.acceptor.said - view.receipts))


def deletion(view: View, attempt: Attempt, ballot: Ballot) -> Receipt:
    """The DELETED for an accepted ballot: a carry's `k`, not the attempt's."""
    return Receipt(Kind.DELETED, view.me, attempt.rid, ballot.k, attempt.digest)


def ledger_due(view: View, attempt: Attempt) -> Ledger:
    """What this party's ledger row of the attempt has to say."""
    vote = view.acceptor.vote(attempt.rid)
    if given_up(view) and not view.old_key:
        return Ledger.ERASED
    if attempt.rid in view.facts.aborted and attempt.rid not in view.facts.completed:
        return Ledger.ABORTED
    accepted = view.acceptor.accepted
    if (accepted is not None and accepted.rid == attempt.rid) or (vote is not None and vote.kind == Kind.CONFIRMED):
        return Ledger.CONFIRMED
    return Ledger.PENDING
