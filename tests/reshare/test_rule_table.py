"""What one party may do next, and in which order it writes: cases of the table that a reader should know."""

from typing import Any

import pytest

from mpc.wire import MAX_K, MAX_K_STEP
from reshare.rule.steps import Database, Erase, Journal, Prove, Seal, Send, Verify
from reshare.rule.table import TABLE, Move, enabled
from reshare.rule.types import (
    Acceptor,
    Ballot,
    Deadline,
    Kind,
    Ledger,
    New,
    Old,
    Order,
    OrderKind,
    Receipt,
    Run,
)
from reshare.rule.view import View
from tests.reshare.test_rule_facts import ATTEMPT, DIGEST, OTHER, RID, A, B, C, D, carried, said

STORED = said(Kind.STORED, A, B, D)
COMMITTED = STORED | said(Kind.CONFIRMED, A, B)
ABORTED = STORED | said(Kind.ABORTED, A, B)
COMPLETE = COMMITTED | said(Kind.DELETED, A, B)
CONFIRMED = Acceptor(promised=ATTEMPT.ballot, said=frozenset(said(Kind.CONFIRMED, A)))
ACCEPTED = Acceptor(promised=ATTEMPT.ballot, accepted=ATTEMPT.ballot)
HIGHER = Acceptor(promised=Ballot(2, OTHER))
RESTORED = Acceptor(restored=True)
# It erased for the first attempt and ordered to carry it; the others have completed the second meanwhile.
CARRIER = Acceptor(promised=Ballot(3, RID), accepted=ATTEMPT.ballot)
SECOND = ATTEMPT._replace(rid=OTHER, k=2)
SUPERSEDING = frozenset(r for kind in (Kind.CONFIRMED, Kind.DELETED) for r in said(kind, B, C, rid=OTHER, k=2))
OVER: dict[str, Any] = {
    "attempts": (ATTEMPT, SECOND),
    "old": Old.ERASED,
    "old_key": False,
    "ledger": {RID: Ledger.ERASED, OTHER: Ledger.ERASED},
}


def view(me: bytes = A, receipts: set[Receipt] | frozenset[Receipt] = frozenset(), **changes: Any) -> View:
    """An old party that stays, holding its share, with its rows in order."""
    known: dict[str, Any] = {
        "attempts": (ATTEMPT,),
        "old": Old.RETIRING if me in ATTEMPT.old else None,
        "old_key": me in ATTEMPT.old,
        "ledger": {RID: Ledger.PENDING},
    }
    return View(me, ATTEMPT.gid, receipts=frozenset(receipts), **{**known, **changes})


def orders(*kinds: OrderKind) -> frozenset[Order]:
    whole = (OrderKind.AGREE, OrderKind.DELETE)
    return frozenset(Order(kind, b"" if kind in whole else RID) for kind in kinds)


def names(seen: View) -> list[str]:
    return [move.transition.name for move in enabled(seen)]


def move(seen: View, name: str) -> Move:
    return next(found for found in enabled(seen) if found.transition.name == name)


