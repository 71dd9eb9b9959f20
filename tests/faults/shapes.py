"""The changes of quorum that are played."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """From a t-of-n quorum to another: how many stay, leave and join."""

    t: int
    n: int
    new_t: int
    new_n: int
    stay: int

    @property
    def name(self) -> str:
        return f"{self.t}-of-{self.n}→{self.new_t}-of-{self.new_n}"


SAME = Shape(2, 3, 2, 3, stay=2)
GROW = Shape(2, 3, 3, 5, stay=2)
SHRINK = Shape(3, 5, 2, 3, stay=2)
SHAPES = (SAME, GROW, SHRINK)
