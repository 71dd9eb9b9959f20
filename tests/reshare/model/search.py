"""Breadth-first search over all states of a World; the first violation comes with the shortest way to it."""

from typing import NamedTuple

from reshare.rule.table import TABLE, Transition
from tests.reshare.model.invariants import Judge
from tests.reshare.model.world import Size, State, World


class Found(NamedTuple):
    """`violated` is None where every reachable state holds; else the invariant, and the transitions that led there."""

    states: int
    violated: str | None
    trace: tuple[str, ...]
    fired: frozenset[str]  # labels of all moves that were possible


def search(
    size: Size,
    table: tuple[Transition, ...] = TABLE,
    *,
    ends: bool = False,
    accuse: bool = True,
    along: tuple[str, ...] = (),
    limit: int = 20_000_000,
) -> Found:
    """All states reachable at this size, or all that follow the labels `along` (from every state that they lead to).

    `ends` checks I4 as well, `accuse` that step 8 blames nobody honest. Raises RuntimeError beyond `limit` states.
    """
    world = World(size, table)
    judge = Judge(world, ends=ends, accuse=accuse)
    frontier = led(world, along)
    parents: dict[State, State | None] = dict.fromkeys(frontier)
    fired: set[str] = set()
    while frontier:
        following: list[State] = []
        for state in frontier:
            for name, after in world.successors(state):
                fired.add(name)
                if after in parents or not _bounded(world, after):
                    continue
                parents[after] = state
                violated = judge.violated(after)
                if violated is not None:
                    return Found(len(parents), violated, (*along, *_trace(world, parents, after)), frozenset(fired))
                following.append(after)
        if len(parents) > limit:
            raise RuntimeError(f"more than {limit} states")
        frontier = following
    return Found(len(parents), None, (), frozenset(fired))


def led(world: World, along: tuple[str, ...]) -> list[State]:
    """Every state that these labels lead to from the start, in this order."""
    frontier = [world.canonical(world.start)]
    for label in along:
        frontier = sorted({after for state in frontier for name, after in world.successors(state) if name == label})
    return frontier


def _bounded(world: World, state: State) -> bool:
    """Users may delete n - t shares: more would lose the key, whatever the rule."""
    deleted = sum(world.locals[identifier].acceptor.deleted for identifier in state)
    return deleted <= world.size.deletions


def _trace(world: World, parents: dict[State, State | None], state: State) -> tuple[str, ...]:
    names: list[str] = []
    while (before := parents[state]) is not None:
        names.append(next(name for name, after in world.successors(before) if after == state))
        state = before
    return tuple(reversed(names))
