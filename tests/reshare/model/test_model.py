"""The commit rule, searched exhaustively: I1 to I5 in every reachable state (tests/reshare/model)."""

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from reshare.rule import facts as reading
from reshare.rule.steps import Journal, Send
from reshare.rule.table import Move, enabled
from reshare.rule.types import Acceptor, Kind
from tests.reshare.model.diagram import drawn
from tests.reshare.model.invariants import Judge
from tests.reshare.model.knowledge import Knowledge
from tests.reshare.model.mutants import JOIN_TWO, LEAVE_23, LIAR_STAY, MUTANTS, mutated
from tests.reshare.model.search import Lattice, every_state, led, search
from tests.reshare.model.sizes import ACCEPTED_BOTH, EQUAL, LIED, ONE, SMALL, TWO
from tests.reshare.model.world import Local, Size, State, World

HOUSE = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", SMALL)
def test_invariants_hold_in_every_state(name: str) -> None:
    run = SMALL[name]
    found = search(run.size, ends=run.ends)
    assert (found.violated, found.trace) == (None, ())
    assert run.fires <= found.fired
    # An honest party whose keystore lives never finds itself restored.
    assert "adopt" not in found.fired


def walks(world: World, along: tuple[str, ...], seed: int) -> Iterator[State]:
    """Reachable states, on random ways that begin as `along` says and go as deep as they can."""
    chance = random.Random(seed)
    starts = led(world, along)
    while True:
        state = chance.choice(starts)
        while after := sorted({result for _, result in world.successors(state)}):
            yield state
            state = chance.choice(after)


[EARLY] = [mutant for mutant in MUTANTS if mutant.name == "accepting before commit"]
SAMPLED = {
    "from the start": (Size(2, 2, 1, 1, EQUAL, 2), ()),
    "two attempts accepted": (Size(2, 3, 0, 1, TWO, 4), ACCEPTED_BOTH),
    "liar": (Size(2, 2, 0, 1, TWO, 3, extra=1, liar=True), LIED),
}


@pytest.mark.parametrize("name", SAMPLED)
def test_any_subset_of_receipts_enables_nothing_that_the_model_misses(name: str) -> None:
    size, along = SAMPLED[name]
    world = World(size)
    chance = random.Random(3)
    compared = 0
    for state in islice(walks(world, along, 5), 300):
        receipts = world.receipts(state)
        ordered = sorted(receipts, key=repr)
        for keep in (0.4, 0.7, 0.9):
            heard = frozenset(r for r in ordered if chance.random() < keep)
            known = Knowledge(reading.count(world.attempts, heard), world.knowing.through(receipts))
            for identifier in set(state):
                modelled = {result for _, result in world.reach(identifier, world.knowledge(state))} | {identifier}
                assert {result for _, result in world.moves(identifier, known)} <= modelled
                compared += 1
    assert compared > 1500


PARTS = {
    "carried": (Size(2, 3, 0, 1, TWO, 4), ACCEPTED_BOTH),
    "liar": (Size(2, 2, 0, 1, TWO, 3, extra=1, liar=True), LIED),
    "explicit": (Size(2, 1, 1, 1, TWO, 2, explicit=True, restores=1), ()),
}


@pytest.mark.parametrize("name", PARTS)
def test_facts_counted_in_parts_are_those_of_the_whole(name: str) -> None:
    size, along = PARTS[name]
    world = World(size)
    for state in islice(walks(world, along, 7), 400):
        receipts = world.receipts(state)
        whole = reading.count(world.attempts, receipts)
        [everything, *_] = world.knowledges[world.knowledge(state)]
        assert everything.facts._replace(carriable=frozenset()) == whole._replace(carriable=frozenset())
        assert whole.carriable <= everything.facts.carriable
        assert everything.through == world.knowing.through(receipts)