QUARANTINED: dict[str, Any] = {"new": {RID: New.QUARANTINED}, "new_keys": frozenset({RID})}
GONE: dict[str, Any] = {"old": Old.ERASED, "old_key": False}
PARKED: dict[str, Any] = {"new": {RID: New.PARKED}, "new_keys": frozenset({RID})}
CASES: list[tuple[str, View, set[str]]] = [
    ("deals in its first attempt", view(runs={RID: Run.HELLO}), {"deal"}),
    ("never below a promise", view(runs={RID: Run.HELLO}, acceptor=HIGHER), set()),
    (
        "never after accepting",
        view(runs={RID: Run.HELLO}, acceptor=ACCEPTED, old=Old.ERASED, old_key=False),
        {"attest", "book"},
    ),
    ("never without its share", view(runs={RID: Run.HELLO}, **GONE), set()),
    ("stores what the protocol made", view(D, runs={RID: Run.THROUGH}), {"store"}),
    ("stores what is sealed after a crash", view(D, new_keys=frozenset({RID})), {"store"}),
    ("says that it failed", view(D, runs={RID: Run.FAILED}), {"fail"}),
    ("no vote without an order", view(receipts=STORED), set()),
    ("confirms by order", view(receipts=STORED, orders=orders(OrderKind.CONFIRM)), {"confirm"}),
    ("not before all stored", view(receipts=said(Kind.STORED, A, B), orders=orders(OrderKind.CONFIRM)), set()),
    ("not below a promise", view(receipts=STORED, orders=orders(OrderKind.CONFIRM), acceptor=HIGHER), set()),
    ("aborts when one failed", view(receipts=said(Kind.FAILED, D)), {"abort failed"}),
    ("aborts late", view(overdue=frozenset({(Deadline.STORE_BY, RID)})), {"abort late"}),
    ("not late with all stored", view(receipts=STORED, overdue=frozenset({(Deadline.STORE_BY, RID)})), set()),
    ("late to vote", view(receipts=STORED, overdue=frozenset({(Deadline.VOTE_BY, RID)})), {"abort late"}),
    ("a confirmer accepts", view(receipts=COMMITTED, acceptor=CONFIRMED), {"accept confirmed", "book"}),
    ("not before commit", view(receipts=said(Kind.CONFIRMED, A), acceptor=CONFIRMED), {"book"}),
    ("others wait", view(C, receipts=COMMITTED), set()),
    ("others follow a deletion", view(C, receipts=COMMITTED | said(Kind.DELETED, A)), {"accept following"}),
    ("others by order", view(C, receipts=COMMITTED, orders=orders(OrderKind.ERASE)), {"accept ordered"}),
    ("not who promised higher", view(C, receipts=COMMITTED | said(Kind.DELETED, A), acceptor=HIGHER), set()),
    ("but completion wins", view(C, receipts=COMPLETE, acceptor=HIGHER), {"accept completed"}),
    ("what is accepted is erased", view(acceptor=ACCEPTED, receipts=COMMITTED), {"erase", "book"}),
    ("also after a restore", view(acceptor=ACCEPTED, old=Old.ACTIVE), {"erase", "book"}),
    ("erased is attested", view(acceptor=ACCEPTED, old=Old.ERASED, old_key=False, ledger={RID: "erased"}), {"attest"}),
    (
        "not while a session's key exists",
        view(acceptor=ACCEPTED, old=Old.ERASED, old_key=False, sessions=True, ledger={RID: "erased"}),
        set(),
    ),
    ("activates when complete", view(D, receipts=COMPLETE, **QUARANTINED), {"activate", "announce"}),
    ("activates what was parked", view(D, receipts=COMPLETE, **PARKED), {"activate", "announce"}),
    (
        "not when committed",
        view(D, receipts=COMMITTED, acceptor=Acceptor(said=frozenset(STORED)), **QUARANTINED),
        set(),
    ),
    ("parks when aborted", view(D, receipts=ABORTED, **QUARANTINED), {"park"}),
    ("keeps what is parked", view(D, receipts=ABORTED, **PARKED), set()),
    (
        "drops it when all aborted",
        view(D, receipts=ABORTED | said(Kind.ABORTED, C), **PARKED),
        {"discard unanimous"},
    ),
    (
        "or by order",
        view(D, receipts=ABORTED, orders=orders(OrderKind.DROP), **PARKED),
        {"discard parked"},
    ),
    ("no drop while open", view(D, receipts=STORED, orders=orders(OrderKind.DROP), **PARKED), set()),
    ("resumes when all is aborted", view(receipts=said(Kind.ABORTED, B, C), ledger={RID: "aborted"}), {"resume"}),
    ("answers a proposal", view(C, receipts=COMMITTED | {carried(A, 2)}), {"answer"}),
    ("not below its promise", view(C, receipts=COMMITTED | {carried(A, 2)}, acceptor=Acceptor(Ballot(3, RID))), set()),
    ("carries by order", view(C, receipts=COMMITTED, orders=orders(OrderKind.CARRY)), {"propose"}),
    ("only what is committed", view(C, receipts=STORED, orders=orders(OrderKind.CARRY)), set()),
    ("answers one within reach", view(C, receipts=COMMITTED | {carried(A, 1 + MAX_K_STEP)}), {"answer"}),
    ("no other", view(C, receipts=COMMITTED | {carried(A, 2 + MAX_K_STEP)}), set()),
    (
        "no proposal once the numbers are used up",
        view(C, receipts=COMMITTED, orders=orders(OrderKind.CARRY), acceptor=Acceptor(Ballot(MAX_K, RID))),
        set(),
    ),
    ("restored, it answers nothing", view(C, receipts=COMMITTED | {carried(A, 2)}, acceptor=RESTORED), set()),
    ("aborts nothing that failed", view(receipts=said(Kind.FAILED, D), acceptor=RESTORED), set()),
    ("nor what is late", view(overdue=frozenset({(Deadline.STORE_BY, RID)}), acceptor=RESTORED), set()),
    (
        "until an operator agrees too",
        view(receipts=said(Kind.FAILED, D), acceptor=RESTORED, orders=orders(OrderKind.AGREE)),
        {"abort failed"},
    ),
    (
        "a completion above what it accepted",
        view(receipts=SUPERSEDING | said(Kind.DELETED, A), acceptor=CARRIER, **OVER),
        {"accept completed", "announce"},
    ),
    (
        "a user gives up an active share",
        view(attempts=(), old=Old.ACTIVE, orders=orders(OrderKind.DELETE)),
        {"give up"},
    ),
    ("not a retiring one", view(orders=orders(OrderKind.DELETE)), set()),
    ("hears of an attempt", view(old=Old.ACTIVE, ledger={}), {"retire", "book"}),
    ("two faces stop what destroys", view(C, receipts=COMPLETE | said(Kind.ABORTED, A)), set()),
    (
        "until an operator agrees",
        view(C, receipts=COMPLETE | said(Kind.ABORTED, A), orders=orders(OrderKind.AGREE)),
        {"accept completed", "accept following"},
    ),
    ("an own receipt unknown to the journal", view(receipts=said(Kind.ABORTED, A)), {"adopt"}),
]
_MINE = (Kind.STORED, Kind.CONFIRMED, Kind.ABORTED, Kind.DELETED, Kind.FAILED)


