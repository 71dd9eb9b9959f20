"""What a party may know when certain receipts have been sent: subsets of them that reach every move.

Facts come in three parts that nothing mixes: votes (with STORED and FAILED), deletions, and promises to carry; only
`highest` is the greatest of all three. Each part is counted by the real rule, once for each combination of what the
parties have said of that kind, and states that differ otherwise share the result (test_model.py compares the
parts with the whole).
"""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from reshare.rule import facts as reading
from reshare.rule.facts import Facts
from reshare.rule.types import Attempt, Ballot, Kind, Mode, Receipt

ME = b"me"


class Knowledge(NamedTuple):
    facts: Facts
    through: frozenset[bytes]  # attempts of which enough old parties have dealt


Said = frozenset[Receipt]
Parts = tuple[tuple[Said, ...], ...]  # of each part, what each party has said


def divided(said: Said) -> tuple[Said, Said, Said]:
    """Votes, deletions and promises to carry among one party's receipts."""
    deletions = frozenset(r for r in said if r.kind == Kind.DELETED)
    carrying = frozenset(r for r in said if r.mode == Mode.CARRYING)
    return said - deletions - carrying, deletions, carrying


class Knowing:
    """Knowledge of what the parties `names` have said, a liar's every possible receipt (`lies`) included."""

    def __init__(
        self,
        attempts: tuple[Attempt, ...],
        names: tuple[bytes, ...],
        *,
        dealers: int,
        highest: int,
        lies: Said,
        reordered: bool,
    ) -> None:
        self._attempts, self._names, self._dealers = attempts, names, dealers
        self._highest, self._reordered = highest, reordered
        self._lies = divided(lies)
        self._votes: dict[tuple[Said, ...], tuple[tuple[Facts, ...], frozenset[bytes]]] = {}
        self._deletions: dict[tuple[Said, ...], Facts] = {}
        self._promises: dict[tuple[Said, ...], tuple[Facts, ...]] = {}
        self._carried: dict[tuple[Ballot, Said], bool] = {}
        self._none = reading.count(attempts, ())

    def of(self, parts: Parts) -> tuple[Knowledge, ...]:
        """Every subset that may count: of votes, deletions and promises of the parties, each in order of `names`."""
        votes, through = self._voted(parts[0])
        everything, *bounded = self._promised(parts[2])
        found = [_together(votes[0], self._deleted(parts[1]), everything)]
        found += [_together(votes[0], self._none, promises) for promises in bounded]
        found += [_together(fewer, self._deleted(parts[1]), everything) for fewer in votes[1:]]
        return tuple(Knowledge(facts, through) for facts in dict.fromkeys(found))

    def _named(self, said: tuple[Said, ...], part: int) -> Said:
        parties = zip(self._names, said, strict=False)
        return frozenset(r._replace(party=name) for name, each in parties for r in each) | self._lies[part]

    def _voted(self, said: tuple[Said, ...]) -> tuple[tuple[Facts, ...], frozenset[bytes]]:
        found = self._votes.get(said)
        if found is None:
            receipts = self._named(said, 0)
            subsets = [receipts]
            if self._reordered:
                subsets += [frozenset(r for r in receipts if r.kind != kind) for kind in (Kind.ABORTED, Kind.STORED)]
            facts = tuple(reading.count(self._attempts, subset) for subset in subsets)
            found = self._votes[said] = facts, self.through(receipts)
        return found

    def through(self, receipts: Said) -> frozenset[bytes]:
        """The attempts that enough have dealt for the protocol to end well."""
        dealt = [r.rid for r in receipts if r.mode == Mode.DEALING]
        return frozenset(a.rid for a in self._attempts if dealt.count(a.rid) >= self._dealers)

    def _deleted(self, said: tuple[Said, ...]) -> Facts:
        found = self._deletions.get(said)
        if found is None:
            found = self._deletions[said] = reading.count(self._attempts, self._named(said, 1))
        return found

    def _promised(self, said: tuple[Said, ...]) -> tuple[Facts, ...]:
        """All promises, then those up to each `k`."""
        found = self._promises.get(said)
        if found is None:
            receipts = self._named(said, 2)
            carriable = frozenset(self._carriable(receipts))
            subsets = [receipts]
            subsets += [frozenset(r for r in receipts if r.k <= bound) for bound in range(self._highest + 1)]
            facts = (reading.count(self._attempts, subset) for subset in subsets)
            found = tuple(each._replace(carriable=carriable & each.proposed) for each in facts)
            self._promises[said] = found
        return found

    def _carriable(self, receipts: Said) -> Iterator[Ballot]:
        """Ballots that may be carried on some subset of the promises: no guard asks whether one may not."""
        carried: dict[Ballot, list[Receipt]] = {}
        for receipt in receipts:
            carried.setdefault(receipt.ballot, []).append(receipt)
        for ballot, heard in carried.items():
            key = (ballot, frozenset(heard))
            if key not in self._carried:
                self._carried[key] = any(reading.may_carry(ballot, some, self._attempts) for some in _choices(heard))
            if self._carried[key]:
                yield ballot


def _together(votes: Facts, deletions: Facts, promises: Facts) -> Facts:
    return votes._replace(
        deleting=deletions.deleting,
        complete=deletions.complete,
        proposed=promises.proposed,
        carriable=promises.carriable,
        highest=max(votes.highest, deletions.highest, promises.highest),
    )


def _choices(promises: list[Receipt]) -> Iterator[tuple[Receipt, ...]]:
    """Every set of promises that may count differently: of one party, at most one report for each `rid`."""
    by_party: dict[tuple[bytes, bytes | None], list[Receipt | None]] = {}
    for promise in promises:
        about = None if promise.reported is None else promise.reported.rid
        by_party.setdefault((promise.party, about), [None]).append(promise)
    for chosen in product(*by_party.values()):
        yield tuple(promise for promise in chosen if promise is not None)
