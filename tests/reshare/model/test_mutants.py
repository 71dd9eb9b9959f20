"""Each mistake that lifecycle.md lists, built into the real rule, breaks an invariant that the search sees."""

import pytest

from tests.reshare.model import mutants
from tests.reshare.model.mutants import MUTANTS, Mutant, mutated
from tests.reshare.model.search import search


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_a_mistake_is_found(mutant: Mutant) -> None:
    with mutated(mutant) as table:
        found = search(mutant.size, table, ends=mutant.ends, accuse=False, along=mutant.along)
    assert found.violated == mutant.expected, found.trace


CONTROLS = {
    name: getattr(mutants, name)
    for name in ("LEAVE_23", "CARRY_23", "JOIN_TWO", "REFRESH_22", "REFRESH_23", "LIAR_STAY", "SUPERSEDE_22")
}


@pytest.mark.parametrize("name", CONTROLS)
def test_without_a_mistake_the_same_size_holds(name: str) -> None:
    assert search(CONTROLS[name], ends=name == "CARRY_23").violated is None
