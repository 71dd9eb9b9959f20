"""Shamir's sharing and Feldman's commitments to it.

A party's coordinate x is its rank (1 … n) among the sorted identities of its quorum: distinct, never 0.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from mpc.group import Draw, Group, Point
from mpc.secret import Confidential


def ranks(identities: Iterable[bytes]) -> dict[bytes, int]:
    """identity → x. ValueError for an identity that stands there twice."""
    ordered = sorted(identities)
    if len(set(ordered)) != len(ordered):
        raise ValueError("an identity stands twice in a quorum")
    return {identity: x for x, identity in enumerate(ordered, 1)}


class Polynomial(Confidential):
    """A secret polynomial of degree t − 1 over the group's scalars."""

    __slots__ = ("_coefficients", "_group")

    def __init__(self, group: Group, coefficients: Sequence[int]) -> None:
        self._group = group
        self._coefficients = tuple(coefficients)

    def __repr__(self) -> str:
        return f"Polynomial({len(self._coefficients)} coefficients, <redacted>)"

    @classmethod
    def random(cls, group: Group, t: int, draw: Draw, constant: int | None = None) -> Polynomial:
        """t random non-zero coefficients; ``constant`` replaces the first."""
        drawn = [group.random_scalar(draw, f"coefficient/{k}") for k in range(t)]
        return cls(group, drawn if constant is None else [constant % group.order, *drawn[1:]])

    @property
    def coefficients(self) -> tuple[int, ...]:
        """Secret: for proofs of knowledge."""
        return self._coefficients

    def at(self, x: int) -> int:
        """f(x), the sub-share of the party with that coordinate. Never called with 0."""
        if x == 0:
            raise ValueError("x = 0 is the secret")
        value = 0
        for coefficient in reversed(self._coefficients):
            value = (value * x + coefficient) % self._group.order
        return value

    def commit(self) -> tuple[Point, ...]:
        """The Feldman points F_k = a_k·G, k = 0 … t − 1."""
        return tuple(self._group.base_mul(coefficient) for coefficient in self._coefficients)


def evaluate(group: Group, points: Sequence[Point], x: int) -> Point:
    """Σ x^k·F_k: f(x)·G from the Feldman points."""
    value = group.identity
    for point in reversed(points):
        value = group.add(group.mul_public(value, x), point)
    return value


def add_commitments(group: Group, commitments: Collection[Sequence[Point]]) -> tuple[Point, ...]:
    """The Feldman points of the sum of polynomials of one degree."""
    return tuple(group.combine(column) for column in zip(*commitments, strict=True))


def lagrange(group: Group, x: int, xs: Collection[int]) -> int:
    """λ_x over ``xs``: the weight of f(x) in f(0)."""
    numerator = denominator = 1
    for other in xs:
        if other != x:
            numerator = numerator * other % group.order
            denominator = denominator * (other - x) % group.order
    return numerator * pow(denominator, -1, group.order) % group.order


def interpolate(group: Group, points: Mapping[int, Point]) -> Point:
    """f(0)·G from the points f(x)·G, by x."""
    return group.combine(group.mul_public(point, lagrange(group, x, points)) for x, point in points.items())
