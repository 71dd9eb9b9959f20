"""n parties over the real transition table: what one party can do next, given what it may have heard.

The model adds only an environment to `reshare.rule`: parties, a keystore, a database that may be restored, and receipts
that may be late for ever. Guards and steps are imported, never stated again.

Why few states suffice, and why nothing is lost by it:

* **Receipts.** A state keeps what each party has *sent*, not what each holds. A party may act on any subset of what was
  sent, as if the rest were late, or held once and lost by a restore. `knowledge.py` lists subsets that reach every
  move: almost every guard grows with receipts, so everything sent enables most; PROMISED (which attempt counts
  highest, how high a proposal must go) and DELETED (who knows a completion no longer carries) are also left out in
  part. test_model.py compares with random subsets.
* **Deaths.** A dead party is one that never moves again: every run in which it stands still is searched. A death
  between two steps of a transition is each prefix of the steps as a successor of its own. Performing a step later,
  after others have moved, is no further case: until its Send a step is visible to nobody else and reads nothing, and
  the table finds what is left enabled again on the same knowledge (test_model.py checks that prefixes lead on).
* **Orders, deadlines, ends of the protocol** come at any moment: the View always has all of them.
* **The database**, unless `explicit`, is not in the state at all: the View shows any of its values at any time, which
  is more than any number of restores could do. What has ever been active stays so. Then a receipt that the journal
  covers may as well be sent at once: a state with more receipts sent can do whatever one with fewer can.
* **Parties** of one role are interchangeable: a state is a sorted tuple. Receipts belong to whoever sent them.
"""

from collections.abc import Iterator
from typing import NamedTuple

from reshare.rule.facts import Facts
from reshare.rule.steps import Database, Drop, Erase, Journal, Seal, Send, Step
from reshare.rule.table import TABLE, Move, Transition, enabled
from reshare.rule.types import (
    Acceptor,
    Attempt,
    Ballot,
    Deadline,
    Kind,
    Mode,
    New,
    Old,
    Order,
    OrderKind,
    Receipt,
    Run,
)
from reshare.rule.view import View
from tests.reshare.model.knowledge import ME, Knowing, Knowledge, divided

GID = b"gid"
DIGEST = b"digest of "
# In each of these views one database value of either side and one end of the protocol; no guard joins two of them.
_GUISES = (
    (Old.ACTIVE, New.CREATED, Run.HELLO),
    (Old.RETIRING, New.QUARANTINED, Run.THROUGH),
    (Old.ERASED, New.PARKED, Run.FAILED),
)
# What the journal alone makes due, and what changes nothing but rows: without a database in the state, the first is
# done at once and the second never.
_OWED = frozenset({"reissue", "attest"})
_ROWS = frozenset({"retire", "resume", "remake row", "drop row", "park", "book"})
# No guard reads the ledger but the one that keeps it up to date, and none reads COMPLETED but the one that says it.
_UNREAD = frozenset({"book", "announce"})


class Size(NamedTuple):
    """What is searched. `attempts` are the ballots (k, rid) of those that may be dealt; `highest` bounds carries."""

    t: int
    leaving: int  # parties of the old quorum only
    staying: int  # of both
    joining: int  # of the new quorum only
    attempts: tuple[tuple[int, bytes], ...] = ((1, b"a"),)
    highest: int = 1
    extra: int = 0  # deletions required beyond n - t + 1
    liar: bool = False  # one more old party, which signs anything and never erases
    deletions: int = 0  # shares that their users may delete
    explicit: bool = False
    restores: int = 0
    forgetful: bool = False  # a restore loses the acceptor record as well (a mistake, not a size)

    @property
    def n(self) -> int:
        return self.leaving + self.staying + self.liar

    @property
    def d(self) -> int:
        return self.n - self.t + 1 + self.extra


class Db(NamedTuple):
    """A party's database, as far as a guard reads it: the ledger is only ever brought up to date."""

    old: Old | None
    new: tuple[New | None, ...]


class Local(NamedTuple):
    """One party: `active` is whatever has ever been active; `sent` are its receipts, signed `ME`."""

    role: int  # 0 leaving, 1 staying, 2 joining
    acceptor: Acceptor
    old_key: bool
    new_keys: frozenset[bytes]
    active: frozenset[bytes]
    sent: frozenset[Receipt]
    db: Db | None
    restores: int = 0


