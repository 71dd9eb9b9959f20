"""What a set of receipts says: every count of the commit rule (docs/lifecycle.md, steps 3 to 8) is made here.

Guards read receipts only through `Facts`. Each fact but `carriable`, `conflicted` and `highest` grows with the set, so
a receipt that is late can delay a step but not make another one right.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from reshare.rule.types import DIGESTED, Attempt, Ballot, Kind, Mode, Receipt

NO_BALLOT = Ballot(0, b"")
BY_NEW = frozenset({Kind.STORED, Kind.FAILED, Kind.COMPLETED})


class Facts(NamedTuple):
    """Sets of `rid` where not said otherwise."""

    stored: frozenset[bytes] = frozenset()  # STORED of all n' over one digest
    failed: frozenset[bytes] = frozenset()  # a FAILED is known
    committed: frozenset[bytes] = frozenset()  # d CONFIRMED
    aborted: frozenset[bytes] = frozenset()  # n - d + 1 ABORTED
    unanimous: frozenset[bytes] = frozenset()  # all n ABORTED
    deleting: frozenset[bytes] = frozenset()  # a DELETED for any ballot of it is known
    complete: frozenset[Ballot] = frozenset()  # d DELETED for this one ballot
    proposed: frozenset[Ballot] = frozenset()  # somebody promised to carry
    carriable: frozenset[Ballot] = frozenset()  # p promised to carry, and it is the right rid
    highest: Ballot = NO_BALLOT  # the highest in any receipt or attempt, those of attempts unknown here included
    conflicted: bool = False  # somebody has two faces (step 8)

    @property
    def completed(self) -> frozenset[bytes]:
        return frozenset(ballot.rid for ballot in self.complete)


class Conflict(NamedTuple):
    """Two receipts of one party that prove a liar or a restored machine."""

    party: bytes
    first: Receipt
    second: Receipt


def about(receipt: Receipt, attempt: Attempt) -> bool:
    """Whether this receipt counts for the attempt: its `rid`, its digest, and a signer of the right side."""
    return (
        receipt.rid == attempt.rid
        and (receipt.kind not in DIGESTED or (receipt.digest is not None and receipt.digest == attempt.digest))
        and receipt.party in (attempt.new if receipt.kind in BY_NEW else attempt.old)
    )


def stored_needed(attempt: Attempt) -> int:
    return len(attempt.new)


def confirmed_needed(attempt: Attempt) -> int:
    return attempt.d


def aborted_needed(attempt: Attempt) -> int:
    return attempt.n - attempt.d + 1


def deleted_needed(attempt: Attempt) -> int:
    return attempt.d


def deleted_for(receipt: Receipt) -> Ballot:
    """The ballot that a DELETED counts for, and no other."""
    return receipt.ballot


def borne(attempts: Collection[Attempt]) -> int:
    """f of a `gid`: lying old parties that are borne, by the smallest d among its attempts."""
    return min((attempt.f for attempt in attempts), default=0)


def reports_needed(attempts: Collection[Attempt]) -> int:
    """How many must report an accepted ballot before it counts: one more than may lie."""
    return borne(attempts) + 1


def promises_needed(attempts: Collection[Attempt]) -> int:
    """p of a `gid`."""
    return min((attempt.t for attempt in attempts), default=0) + borne(attempts)


def counting(promises: Iterable[Receipt], needed: int) -> Ballot | None:
    """The highest accepted ballot that counts: each `rid` with the `needed`-th highest reported for it (step 7)."""
    reported: dict[bytes, dict[bytes, Ballot]] = {}
    for promise in promises:
        if promise.reported is not None:
            by_party = reported.setdefault(promise.reported.rid, {})
            by_party[promise.party] = max(promise.reported, by_party.get(promise.party, promise.reported))
    ranked = (sorted(ballots.values(), reverse=True) for ballots in reported.values())
    return max((ballots[needed - 1] for ballots in ranked if len(ballots) >= needed), default=None)


def may_carry(ballot: Ballot, promises: Collection[Receipt], attempts: Collection[Attempt]) -> bool:
    """Whether p parties promised `ballot` and its `rid` counts highest, or none counts (step 7)."""
    if len({promise.party for promise in promises}) < promises_needed(attempts):
        return False
    highest = counting(promises, reports_needed(attempts))
    return highest is None or highest.rid == ballot.rid


def conflicts(attempts: Collection[Attempt], receipts: Collection[Receipt]) -> Iterator[Conflict]:
    """Every pair that step 8 names. A deletion below a promise is none where the promise reports that ballot (or a
    later one), or where d other parties deleted for the same ballot: then it answered a completion certificate."""
    by_party: dict[bytes, list[Receipt]] = {}
    for receipt in receipts:
        by_party.setdefault(receipt.party, []).append(receipt)
    deleted: dict[Ballot, set[bytes]] = {}
    for receipt in receipts:
        if receipt.kind == Kind.DELETED:
            deleted.setdefault(receipt.ballot, set()).add(receipt.party)
    needed = {attempt.rid: attempt.d for attempt in attempts}
    for party, own in by_party.items():
        for index, first in enumerate(own):
            for second in own[index + 1 :]:
                if first.rid == second.rid and _contradict(first, second):
                    yield Conflict(party, first, second)
        promises = [receipt for receipt in own if receipt.kind == Kind.PROMISED]
        for deletion in own:
            if deletion.kind != Kind.DELETED:
                continue
            others = len(deleted[deletion.ballot] - {party})
            if deletion.rid in needed and others >= needed[deletion.rid]:
                continue
            for promise in promises:
                unreported = promise.reported is None or promise.reported < deletion.ballot
                if deletion.ballot < promise.ballot and unreported:
                    yield Conflict(party, promise, deletion)


def _contradict(first: Receipt, second: Receipt) -> bool:
    """Two receipts of one party and `rid` of which an honest party issues only one."""
    if first.kind == second.kind:
        if first.kind == Kind.PROMISED:
            return first.k == second.k and first != second
        return first.digest != second.digest and first.digest is not None and second.digest is not None
    kinds = {first.kind, second.kind}
    return kinds == {Kind.CONFIRMED, Kind.ABORTED} or kinds == {Kind.STORED, Kind.FAILED}


def read(attempts: Collection[Attempt], receipts: Collection[Receipt]) -> Facts:
    """All that the rule needs to know of these receipts; only attempts that are known here count."""
    conflicted = next(conflicts(attempts, receipts), None) is not None
    return count(attempts, receipts)._replace(conflicted=conflicted)


def count(attempts: Collection[Attempt], receipts: Collection[Receipt]) -> Facts:
    """The facts without the look for two faces."""
    stored, failed, committed, aborted, unanimous, deleting = (set[bytes]() for _ in range(6))
    complete, proposed, carriable = (set[Ballot]() for _ in range(3))
    for attempt in attempts:
        signers: dict[Kind, set[bytes]] = {}
        deletions: dict[Ballot, set[bytes]] = {}
        promises: dict[Ballot, list[Receipt]] = {}
        for receipt in receipts:
            if not about(receipt, attempt):
                continue
            signers.setdefault(receipt.kind, set()).add(receipt.party)
            if receipt.kind == Kind.DELETED:
                deletions.setdefault(Ballot(deleted_for(receipt).k, attempt.rid), set()).add(receipt.party)
            elif receipt.mode == Mode.CARRYING:
                promises.setdefault(receipt.ballot, []).append(receipt)
        counts = {kind: len(parties) for kind, parties in signers.items()}
        for kind, threshold, target in (
            (Kind.STORED, stored_needed(attempt), stored),
            (Kind.FAILED, 1, failed),
            (Kind.CONFIRMED, confirmed_needed(attempt), committed),
            (Kind.ABORTED, aborted_needed(attempt), aborted),
            (Kind.ABORTED, attempt.n, unanimous),
            (Kind.DELETED, 1, deleting),
        ):
            if counts.get(kind, 0) >= threshold:
                target.add(attempt.rid)
        complete.update(b for b, parties in deletions.items() if len(parties) >= deleted_needed(attempt))
        proposed.update(promises)
        carriable.update(b for b, heard in promises.items() if may_carry(b, heard, attempts))
    ballots = [*(receipt.ballot for receipt in receipts), *(attempt.ballot for attempt in attempts)]
    return Facts(
        stored=frozenset(stored),
        failed=frozenset(failed),
        committed=frozenset(committed),
        aborted=frozenset(aborted),
        unanimous=frozenset(unanimous),
        deleting=frozenset(deleting),
        complete=frozenset(complete),
        proposed=frozenset(proposed),
        carriable=frozenset(carriable),
        highest=max(ballots, default=NO_BALLOT),
    )
