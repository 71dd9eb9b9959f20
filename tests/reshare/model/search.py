"""Breadth-first search over all states of a World; the first violation comes with the shortest way to it.

A state is a row of party numbers, packed into 64 bits. What a party can do depends on it and on one of few hundred sets
of knowledge, so a whole level is expanded by table look-ups on arrays; the rule itself, the knowledge and the
invariants are evaluated in Python, once for each case that occurs.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reshare.rule.table import TABLE, Transition
from tests.reshare.model.invariants import Judge
from tests.reshare.model.world import Size, State, World

Array = NDArray[np.int64]
Keys = NDArray[np.uint64]
CHUNK = 200_000  # states expanded at a time


class Found(NamedTuple):
    """`violated` is None where every reachable state holds; else the invariant, and the transitions that led there."""

    states: int
    violated: str | None
    trace: tuple[str, ...]
    fired: frozenset[str]  # labels of all moves that were possible


class Level(NamedTuple):
    """The states first reached after so many moves, sorted, each with the row before that leads there."""

    keys: Keys
    parents: Array


def search(
    size: Size,
    table: tuple[Transition, ...] = TABLE,
    *,
    ends: bool = False,
    accuse: bool = True,
    along: tuple[str, ...] = (),
    limit: int = 50_000_000,
) -> Found:
    """All states reachable at this size, or all that follow the labels `along` (from every state that they lead to).

    `ends` checks I4 as well, `accuse` that step 8 blames nobody honest. Raises RuntimeError beyond `limit` states.
    """
    world = World(size, table)
    lattice = Lattice(world, Judge(world, ends=ends, accuse=accuse))
    first = np.sort(lattice.pack(np.array(led(world, along), dtype=np.int64)))
    levels = [Level(first, np.zeros(len(first), dtype=np.int64))]
    seen = first
    while len(levels[-1].keys):
        level = lattice.following(levels[-1].keys, seen)
        seen = np.sort(np.concatenate([seen, level.keys]), kind="stable")
        levels.append(level)
        violation = lattice.violation(level.keys)
        if violation is not None:
            row, name = violation
            trace = (*along, *_trace(lattice, levels, row))
            return Found(len(seen), name, trace, frozenset(lattice.fired))
        if len(seen) > limit:
            raise RuntimeError(f"more than {limit} states")
    return Found(len(seen), None, (), frozenset(lattice.fired))


def led(world: World, along: tuple[str, ...]) -> list[State]:
    """Every state that these labels lead to from the start, in this order."""
    frontier = [world.canonical(world.start)]
    for label in along:
        frontier = sorted({after for state in frontier for name, after in world.successors(state) if name == label})
    return frontier


def _trace(lattice: "Lattice", levels: list[Level], row: int) -> tuple[str, ...]:
    names: list[str] = []
    for before, level in zip(reversed(levels[:-1]), reversed(levels), strict=False):
        parent = int(level.parents[row])
        state, after = lattice.state(before.keys[parent]), lattice.state(level.keys[row])
        names.append(next(name for name, result in lattice.world.successors(state) if result == after))
        row = parent
    return tuple(reversed(names))


class Lattice:
    """Arrays over a World: columns are the parties of a state, in its order."""

    def __init__(self, world: World, judge: Judge) -> None:
        self.world, self.judge = world, judge
        self.fired: set[str] = set()
        self._width = len(world.start)
        self._bits = 64 // max(1, self._width)

    # States and what they have in common

    def pack(self, ids: Array) -> Keys:
        """One number a row, the parties of each role in order. Raises OverflowError beyond 64 bits."""
        if len(self.world.locals) >> self._bits:
            raise OverflowError("too many parties' states for this packing")
        ids = self._sorted(ids)
        keys = np.zeros(len(ids), dtype=np.uint64)
        for column in range(self._width):
            keys = (keys << np.uint64(self._bits)) | ids[:, column].astype(np.uint64)
        return keys

    def unpack(self, keys: Keys) -> Array:
        """The rows that were packed."""
        mask = np.uint64((1 << self._bits) - 1)
        shifts = [np.uint64(self._bits * (self._width - 1 - column)) for column in range(self._width)]
        return np.stack([((keys >> shift) & mask).astype(np.int64) for shift in shifts], axis=1)

    def state(self, key: np.uint64) -> State:
        """One state as World knows it."""
        return tuple(int(each) for each in self.unpack(np.array([key], dtype=np.uint64))[0])

    def _sorted(self, ids: Array) -> Array:
        low, mid, high, end = self.world.groups
        return np.concatenate([np.sort(ids[:, a:b], axis=1) for a, b in ((low, mid), (mid, high), (high, end))], axis=1)

    def _alike(self, ids: Array, part: int) -> Array:
        """Rows that agree in what all parties have said of one part get the same number."""
        parts = np.array([numbers[part] for numbers in self.world.parts_of], dtype=np.int64)
        sent = np.array(self.world.sent_of, dtype=np.int64)
        return np.unique(self.pack(parts[sent[ids]]), return_inverse=True)[1]

    def _cases(self, ids: Array, parts: tuple[int, ...]) -> tuple[Array, Array]:
        """(number of its case for each row, a row of each case): rows of one case agree in these parts."""
        number = np.zeros(len(ids), dtype=np.int64)
        for part in parts:
            alike = self._alike(ids, part)
            number = np.unique(number * (alike.max(initial=0) + 1) + alike, return_inverse=True)[1]
        _, rows = np.unique(number, return_index=True)
        return number, rows

    # Moves

    def following(self, keys: Keys, seen: Keys) -> Level:
        """The level after `keys`: whatever they lead to that is not in `seen`."""
        found, parents = np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)
        for start in range(0, len(keys), CHUNK):
            after, rows = self._expanded(self.unpack(keys[start : start + CHUNK]))
            after, first = np.unique(after, return_index=True)
            fresh = ~_member(after, seen) & ~_member(after, found)
            merged = np.concatenate([found, after[fresh]])
            origin = np.concatenate([parents, rows[first][fresh] + start])
            order = np.argsort(merged, kind="stable")
            found, parents = merged[order], origin[order]
        return Level(found, parents)

    def _expanded(self, ids: Array) -> tuple[Keys, Array]:
        """Every successor of these rows, and the row that it comes from."""
        case, rows = self._cases(ids, (0, 1, 2))
        known = np.array([self.world.knowledge(tuple(map(int, ids[row]))) for row in rows], dtype=np.int64)[case]
        results: list[tuple[Array, Array]] = []
        for column in range(self._width):
            mine = np.arange(len(ids))
            if column not in self.world.groups:
                mine = mine[ids[:, column] != ids[:, column - 1]]
            row, party = self._moved(ids[mine, column], known[mine])
            after = ids[mine[row]]
            after[:, column] = party
            results.append((after, mine[row]))
        after = np.concatenate([each for each, _ in results])
        origin = np.concatenate([each for _, each in results])
        within = self._bounded(after)
        return self.pack(after[within]), origin[within]

    def _moved(self, party: Array, known: Array) -> tuple[Array, Array]:
        """(row, party afterwards) for all that each row's party can do on its knowledge."""
        pairs, which = np.unique(known * (1 << 32) + party, return_inverse=True)
        reached = [self.world.reach(int(pair) & 0xFFFFFFFF, int(pair) >> 32) for pair in pairs]
        self.fired.update(name for reach in reached for name, _ in reach)
        lengths = np.array([len(reach) for reach in reached], dtype=np.int64)
        flat = np.array([result for reach in reached for _, result in reach], dtype=np.int64)
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
        counts = lengths[which]
        row = np.repeat(np.arange(len(party)), counts)
        place = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        return row, flat[starts[which][row] + place]

    def _bounded(self, ids: Array) -> NDArray[np.bool_]:
        """Users may delete n - t shares: more would lose the key, whatever the rule."""
        deleted = np.array([local.acceptor.deleted for local in self.world.locals], dtype=np.int64)
        within: NDArray[np.bool_] = deleted[ids].sum(axis=1) <= self.world.size.deletions
        return within

    # Invariants

    def violation(self, keys: Keys) -> tuple[int, str] | None:
        """(row, name) of the first state that breaks an invariant."""
        for start in range(0, len(keys), CHUNK):
            ids = self.unpack(keys[start : start + CHUNK])
            for row in np.flatnonzero(self.suspects(ids)):
                name = self.judge.violated(tuple(map(int, ids[row])))
                if name is not None:
                    return start + int(row), name
        return None

    def suspects(self, ids: Array) -> NDArray[np.bool_]:
        """The rows that Judge must look at one by one: all that break an invariant, and with I4 some that do not."""
        size, judge = self.world.size, self.judge
        fates = [judge.fate(identifier) for identifier in range(len(self.world.locals))]
        index = {rid: number for number, rid in enumerate(self.world.rids)}
        old_key, stored, destroyed, active = (
            np.array([fate[field] for fate in fates], dtype=np.int64)[ids] for field in range(4)
        )
        erased_for = np.array([1 << index[f.erased_for] if f.erased_for is not None else 0 for f in fates])[ids]
        case, rows = self._cases(ids, (0, 1))
        sent = [judge.sent(tuple(map(int, ids[row]))) for row in rows]
        committed, aborted, complete = (
            np.array([judge.mask(each[field]) for each in sent], dtype=np.int64)[case] for field in range(3)
        )
        olds = old_key.sum(axis=1) + size.liar
        joint = slice(size.leaving, self._width)
        kept = np.bitwise_and.reduce(stored[:, joint], axis=1, initial=judge.all)
        live = np.bitwise_or.reduce(active[:, joint], axis=1)
        dead = np.bitwise_or.reduce(destroyed[:, joint], axis=1)
        broken = (olds < size.t) & (kept == 0)
        broken |= (live != 0) & ((olds >= size.t) | (live & (live - 1) != 0) | (complete & ~live != 0))
        broken |= live & dead != 0
        broken |= np.bitwise_or.reduce(erased_for, axis=1) & ~committed != 0
        broken |= (not size.liar) & (committed & aborted != 0)
        if judge.accuse:
            broken |= self._accusing(ids)
        return broken | self._stranded(ids, old_key) if judge.ends else broken

    def _accusing(self, ids: Array) -> NDArray[np.bool_]:
        case, rows = self._cases(ids, (1,))
        deletions = [self.world.parts(tuple(map(int, ids[row])))[1] for row in rows]
        sent = np.array(self.world.sent_of, dtype=np.int64)[ids]
        accused = np.zeros(len(ids), dtype=np.bool_)
        for column in range(self._width):
            pairs, which = np.unique(case * (1 << 32) + sent[:, column], return_inverse=True)
            told = [self.judge.accused(int(pair) & 0xFFFFFFFF, deletions[int(pair) >> 32]) for pair in pairs]
            accused |= np.array(told, dtype=np.bool_)[which]
        return accused

    def _stranded(self, ids: Array, old_key: Array) -> NDArray[np.bool_]:
        """Where too few may still hold their shares to deal again: whether they can carry is Judge's to say."""
        size = self.world.size
        locals_ = self.world.locals
        holds = np.array([p.old_key and p.acceptor.accepted is None and not p.acceptor.deleted for p in locals_])
        holding = holds[ids][:, : size.leaving + size.staying].sum(axis=1)
        bearable = max(0, min(size.n - size.t, size.t - 1) - size.extra)
        few: NDArray[np.bool_] = holding - np.minimum(holding, bearable) < size.t + size.extra
        return few


def _member(keys: Keys, among: Keys) -> NDArray[np.bool_]:
    """Which keys are in a sorted array."""
    if not len(among):
        return np.zeros(len(keys), dtype=np.bool_)
    place = np.minimum(np.searchsorted(among, keys), len(among) - 1)
    found: NDArray[np.bool_] = among[place] == keys
    return found


def every_state(world: World) -> Iterator[State]:
    """All reachable states, in no order that matters."""
    lattice = Lattice(world, Judge(world))
    seen = keys = lattice.pack(np.array([world.start], dtype=np.int64))
    while len(keys):
        yield from map(lattice.state, keys)
        keys = lattice.following(keys, seen).keys
        seen = np.sort(np.concatenate([seen, keys]))
