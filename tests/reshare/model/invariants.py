"""I1 to I5 of docs/lifecycle.md, judged from what exists and what was sent, not through the rule's own counting."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import NamedTuple

from reshare.rule.facts import conflicts, count
from reshare.rule.table import Transition, enabled
from reshare.rule.types import Ballot, Kind
from tests.reshare.model.knowledge import Knowledge
from tests.reshare.model.world import Local, State, World

_RESCUE = frozenset(
    {"reissue", "erase", "attest", "accept confirmed", "accept following", "accept gone", "accept completed"}
    | {"accept ordered", "answer", "confirm"}
)
_PROPOSE = frozenset({"propose"})
_NONE = Ballot(0, b"")


class Sent(NamedTuple):
    """What everything sent amounts to, counted here independently of `reshare.rule.facts`."""

    committed: frozenset[bytes]
    aborted: frozenset[bytes]
    complete: frozenset[bytes]


class Fate(NamedTuple):
    """What one party has: bit i of a mask is attempt i."""

    old_key: bool
    stored: int
    destroyed: int
    active: int
    erased_for: bytes | None
    user_deleted: bool


class Judge:
    def __init__(self, world: World, *, ends: bool = False, accuse: bool = True) -> None:
        self.world, self.ends, self.accuse = world, ends, accuse
        self._sent: dict[tuple[tuple[int, ...], ...], Sent] = {}
        self._accused: dict[tuple[int, tuple[int, ...]], bool] = {}
        self._fates: dict[int, Fate] = {}
        self._rescued: dict[tuple[tuple[int, ...], tuple[int, ...]], bool] = {}
        self.all = (1 << len(world.rids)) - 1

    def mask(self, rids: frozenset[bytes]) -> int:
        return sum(1 << index for index, rid in enumerate(self.world.rids) if rid in rids)

    def fate(self, identifier: int) -> Fate:
        found = self._fates.get(identifier)
        if found is None:
            local = self.world.locals[identifier]
            said = frozenset(r.rid for r in local.sent | local.acceptor.said if r.kind == Kind.STORED)
            accepted = local.acceptor.accepted
            gone = accepted is not None and not local.old_key and not local.acceptor.deleted
            found = self._fates[identifier] = Fate(
                local.old_key,
                self.mask(said & local.new_keys),
                self.mask(said - local.new_keys),
                self.mask(local.active),
                accepted.rid if accepted is not None and gone else None,
                local.acceptor.deleted,
            )
        return found

    def sent(self, state: State) -> Sent:
        key = self.world.parts(state)[:2]
        found = self._sent.get(key)
        if found is None:
            receipts, n, d = self.world.receipts(state), self.world.size.n, self.world.size.d
            votes = Counter((r.kind, r.rid) for r in receipts)
            deletions = Counter((r.k, r.rid) for r in receipts if r.kind == Kind.DELETED)
            found = self._sent[key] = Sent(
                frozenset(rid for rid in self.world.rids if votes[Kind.CONFIRMED, rid] >= d),
                frozenset(rid for rid in self.world.rids if votes[Kind.ABORTED, rid] >= n - d + 1),
                frozenset(rid for (_, rid), parties in deletions.items() if parties >= d),
            )
        return found

    def accused(self, sent: int, deletions: tuple[int, ...]) -> bool:
        """Whether step 8 finds two faces in what an honest party has sent; of the others only deletions matter."""
        key = (sent, deletions)
        found = self._accused.get(key)
        if found is None:
            own = next(iter(local.sent for local in self._senders(sent)))
            others = list(deletions)
            others.remove(self.world.parts_of[sent][1])
            heard = [receipt._replace(party=b"accused") for receipt in own]
            for index, number in enumerate(others):
                heard += [receipt._replace(party=bytes([index])) for receipt in self.world.said[number]]
            # A liar's deletions may be part of the certificate that it answered, and went along with it.
            heard += [receipt for receipt in self.world.lies if receipt.kind == Kind.DELETED]
            found = any(conflict.party == b"accused" for conflict in conflicts(self.world.attempts, heard))
            self._accused[key] = found
        return found

    def _senders(self, sent: int) -> Iterator[Local]:
        return (self.world.locals[index] for index, number in enumerate(self.world.sent_of) if number == sent)

    def accuses(self, state: State) -> bool:
        """Whether anybody honest is accused in this state."""
        deletions = self.world.parts(state)[1]
        return any(self.accused(sent, deletions) for sent in {self.world.sent_of[each] for each in state})

    def violated(self, state: State) -> str | None:
        """The name of an invariant that this state breaks, or None."""
        world, sent = self.world, self.sent(state)
        fates = [self.fate(identifier) for identifier in state]
        joint = fates[world.size.leaving :]
        olds = sum(fate.old_key for fate in fates) + world.size.liar
        stored, destroyed, active = self.all, 0, 0
        for fate in joint:
            stored &= fate.stored
            destroyed |= fate.destroyed
            active |= fate.active
        if olds < world.size.t and not stored:
            return "I1"
        complete = self.mask(sent.complete)
        if active and (olds >= world.size.t or active & (active - 1) or complete & ~active):
            return "I2"
        if active & destroyed:
            return "I3"
        if any(fate.erased_for is not None and fate.erased_for not in sent.committed for fate in fates):
            return "I5"
        if not world.size.liar and sent.committed & sent.aborted:
            return "I5"
        if self.accuse and self.accuses(state):
            return "accused"
        return "I4" if self.ends and not self.has_way_on(state) else None

    # I4

    def has_way_on(self, state: State) -> bool:
        """Whichever min(n - t, t - 1) - f old parties are dead, the others can deal again, or carry to the end."""
        size = self.world.size
        olds, joiners = state[: size.leaving + size.staying], state[size.leaving + size.staying :]
        given_up = sum(self.fate(identifier).user_deleted for identifier in olds)
        bearable = max(0, min(size.n - size.t, size.t - 1) - size.extra - given_up)
        survivors = {tuple(sorted(living)) for living in combinations(olds, len(olds) - bearable)}
        return all(self._can_finish(living, joiners) for living in survivors)

    def _can_finish(self, living: tuple[int, ...], joiners: tuple[int, ...]) -> bool:
        found = self._rescued.get((living, joiners))
        if found is None:
            parties = [self.world.locals[identifier] for identifier in living]
            holding = sum(p.old_key and p.acceptor.accepted is None and not p.acceptor.deleted for p in parties)
            found = holding >= self.world.size.t + self.world.size.extra
            found = found or self._carried(parties, [self.world.locals[identifier] for identifier in joiners])
            self._rescued[living, joiners] = found
        return found

    def _carried(self, parties: list[Local], joiners: list[Local]) -> bool:
        """Runs the real table: who accepted the highest ballot proposes it again, the living answer and accept.

        Where another attempt is accepted meanwhile that one counts highest and is carried next, as step 7 says.
        Receipts of the dead are lost, but for the commit certificate in an acceptor's journal. At first the proposer
        knows of no other attempt: it must hear of a higher promise to go higher.
        """
        alone = True
        for _ in range(len(self.world.rids) + 2):
            accepted = [party.acceptor.accepted or _NONE for party in parties]
            highest = max(accepted)
            if highest == _NONE:
                return False
            parties = self._act(parties, (accepted.index(highest),), _PROPOSE, joiners, highest.rid, alone=alone)
            alone = False
            while (after := self._act(parties, range(len(parties)), _RESCUE, joiners)) != parties:
                parties = after
            if self._heard(parties, joiners).facts.complete:
                return True
        return False

    def _heard(self, parties: list[Local], joiners: list[Local], only: bytes | None = None) -> Knowledge:
        seats, first = self.world.names, self.world.size.leaving + self.world.size.staying
        said = [(seats[index], party) for index, party in enumerate(parties)]
        said += [(seats[first + index], party) for index, party in enumerate(joiners)]
        heard = frozenset(r._replace(party=seat) for seat, party in said for r in party.sent if only in (None, r.rid))
        facts = count([each for each in self.world.attempts if only in (None, each.rid)], heard)
        certified = frozenset(p.acceptor.accepted.rid for p in parties if p.acceptor.accepted is not None)
        return Knowledge(facts._replace(committed=facts.committed | certified), frozenset())

    def _act(
        self,
        parties: list[Local],
        who: Iterable[int],
        names: frozenset[str],
        joiners: list[Local],
        rid: bytes | None = None,
        *,
        alone: bool = False,
    ) -> list[Local]:
        """One transition of each of these parties that changes something, all on what was said before."""
        table = tuple(transition for transition in self.world.table if transition.name in names)
        known, after = self._heard(parties, joiners, rid if alone else None), list(parties)
        for index in who:
            after[index] = next(self._results(parties[index], known, table, rid), parties[index])
        return after

    def _results(
        self, local: Local, known: Knowledge, table: tuple[Transition, ...], rid: bytes | None
    ) -> Iterator[Local]:
        for view in self.world.views(local, known):
            for move in enabled(view, table):
                if rid is not None and (move.attempt is None or move.attempt.rid != rid):
                    continue
                result = local
                for step in move.steps:
                    result = self.world.apply(result, step)
                if result != local:
                    yield result
