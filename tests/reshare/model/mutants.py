"""The mistakes that the search must find: each a named patch of the real rule, at a size where it bites."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import ModuleType
from typing import Any, NamedTuple
from unittest.mock import patch

from reshare.rule import facts, guards, table, view
from reshare.rule.facts import promises_needed
from reshare.rule.steps import Database, Erase, Send
from reshare.rule.table import TABLE, Transition
from reshare.rule.types import Ballot, Kind, Old, Run
from tests.reshare.model.sizes import ACCEPTED_BOTH, DEALT_A, DEALT_B, EQUAL, LIED, ONE, TWO
from tests.reshare.model.world import Size

REFRESH_22 = Size(2, 0, 2, 0)
REFRESH_23 = Size(2, 0, 3, 0)
LEAVE_23 = Size(2, 3, 0, 1)
CARRY_23 = Size(2, 3, 0, 1, highest=2)
JOIN_TWO = Size(2, 2, 0, 2)
SUPERSEDE_22 = Size(2, 2, 0, 1, TWO, 2)
CARRIES_22 = Size(2, 2, 0, 1, TWO, 3)
SUPERSEDE_23 = Size(2, 3, 0, 1, TWO, 2)
CARRIES_23 = Size(2, 3, 0, 1, TWO, 4)
DELETING_23 = Size(2, 3, 0, 1, TWO, 3, deletions=1)
EQUAL_24 = Size(2, 4, 0, 1, EQUAL, 1)
LIAR_23 = Size(2, 2, 0, 1, TWO, 4, extra=1, liar=True)
LIAR_STAY = Size(2, 1, 1, 1, ONE, 1, extra=1, liar=True)


_CALM = frozenset(
    {"fail", "abort", "abort failed", "abort late", "discard superseded", "discard unanimous", "discard parked"}
    | {"confirm gone", "accept following", "accept ordered"}
)


_SPLIT = ("supersede a", "supersede a", "supersede b", "supersede b", "store a", "store b", *["confirm a"] * 3)
_PROPOSED_A = (*ACCEPTED_BOTH, "propose a")
_CARRIED_A = (*ACCEPTED_BOTH, "propose a", "answer a", "accept confirmed a")


class Patch(NamedTuple):
    module: ModuleType
    name: str
    replacement: Callable[..., Any]


class Mutant(NamedTuple):
    name: str
    size: Size
    patches: tuple[Patch, ...]
    expected: str  # the invariant that breaks first
    ends: bool = False
    without: frozenset[str] = frozenset()  # transitions left out: what is found with fewer is possible with all
    along: tuple[str, ...] = ()  # how the run starts, where searching from the beginning would take too long


@contextmanager
def mutated(mutant: Mutant) -> Iterator[tuple[Transition, ...]]:
    """The real table with these functions replaced, wherever they are called or stand in the table."""
    with ExitStack() as stack:
        replaced: dict[Any, Any] = {}
        for module, name, replacement in mutant.patches:
            replaced[getattr(module, name)] = replacement
            stack.enter_context(patch.object(module, name, replacement))
        yield tuple(
            transition._replace(
                when=replaced.get(transition.when, transition.when),
                steps=replaced.get(transition.steps, transition.steps),
            )
            for transition in TABLE
            if transition.name not in mutant.without
        )


def _higher_k(seen: Any, ballot: Ballot) -> bool:
    promised = seen.acceptor.promised
    return promised is None or promised.k <= ballot.k


def _below_promise(seen: Any, attempt: Any, ballot: Ballot) -> bool:
    accepted = seen.acceptor.accepted
    return seen.me in attempt.old and view.acceptable(seen, ballot) and (accepted is None or accepted < ballot)


def _unremembered(seen: Any, ballot: Ballot) -> bool:
    return seen.acceptor.deleted or seen.acceptor.promised is None or seen.acceptor.promised <= ballot


def _reports_nothing(seen: Any, ballot: Ballot) -> Any:
    if seen.acceptor.deleted:
        seen = _Shadow(seen)
    return _promise(seen, ballot)


class _Shadow:
    """A View whose acceptor has accepted nothing."""

    def __init__(self, seen: Any) -> None:
        self.me, self.acceptor = seen.me, seen.acceptor._replace(accepted=None)


def _hears_k(seen: Any, attempt: Any, ballot: Ballot) -> bool:
    promised, standing = seen.acceptor.promised, seen.facts.highest
    if promised is not None and standing.k <= promised.k:
        seen = replace(seen, facts=seen.facts._replace(highest=Ballot(0, b"")))
    return _propose(seen, attempt, ballot)


def _confirmers(seen: Any, attempt: Any, ballot: Ballot) -> bool:
    vote = seen.acceptor.vote(attempt.rid)
    return vote is not None and vote.kind == Kind.CONFIRMED and _may_accept(seen, attempt, ballot)


def _send_first(seen: Any, attempt: Any, ballot: Ballot) -> Any:
    return tuple(sorted(_confirm(seen, attempt, ballot), key=lambda step: not isinstance(step, Send)))


def _erase_unnamed(seen: Any, attempt: Any, ballot: Any) -> Any:
    return Erase(b""), Database(old=Old.ERASED)


def _attest_early(seen: Any, attempt: Any, ballot: Ballot) -> bool:
    return bool(seen.acceptor.accepted == ballot and view.deletion(seen, attempt, ballot) not in seen.receipts)


def _drop_stored(seen: Any, attempt: Any, ballot: Ballot) -> bool:
    return guards.waiting(seen, attempt) and seen.runs.get(attempt.rid) == Run.FAILED


def _any_attempt(receipt: Any, attempt: Any) -> bool:
    by_new = receipt.kind in (Kind.STORED, Kind.FAILED, Kind.COMPLETED)
    return receipt.party in (attempt.new if by_new else attempt.old)


_promise, _confirm, _deletion, _may_accept = table.promise, table.confirm, view.deletion, guards.may_accept
_propose = guards.propose

_PROMISED_BY_P = Patch(
    facts, "may_carry", lambda ballot, heard, known: len({r.party for r in heard}) >= promises_needed(known)
)

MUTANTS = (
    Mutant(
        "n - t deletions complete",
        LEAVE_23,
        (Patch(facts, "deleted_needed", lambda attempt: attempt.d - 1),),
        "I2",
    ),
    Mutant("accepting below a promise", SUPERSEDE_22, (Patch(guards, "may_accept", _below_promise),), "I2"),
    Mutant(
        "ballots ordered by k alone",
        EQUAL_24,
        (Patch(view, "nothing_higher", _higher_k),),
        "I2",
        without=_CALM,
        along=_SPLIT,
    ),
    Mutant(
        "DELETED of one ballot counts for another",
        CARRIES_23,
        (Patch(facts, "deleted_for", lambda receipt: Ballot(0, receipt.rid)),),
        "I2",
        without=_CALM,
        along=_CARRIED_A,
    ),
    Mutant(
        "a carry's DELETED signed with the digest's k",
        CARRIES_23,
        (Patch(view, "deletion", lambda seen, attempt, ballot: _deletion(seen, attempt, attempt.ballot)),),
        "I2",
        without=_CALM,
        along=_CARRIED_A,
    ),
    Mutant(
        "carrying what does not count highest",
        CARRIES_23,
        (_PROMISED_BY_P,),
        "I2",
        without=_CALM,
        along=(*ACCEPTED_BOTH, "propose a"),
    ),
    Mutant(
        "believing one liar's report",
        LIAR_23,
        (Patch(facts, "reports_needed", lambda attempts: 1),),
        "I2",
        without=_CALM,
        along=LIED,
    ),
    Mutant("accepting before commit", REFRESH_22, (Patch(view, "committed", lambda seen, rid: True),), "I1"),
    Mutant(
        "accepting on too few votes",
        LEAVE_23,
        (Patch(facts, "confirmed_needed", lambda attempt: attempt.d - 1),),
        "I5",
    ),
    Mutant(
        "a user-deleted party without an acceptor record",
        DELETING_23,
        (Patch(view, "nothing_higher", _unremembered), Patch(table, "promise", _reports_nothing)),
        "I2",
        without=_CALM,
        along=("give up", *DEALT_A, *DEALT_B, "accept confirmed b", "erase"),
    ),
    Mutant(
        "confirming with t' STORED",
        JOIN_TWO,
        (Patch(facts, "stored_needed", lambda attempt: attempt.new_t),),
        "I1",
    ),
    Mutant("dropping a stored share by oneself", REFRESH_22, (Patch(guards, "discard_parked", _drop_stored),), "I1"),
    Mutant(
        "aborting on n - d",
        REFRESH_23,
        (Patch(facts, "aborted_needed", lambda attempt: attempt.n - attempt.d),),
        "I1",
    ),
    Mutant("voting twice", LEAVE_23, (Patch(guards, "may_vote", lambda seen, attempt: seen.me in attempt.old),), "I5"),
    Mutant(
        "the acceptor record only in the database",
        SUPERSEDE_22._replace(restores=1, forgetful=True),
        (),
        "I5",
    ),
    Mutant(
        "activating on CONFIRMED",
        LEAVE_23,
        (Patch(guards, "activate", lambda seen, a, b: guards.waiting(seen, a) and a.rid in seen.facts.committed),),
        "I2",
    ),
    Mutant("DELETED before erasing", LEAVE_23, (Patch(guards, "attest", _attest_early),), "I2"),
    Mutant("only confirmers erase", CARRY_23, (Patch(guards, "may_accept", _confirmers),), "I4", ends=True),
    Mutant(
        "a proposal that goes higher on a higher k alone",
        SUPERSEDE_23,
        (Patch(guards, "propose", _hears_k),),
        "I4",
        ends=True,
        without=_CALM,
        along=("supersede a", "supersede a", "store a", "confirm a", "confirm a", "supersede b", "accept confirmed a"),
    ),
    Mutant(
        "destroying on abort",
        LIAR_STAY,
        (
            Patch(
                guards,
                "discard_unanimous",
                lambda seen, a, b: guards.waiting(seen, a) and a.rid in seen.facts.aborted,
            ),
        ),
        "I1",
    ),
    Mutant("receipts bound to the generation number", SUPERSEDE_22, (Patch(facts, "about", _any_attempt),), "I5"),
    Mutant("erasing without gid", REFRESH_22, (Patch(table, "erase", _erase_unnamed),), "I1"),
    Mutant(
        "sending before the journal",
        REFRESH_22._replace(explicit=True),
        (Patch(table, "confirm", _send_first),),
        "I5",
    ),
)