@pytest.mark.parametrize("size", [LEAVE_23, JOIN_TWO, LIAR_STAY], ids=["leave", "join", "liar"])
def test_arrays_say_what_the_rule_says_one_by_one(size: Size) -> None:
    """A level's successors, and the states that break an invariant, where a mistake makes some break one."""
    with mutated(EARLY) as table:
        world = World(size, table)
        judge = Judge(world)
        lattice = Lattice(world, judge)
        seen = keys = lattice.pack(np.array([world.start], dtype=np.int64))
        broken = 0
        for _ in range(9):
            states = [lattice.state(key) for key in keys]
            expected = {after for state in states for _, after in world.successors(state)}
            expected -= {lattice.state(key) for key in seen}
            level = lattice.following(keys, seen)
            assert {lattice.state(key) for key in level.keys} == expected
            for key, parent in zip(level.keys, level.parents, strict=True):
                assert lattice.state(key) in {after for _, after in world.successors(states[parent])}
            suspects = lattice.suspects(lattice.unpack(level.keys))
            violated = [judge.violated(lattice.state(key)) is not None for key in level.keys]
            assert list(suspects) == violated
            broken += sum(violated)
            keys, seen = level.keys, np.sort(np.concatenate([seen, level.keys]))
    assert broken


EXPLICIT = {
    "refresh, carried": Size(2, 0, 2, 0, ONE, 2, explicit=True),
    "leave and join": Size(2, 1, 1, 1, ONE, explicit=True),
}


@pytest.fixture(scope="module", params=EXPLICIT)
def explored(request: pytest.FixtureRequest) -> World:
    """A world all of whose states have been visited."""
    world = World(EXPLICIT[request.param])
    assert sum(1 for _ in every_state(world)) > 1000
    return world


def met_moves(world: World) -> Iterator[tuple[int, Knowledge, Move]]:
    for identifier, known in world.met():
        for view in world.views(world.locals[identifier], known):
            for move in enabled(view):
                yield identifier, known, move


def test_every_prefix_of_steps_leads_on(explored: World) -> None:
    """A party that died after some steps comes, on the same knowledge, to where all of them would have led."""
    names = set()
    for identifier, known, move in met_moves(explored):
        *stops, goal = [
            explored.intern(result) for result in explored.prefixes(explored.locals[identifier], move.steps)
        ]
        if explored.within(explored.locals[goal]):
            for stop in stops:
                names.add(move.transition.name)
                assert _comes_to(explored, stop, known, explored.locals[goal]), (move, explored.locals[stop])
    assert {"deal", "store", "fail", "confirm", "accept confirmed", "erase"} <= names


def _comes_to(world: World, start: int, known: Knowledge, goal: Local) -> bool:
    """On the way everything else that is owed may be sent too."""
    found, frontier = {start}, [start]
    while frontier:
        reached = [world.locals[each] for each in frontier]
        if any(goal.sent <= local.sent and local._replace(sent=goal.sent) == goal for local in reached):
            return True
        frontier = list({result for each in frontier for _, result in world.moves(each, known)} - found)
        found.update(frontier)
    return False


def test_nothing_leaves_that_the_journal_does_not_hold(explored: World) -> None:
    seen = set()
    for identifier, _, move in met_moves(explored):
        record = explored.locals[identifier].acceptor
        for step in move.steps:
            record = step.record if isinstance(step, Journal) else record
            if isinstance(step, Send):
                seen.add(step.receipt.kind)
                assert _covered(step, record), move
    assert seen == set(Kind)


def _covered(step: Send, record: Acceptor) -> bool:
    if step.receipt.kind == Kind.DELETED:
        return record.accepted == step.receipt.ballot
    return step.receipt.kind == Kind.COMPLETED or step.receipt in record.said


def test_the_documents_diagrams_are_the_tables() -> None:
    """`python -m tests.reshare.model.diagram` prints them."""
    assert drawn() in (HOUSE / "docs" / "lifecycle.md").read_text()