State = tuple[int, ...]


class World:
    """Interned parties and what each can do; a State is the sorted ids of all parties but the liar."""

    def __init__(self, size: Size, table: tuple[Transition, ...] = TABLE) -> None:
        self.size, self.table = size, table
        skipped = _UNREAD if size.explicit else _UNREAD | _ROWS | _OWED
        self.acting = tuple(transition for transition in table if transition.name not in skipped)
        self.owing = tuple(transition for transition in table if transition.name in _OWED)
        self._settled: dict[Local, Local] = {}
        roles = [0] * size.leaving + [1] * size.staying + [2] * size.joining
        names = tuple(bytes([65 + index]) for index in range(len(roles)))
        liar = (b"liar",) if size.liar else ()
        self.names = names + liar
        old = tuple(name for name, role in zip(names, roles, strict=True) if role < 2) + liar
        new = tuple(name for name, role in zip(names, roles, strict=True) if role > 0)
        self.attempts = tuple(
            Attempt(rid, k, GID, DIGEST + rid, old, size.t, new, max(1, len(new) - 1), size.d)
            for k, rid in size.attempts
        )
        self.mine = tuple(
            tuple(a._replace(old=self._seat(old, role < 2), new=self._seat(new, role > 0)) for a in self.attempts)
            for role in range(3)
        )
        self.rids = tuple(attempt.rid for attempt in self.attempts)
        self.locals: list[Local] = []
        self._ids: dict[Local, int] = {}
        self._sent: dict[frozenset[Receipt], int] = {}
        self.sent_of: list[int] = []  # by party: the number of what it has sent
        self.parts_of: list[tuple[int, ...]] = []  # by that: the numbers, in `said`, of its votes, deletions, promises
        self.said: list[frozenset[Receipt]] = []
        self._said: dict[frozenset[Receipt], int] = {}
        self._moves: dict[tuple[int, Knowledge], tuple[tuple[str, int], ...]] = {}
        self._reach: dict[tuple[int, int], tuple[tuple[str, int], ...]] = {}
        self._known: dict[tuple[tuple[int, ...], ...], int] = {}
        self._numbers: dict[tuple[Knowledge, ...], int] = {}
        self.knowledges: list[tuple[Knowledge, ...]] = []
        self.lies = frozenset(self._lies()) if size.liar else frozenset()
        self.knowing = Knowing(
            self.attempts,
            names,
            dealers=size.t + size.extra,
            highest=size.highest,
            lies=self.lies,
            reordered=size.explicit,
        )
        self.start: State = tuple(self.intern(self._fresh(role)) for role in roles)
        self.groups = (0, size.leaving, size.leaving + size.staying, len(roles))
        every = [OrderKind.CONFIRM, OrderKind.ABORT, OrderKind.ERASE, OrderKind.SUPERSEDE, OrderKind.CARRY]
        # With a liar about, an operator who drops parked shares by order errs; without one it must be safe.
        every += [] if size.liar else [OrderKind.DROP]
        whole = {Order(OrderKind.AGREE)} | ({Order(OrderKind.DELETE)} if size.deletions else set())
        self.orders = frozenset({Order(kind, rid) for kind in every for rid in self.rids} | whole)
        self.overdue = frozenset((deadline, rid) for deadline in Deadline for rid in self.rids)

    @staticmethod
    def _seat(quorum: tuple[bytes, ...], sits: bool) -> tuple[bytes, ...]:
        return (ME, *quorum[1:]) if sits else quorum

    def _fresh(self, role: int) -> Local:
        db = Db(Old.ACTIVE if role < 2 else None, tuple(New.CREATED if role else None for _ in self.rids))
        shown = db if self.size.explicit else None
        return Local(role, Acceptor(), role < 2, frozenset(), frozenset(), frozenset(), shown)

    def intern(self, local: Local) -> int:
        found = self._ids.get(local)
        if found is None:
            found = self._ids[local] = len(self.locals)
            self.locals.append(local)
            number = self._sent.setdefault(local.sent, len(self._sent))
            if number == len(self.parts_of):
                self.parts_of.append(tuple(self._number(part) for part in divided(local.sent)))
            self.sent_of.append(number)
        return found

    def _number(self, said: frozenset[Receipt]) -> int:
        number = self._said.setdefault(said, len(self.said))
        if number == len(self.said):
            self.said.append(said)
        return number

    def canonical(self, state: State) -> State:
        low, mid, high, end = self.groups
        return (*sorted(state[low:mid]), *sorted(state[mid:high]), *sorted(state[high:end]))

    # What may be known

    def receipts(self, state: State) -> frozenset[Receipt]:
        """Everything sent, the liar's every possible receipt included."""
        found = {
            receipt._replace(party=name)
            for name, identifier in zip(self.names, state, strict=False)
            for receipt in self.locals[identifier].sent
        }
        return frozenset(found) | self.lies

    def _lies(self) -> Iterator[Receipt]:
        every = [Ballot(k, rid) for k in range(1, self.size.highest + 1) for rid in self.rids]
        for attempt in self.attempts:
            for kind in (Kind.CONFIRMED, Kind.ABORTED):
                digest = attempt.digest if kind == Kind.CONFIRMED else None
                yield Receipt(kind, b"liar", attempt.rid, attempt.k, digest)
            yield Receipt(Kind.PROMISED, b"liar", attempt.rid, attempt.k, None, Mode.DEALING)
        for ballot in every:
            yield Receipt(Kind.DELETED, b"liar", ballot.rid, ballot.k, DIGEST + ballot.rid)
            for reported in (None, *(other for other in every if other < ballot)):
                yield Receipt(Kind.PROMISED, b"liar", ballot.rid, ballot.k, None, Mode.CARRYING, reported)

    def parts(self, state: State) -> tuple[tuple[int, ...], ...]:
        """Of votes, deletions and promises, the number of what each party has said; parties of one role sorted."""
        low, mid, high, end = self.groups
        sent = [self.parts_of[self.sent_of[identifier]] for identifier in state]
        each = [[numbers[part] for numbers in sent] for part in range(3)]
        return tuple((*sorted(n[low:mid]), *sorted(n[mid:high]), *sorted(n[high:end])) for n in each)

    def knowledge(self, state: State) -> int:
        """Number in `knowledges` of the subsets that may be known in this state."""
        key = self.parts(state)
        found = self._known.get(key)
        if found is None:
            subsets = self.knowing.of(tuple(tuple(self.said[number] for number in part) for part in key))
            found = self._known[key] = self._numbers.setdefault(subsets, len(self.knowledges))
            if found == len(self.knowledges):
                self.knowledges.append(subsets)
        return found

    # What a party can do

    def views(self, local: Local, known: Knowledge) -> Iterator[View]:
        for old, new, run in _GUISES:
            rows = (
                dict.fromkeys(self.rids, new) if local.db is None else dict(zip(self.rids, local.db.new, strict=True))
            )
            if local.role == 0:
                rows = {}
            state = old if local.db is None else local.db.old
            runs = {rid: run for rid in self.rids if run != Run.THROUGH or rid in known.through}
            yield View(
                me=ME,
                gid=GID,
                attempts=self.mine[local.role],
                acceptor=local.acceptor,
                old=state if local.role < 2 else None,
                old_key=local.old_key,
                new={rid: row for rid, row in rows.items() if row is not None},
                new_keys=local.new_keys,
                receipts=frozenset() if self.size.forgetful else local.sent,
                runs=runs,
                overdue=self.overdue,
                orders=self.orders,
                facts=known.facts,
            )
        if self.size.deletions and local.role < 2 and local.db is None:
            # Who has not heard of any attempt; what its journal remembers of some is in the acceptor record.
            yield View(ME, GID, (), local.acceptor, Old.ACTIVE, local.old_key, facts=Facts(), orders=self.orders)

    def apply(self, local: Local, step: Step) -> Local:
        match step:
            case Journal(record):
                return local._replace(acceptor=record._replace(certificate=()))
            case Database(old, new, _):
                active = local.active | {new[0]} if new is not None and new[1] == New.ACTIVE else local.active
                db = local.db
                if db is not None and old is not None:
                    db = db._replace(old=old)
                if db is not None and new is not None:
                    rows = tuple(new[1] if rid == new[0] else row for rid, row in zip(self.rids, db.new, strict=True))
                    db = db._replace(new=rows)
                return local._replace(db=db, active=active)
            case Seal(rid):
                return local._replace(new_keys=local.new_keys | {rid})
            case Drop(rid):
                return local._replace(new_keys=local.new_keys - {rid})
            case Erase(gid):
                if gid != GID and local.new_keys:  # a mistake: without its name the newest share is the one that dies
                    return local._replace(new_keys=local.new_keys - {max(local.new_keys)})
                return local._replace(old_key=False)
            case Send(receipt) if receipt.kind != Kind.COMPLETED:
                return local._replace(sent=local.sent | {receipt})
        return local

    def prefixes(self, local: Local, steps: tuple[Step, ...]) -> Iterator[Local]:
        """The party after one step, after two, …: after each it may die, or go on."""
        sealed_only = False
        for step in steps:
            local = self.apply(local, step)
            sealed_only = isinstance(step, Seal) or (sealed_only and not isinstance(step, Journal))
            if self.size.explicit:
                yield local
            elif not sealed_only:
                # A sealed share that the journal doesn't know is seen by nobody, and `store` is enabled as before.
                yield self._settle(local)

    def _settle(self, local: Local) -> Local:
        """Issues what is owed; that depends on nothing that others said."""
        settled = self._settled.get(local)
        if settled is None:
            settled = local
            for view in self.views(local, Knowledge(Facts(), frozenset())):
                for move in enabled(view, self.owing):
                    for step in move.steps:
                        settled = self.apply(settled, step)
            self._settled[local] = settled
        return settled

    def moves(self, identifier: int, known: Knowledge) -> tuple[tuple[str, int], ...]:
        """(label, party afterwards) for all that this party can do on this knowledge."""
        key = (identifier, known)
        found = self._moves.get(key)
        if found is None:
            local = self.locals[identifier]
            after: dict[int, str] = {}
            for view in self.views(local, known):
                for move in enabled(view, self.acting):
                    for result in self.prefixes(local, move.steps):
                        if self.within(result):
                            after.setdefault(self.intern(result), _label(move))
            for result in self._restored(local):
                after.setdefault(self.intern(result), "restore")
            after.pop(identifier, None)
            found = self._moves[key] = tuple((name, result) for result, name in after.items())
        return found

    def met(self) -> tuple[tuple[int, Knowledge], ...]:
        """Every party and knowledge that a move was looked for so far."""
        return tuple(self._moves)

    def within(self, local: Local) -> bool:
        """Ballots higher than the size says are not searched."""
        promised = local.acceptor.promised
        return promised is None or promised.k <= self.size.highest

    def _restored(self, local: Local) -> Iterator[Local]:
        """The database as it was before the first attempt; `forgetful`: the acceptor record with it."""
        if local.restores >= self.size.restores:
            return
        older = self._fresh(local.role)
        acceptor = older.acceptor if self.size.forgetful else local.acceptor
        yield local._replace(db=older.db, acceptor=acceptor, restores=local.restores + 1)

    def reach(self, identifier: int, known: int) -> tuple[tuple[str, int], ...]:
        """(label, party afterwards) for all that this party can do on any of these subsets."""
        key = (identifier, known)
        found = self._reach.get(key)
        if found is None:
            after: dict[int, str] = {}
            for subset in self.knowledges[known]:
                for name, result in self.moves(identifier, subset):
                    after.setdefault(result, name)
            found = self._reach[key] = tuple((name, result) for result, name in after.items())
        return found

    def successors(self, state: State) -> Iterator[tuple[str, State]]:
        known = self.knowledge(state)
        for position, identifier in enumerate(state):
            if position in self.groups or state[position - 1] != identifier:
                for name, result in self.reach(identifier, known):
                    yield name, self.canonical((*state[:position], result, *state[position + 1 :]))


def _label(move: Move) -> str:
    return move.transition.name if move.attempt is None else f"{move.transition.name} {move.attempt.rid.decode()}"
