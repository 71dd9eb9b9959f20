"""What is searched: every size without a mistake holds; those of SMALL in each test run, LARGE by the command."""

from typing import NamedTuple

from tests.reshare.model.world import Size

ONE = ((1, b"a"),)
TWO = ((1, b"a"), (2, b"b"))
EQUAL = ((1, b"a"), (1, b"b"))

# Ways into states that random or broad searches come to late: labels of moves, whoever makes them.
DEALT_A = ("supersede a", "supersede a", "store a", "confirm a", "confirm a")
DEALT_B = ("supersede b", "supersede b", "store b", "confirm b", "confirm b")
ACCEPTED_BOTH = (*DEALT_A, "accept confirmed a", "erase", *DEALT_B, "accept confirmed b", "erase")
LIED = ("deal a", "deal a", "store a", *["confirm a"] * 2, "deal b", "deal b", "store b", *["confirm b"] * 2)


class Run(NamedTuple):
    size: Size
    ends: bool  # I4 as well
    fires: frozenset[str]  # labels that must have been possible, or the search says nothing


_FORWARD = frozenset({"store a", "confirm a", "accept confirmed a", "erase", "activate a"})
_CARRIED = _FORWARD | {"propose a", "answer a"}
_BOTH = _FORWARD | {"supersede b", "activate b", "discard superseded a", "discard superseded b"}

SMALL: dict[str, Run] = {
    "refresh of 2-of-2, database and every step explicit, restores": Run(
        Size(2, 0, 2, 0, explicit=True, restores=1),
        False,
        frozenset({"restore", "reissue", "remake row a", "drop row a", "retire", "resume", "park a", "activate a"}),
    ),
    "2-of-3 leave, every step explicit, restores": Run(
        Size(2, 3, 0, 1, explicit=True, restores=1), False, _FORWARD | {"restore", "attest a", "accept following a"}
    ),
    "2-of-2, three ballots over two attempts": Run(Size(2, 2, 0, 1, TWO, 3), False, _BOTH | _CARRIED),
    "refresh of 2-of-3, carried, a share deleted by its user": Run(
        Size(2, 0, 3, 0, ONE, 2, deletions=1), False, _CARRIED | {"give up", "accept gone a"}
    ),
    "2-of-3, carried, has a way on": Run(
        Size(2, 3, 0, 1, ONE, 2), True, _CARRIED | {"accept gone a", "discard parked a"}
    ),
    "2-of-3, one stays, one joins": Run(Size(2, 2, 1, 1), True, _FORWARD | {"fail a", "discard unanimous a"}),
    "2-of-3, two attempts": Run(Size(2, 3, 0, 1, TWO, 2), False, _FORWARD | {"supersede b", "activate b"}),
    "refresh of 3-of-3, carried": Run(Size(3, 0, 3, 0, ONE, 2), False, _CARRIED),
    "2-of-3 with d one higher, has a way on": Run(Size(2, 3, 0, 1, ONE, 2, extra=1), True, _CARRIED),
    "2-of-3, one liar, d one higher, three ballots": Run(
        Size(2, 2, 0, 1, TWO, 3, extra=1, liar=True), False, _FORWARD | {"answer a", "propose b", "activate b"}
    ),
    "3-of-3, three ballots over two attempts": Run(Size(3, 3, 0, 1, TWO, 3), False, _CARRIED | {"supersede b"}),
    "2-of-4, two attempts that do not know of each other": Run(
        Size(2, 4, 0, 1, EQUAL, 1), False, _FORWARD | {"supersede b", "activate b"}
    ),
}

LARGE: dict[str, Run] = {
    "refresh of 2-of-2, three ballots over two attempts": Run(Size(2, 0, 2, 0, TWO, 3), True, _BOTH | _CARRIED),
    "2-of-2, two attempts, every step explicit, restores": Run(
        # Who has dealt the second attempt carries the first one only by a third ballot.
        Size(2, 2, 0, 1, TWO, 2, explicit=True, restores=1),
        False,
        _BOTH - {"discard superseded b"},
    ),
    "2-of-3, one liar, d one higher, four ballots": Run(Size(2, 2, 0, 1, TWO, 4, extra=1, liar=True), False, _FORWARD),
    "2-of-3, two attempts, has a way on": Run(Size(2, 3, 0, 1, TWO, 2), True, _FORWARD | {"supersede b"}),
    "2-of-3, three ballots over two attempts": Run(Size(2, 3, 0, 1, TWO, 3), False, _CARRIED),
    "2-of-3, three ballots over two attempts, has a way on": Run(Size(2, 3, 0, 1, TWO, 3), True, _CARRIED),
    "3-of-4, two attempts": Run(Size(3, 4, 0, 1, TWO, 2), False, _FORWARD),
    "refresh of 2-of-3, two attempts": Run(Size(2, 0, 3, 0, TWO, 2), False, _FORWARD),
    "2-of-4 with d one higher, has a way on": Run(Size(2, 4, 0, 1, ONE, 2, extra=1), True, _CARRIED),
    "3-of-4, one liar, d one higher, two attempts": Run(Size(3, 3, 0, 1, TWO, 2, extra=1, liar=True), False, _FORWARD),
}