def remembered(seen: View) -> View:
    """The journal knows this party's own receipts, unless the case is about a journal that does not."""
    own = frozenset(r for r in seen.receipts if r.party == seen.me and r.kind in _MINE and r.kind != Kind.DELETED)
    record = seen.acceptor._replace(said=seen.acceptor.said | own)
    return View(**{name: getattr(seen, name) for name in View.__slots__} | {"acceptor": record})


@pytest.mark.parametrize(("seen", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_may_happen(seen: View, expected: set[str]) -> None:
    found = set(names(seen if "adopt" in expected else remembered(seen)))
    assert found - {"reissue"} == expected


STEPS: list[tuple[str, View, str, list[type]]] = [
    ("a promise is journalled before it goes", view(runs={RID: Run.HELLO}), "deal", [Journal, Database, Send]),
    (
        "stored once sealed and proven",
        view(D, runs={RID: Run.THROUGH}),
        "store",
        [Seal, Database, Prove, Journal, Send],
    ),
    ("accepted before the row", view(receipts=COMMITTED, acceptor=CONFIRMED), "accept confirmed", [Journal, Database]),
    ("erased once verified", view(acceptor=ACCEPTED, old=Old.SUPERSEDED), "erase", [Erase, Verify, Database]),
    (
        "a vote",
        view(receipts=STORED - said(Kind.STORED, A), overdue=frozenset({(Deadline.VOTE_BY, RID)})),
        "abort late",
        [Journal, Database, Send],
    ),
]


@pytest.mark.parametrize(("seen", "name", "kinds"), [case[1:] for case in STEPS], ids=[case[0] for case in STEPS])
def test_order_of_steps(seen: View, name: str, kinds: list[type]) -> None:
    assert [type(step) for step in move(seen, name).steps] == kinds


def test_accepting_keeps_the_commit_certificate() -> None:
    journal, _ = move(view(receipts=COMMITTED, acceptor=CONFIRMED), "accept confirmed").steps
    assert isinstance(journal, Journal)
    assert journal.record.accepted == journal.record.promised == ATTEMPT.ballot
    assert set(journal.record.certificate) == said(Kind.CONFIRMED, A, B)


def test_completion_leaves_a_higher_promise_standing() -> None:
    journal, _ = move(view(C, receipts=COMPLETE, acceptor=HIGHER), "accept completed").steps
    assert isinstance(journal, Journal)
    assert (journal.record.accepted, journal.record.promised) == (ATTEMPT.ballot, HIGHER.promised)


def test_a_carried_deletion_names_the_carried_ballot() -> None:
    carried_on = Acceptor(promised=Ballot(3, RID), accepted=Ballot(3, RID))
    (send,) = move(view(acceptor=carried_on, old=Old.ERASED, old_key=False), "attest").steps
    assert send == Send(Receipt(Kind.DELETED, A, RID, 3, DIGEST))


def test_a_proposal_goes_above_all_that_was_heard_and_reports_what_was_accepted() -> None:
    seen = view(receipts=COMMITTED | {carried(C, 5, rid=OTHER)}, acceptor=ACCEPTED, orders=orders(OrderKind.CARRY))
    _, send = move(seen, "propose").steps
    assert send == Send(carried(A, 6, ATTEMPT.ballot))


def test_a_proposal_stands_until_a_higher_promise_is_heard() -> None:
    own = carried(A, 2)
    record = Acceptor(promised=own.ballot, said=frozenset({own}))
    ordered = orders(OrderKind.CARRY)
    assert "propose" not in names(view(receipts=COMMITTED | {own}, acceptor=record, orders=ordered))
    higher = COMMITTED | {own, carried(C, 4, rid=OTHER)}
    assert "propose" in names(view(receipts=higher, acceptor=record, orders=ordered))


def test_lost_receipts_are_issued_again_word_for_word() -> None:
    assert move(view(acceptor=CONFIRMED), "reissue").steps == tuple(Send(r) for r in said(Kind.CONFIRMED, A))


@pytest.mark.parametrize(
    ("known", "again"),
    [(QUARANTINED, True), (PARKED, True), ({"new_keys": frozenset({RID})}, False), ({}, False)],
    ids=["here", "parked", "without its row yet", "gone"],
)
def test_a_lost_stored_is_issued_again_where_its_share_can_be_proved(known: dict[str, Any], again: bool) -> None:
    seen = view(D, acceptor=Acceptor(said=frozenset(said(Kind.STORED, D))), **known)
    assert ("reissue" in names(seen)) is again


def test_a_restored_keystore_adopts_and_then_waits_for_its_operator() -> None:
    own = said(Kind.CONFIRMED, A) | said(Kind.DELETED, A, k=3)
    (journal,) = move(view(receipts=own), "adopt").steps
    assert isinstance(journal, Journal)
    record = journal.record
    assert (record.restored, record.accepted, record.promised) == (True, Ballot(3, RID), Ballot(3, RID))
    assert record.vote(RID) == next(iter(said(Kind.CONFIRMED, A)))
    assert "erase" not in names(view(receipts=own, acceptor=record))
    assert "erase" in names(view(receipts=own, acceptor=record, orders=orders(OrderKind.AGREE)))


def test_another_attempt_is_dealt_only_by_order_while_one_is_open() -> None:
    second = ATTEMPT._replace(rid=OTHER, k=2)
    known = view(attempts=(ATTEMPT, second), runs={OTHER: Run.HELLO})
    assert "deal" not in names(known)
    ordered = view(
        attempts=(ATTEMPT, second), runs={OTHER: Run.HELLO}, orders=frozenset({Order(OrderKind.SUPERSEDE, OTHER)})
    )
    assert "supersede" in names(ordered)
    over = view(attempts=(ATTEMPT, second), runs={OTHER: Run.HELLO}, receipts=said(Kind.ABORTED, B, C))
    assert "deal" in names(over)


def test_names_are_unique() -> None:
    assert len({transition.name for transition in TABLE}) == len(TABLE)
