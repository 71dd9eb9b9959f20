"""`python -m tests.reshare.model.diagram`: the life of a share as diagrams, drawn from what the table does.

Every party that a search meets is asked for its moves; the states that a move's database steps lead from and to are an
arrow, named by the transition. docs/lifecycle.md holds what this prints, and a test compares.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from reshare.rule.steps import NEW_FROM, OLD_FROM, Database
from reshare.rule.table import TABLE, Move, enabled
from reshare.rule.types import New, Old
from reshare.rule.view import View
from tests.reshare.model.search import every_state
from tests.reshare.model.sizes import ONE, TWO
from tests.reshare.model.world import Size, World

# Together they reach every transition but those that only a restored database needs.
SIZES = (
    Size(2, 0, 2, 0, ONE, 2, explicit=True),
    Size(2, 1, 1, 1, ONE, explicit=True),
    Size(2, 2, 0, 1, TWO, 2),
    Size(2, 2, 1, 0, ONE, 2, deletions=1),
)
REPAIRS = frozenset({"adopt", "reissue", "remake row", "drop row"})
Arrows = dict[tuple[str, str], set[str]]
_ORDER = [transition.name for transition in TABLE]


def met(worlds: Iterable[World]) -> Iterator[tuple[View, Move]]:
    """Every move that was possible in any state of these worlds, with the view that it was found in."""
    for world in worlds:
        for identifier, known in world.met():
            for view in world.views(world.locals[identifier], known):
                for move in enabled(view):
                    yield view, move


def arrows(worlds: Iterable[World]) -> tuple[Arrows, Arrows]:
    """(from, to) → names of transitions, for the old share and for the new one."""
    old: Arrows = defaultdict(set)
    new: Arrows = defaultdict(set)
    for view, move in met(worlds):
        if move.transition.name in REPAIRS:
            continue
        was_old, was_new = view.old, dict(view.new)
        for step in move.steps:
            if not isinstance(step, Database):
                continue
            if step.old is not None and was_old in OLD_FROM[step.old]:
                old[was_old, step.old].add(move.transition.name)
                was_old = step.old
            if step.new is not None:
                rid, state = step.new
                before = was_new.get(rid) or New.CREATED
                if before in NEW_FROM[state]:
                    new[before, state].add(move.transition.name)
                was_new[rid] = state
    return old, new


def mermaid(found: Arrows, states: Iterable[str]) -> str:
    """A state diagram; arrows in the order of the states, names in that of the table."""
    rank = {state: number for number, state in enumerate(states)}
    lines = ["```mermaid", "stateDiagram-v2"]
    for before, after in sorted(found, key=lambda pair: (rank[pair[0]], rank[pair[1]])):
        names = ", ".join(sorted(found[before, after], key=_ORDER.index))
        lines.append(f"    {before} --> {after}: {names}")
    return "\n".join([*lines, "```"])


def explored() -> list[World]:
    """The worlds of SIZES, every state visited."""
    worlds = [World(size) for size in SIZES]
    for world in worlds:
        for _ in every_state(world):
            pass
    return worlds


def drawn() -> str:
    """Both diagrams as docs/lifecycle.md has them."""
    old, new = arrows(explored())
    return f"The old share:\n\n{mermaid(old, Old)}\n\nThe new share:\n\n{mermaid(new, New)}\n"


if __name__ == "__main__":
    print(drawn(), end="")
