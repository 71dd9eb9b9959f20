"""What comes of a lie, and how a table says so."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum

from tests.mpc.attacks.attacker import VICTIM
from tests.mpc.attacks.manipulations import Class, Manipulation

# The manipulations that change nothing where all parties of all sessions say the same.
AGREED = frozenset({"another's", "an earlier one"})


class Verdict(Enum):
    """As those see it who were lied to."""

    BLAMED = "the liar is blamed: a strike"
    BANNED = "the liar is blamed, and its pair's OT state destroyed"
    ABORTED = "no result, nobody to blame"
    NAMED = "a named parameter differs: no result, nobody to blame"
    STALLED = "dropped: the session waits until it times out"
    DONE = "no harm: the session ends well"


@dataclass(frozen=True)
class Row:
    """What a field's manipulations lead to.

    ``lie``: the verdict of values that could be right.  ``invalid``: of values that are no points or not reduced.
    ``shape``: of what does not parse (default: blamed; of a hello: dropped).  ``but``: other verdicts, by the name of
    the manipulation.  ``same``: manipulations that change nothing, the honest value being the same.  ``found_after``:
    how many rounds the victim still takes part in before it looks at the value, by class.  ``others_finish``: a
    private lie of the last round, of which the others hear nothing; what they hold is not used before STORED of all.
    """

    lie: Verdict
    why: str = ""
    invalid: Verdict = Verdict.BLAMED
    shape: Verdict | None = None
    but: Mapping[str, Verdict] = field(default_factory=dict)
    same: Collection[str] = frozenset()
    found_after: Mapping[Class, int] = field(default_factory=dict)
    others_finish: bool = False
    victim: bytes = VICTIM

    def verdict(self, manipulation: Manipulation, *, hello: bool) -> Verdict:
        if manipulation.name in self.but:
            return self.but[manipulation.name]
        if manipulation.kind == "lie":
            return self.lie
        if manipulation.kind == "invalid":
            return self.invalid
        return self.shape or (Verdict.STALLED if hello else Verdict.BLAMED)
