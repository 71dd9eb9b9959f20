"""The commit rule as one ordered table of named transitions. Everything that moves a reshare's life cycle is here.

`enabled(view)` lists what may happen now, in the order in which an executor should do it. Orders of people make the
transitions that name them possible; all others happen by themselves. Each transition's steps are journal before
database before send, and every prefix of them is safe: what is left follows from the journal and is found enabled
again by the same table, so there is no separate start-up reconciliation.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from reshare.rule import guards as g
from reshare.rule import view as v
from reshare.rule.facts import about
from reshare.rule.steps import Database, Drop, Erase, Journal, Prove, Seal, Send, Step, Verify
from reshare.rule.types import Attempt, Ballot, Kind, Ledger, Mode, New, Old, OrderKind, Receipt
from reshare.rule.view import View

Guard = Callable[[View, Any, Any], bool]
Steps = Callable[[View, Any, Any], tuple[Step, ...]]


class Transition(NamedTuple):
    """`over` says for what it is asked: once a "gid", per "attempt" (with its own ballot) or per known "ballot"."""

    name: str
    section: int  # step of docs/lifecycle.md
    over: str
    when: Guard
    steps: Steps
    order: OrderKind | None = None


class Move(NamedTuple):
    """A transition that is enabled, with what it is about and the steps to perform."""

    transition: Transition
    attempt: Attempt | None
    ballot: Ballot | None
    steps: tuple[Step, ...]


def _say(view: View, receipt: Receipt, **changes: Any) -> tuple[Journal, Send]:
    record = view.acceptor._replace(said=view.acceptor.said | {receipt}, **changes)
    return Journal(record), Send(receipt)


def deal(view: View, attempt: Attempt, ballot: Ballot) -> tuple[Step, ...]:
    promise = Receipt(Kind.PROMISED, view.me, ballot.rid, ballot.k, None, Mode.DEALING)
    journal, send = _say(view, promise, promised=ballot)
    return journal, Database(old=Old.RETIRING, ledger=(attempt.rid, Ledger.PENDING)), send


def store(view: View, attempt: Attempt, ballot: Ballot) -> tuple[Step, ...]:
    journal, send = _say(view, Receipt(Kind.STORED, view.me, attempt.rid, attempt.k, attempt.digest))
    row = Database(new=(attempt.rid, New.QUARANTINED))
    return Seal(attempt.rid), row, Prove(attempt.rid), journal, send


def fail(view: View, attempt: Attempt, ballot: Ballot) -> tuple[Step, ...]:
    journal, send = _say(view, Receipt(Kind.FAILED, view.me, attempt.rid, attempt.k))
    return journal, Drop(attempt.rid), Database(new=(attempt.rid, New.DISCARDED)), send


def confirm(view: View, attempt: Attempt, ballot: Ballot) -> tuple[Step, ...]:
    journal, send = _say(view, Receipt(Kind.CONFIRMED, view.me, attempt.rid, attempt.k, attempt.digest))
    state = Old.RETIRING if v.holds(view) else None
    row = None if v.given_up(view) else (attempt.rid, Ledger.CONFIRMED)
    return journal, Database(old=state, ledger=row), send


def abort(view: View, attempt: Attempt, ballot: Ballot) -> tuple[Step, ...]:
    """The digest stays out: an abort may precede it, and is the same statement with and without."""
    journal, send = _say(view, Receipt(Kind.ABORTED, view.me, attempt.rid, attempt.k))
    return journal, Database(old=Old.RETIRING if v.holds(view) else None), send


def accept(view: View, attempt: Attempt, ballot: Ballot) -> tuple[Step, ...]:
    promised = max(ballot, view.acceptor.promised or ballot)
    confirmed = (r for r in view.receipts if r.kind == Kind.CONFIRMED and about(r, attempt))
    known = view.acceptor.certificate if ballot.rid not in view.facts.committed else tuple(sorted(confirmed))
    record = view.acceptor._replace(promised=promised, accepted=ballot, certificate=known)
    state = Old.SUPERSEDED if view.old_key else None
    return Journal(record), Database(old=state, ledger=(attempt.rid, Ledger.CONFIRMED) if view.old_key else None)


def erase(view: View, attempt: Attempt | None, ballot: Ballot | None) -> tuple[Step, ...]:
    before = (Database(old=Old.SUPERSEDED),) if view.old in (Old.ACTIVE, Old.RETIRING) else ()
    return *before, Erase(view.gid), Verify(view.gid), Database(old=Old.ERASED)


def attest(view: View, attempt: Attempt, ballot: Ballot) -> tuple[Step, ...]:
    return (Send(v.deletion(view, attempt, ballot)),)


def discard(view: View, attempt: Attempt, ballot: Ballot) -> tuple[Step, ...]:
    return Drop(attempt.rid), Database(new=(attempt.rid, New.DISCARDED))


def promise(view: View, ballot: Ballot) -> tuple[Step, ...]:
    receipt = Receipt(Kind.PROMISED, view.me, ballot.rid, ballot.k, None, Mode.CARRYING, view.acceptor.accepted)
    journal, send = _say(view, receipt, promised=ballot)
    return journal, send


def propose(view: View, attempt: Attempt, ballot: Ballot) -> tuple[Step, ...]:
    highest = v.highest(view)
    return promise(view, Ballot(max(highest, view.acceptor.promised or highest).k + 1, attempt.rid))


def answer(view: View, attempt: Attempt, ballot: Ballot) -> tuple[Step, ...]:
    return promise(view, ballot)


def give_up(view: View, attempt: Attempt | None, ballot: Ballot | None) -> tuple[Step, ...]:
    return Journal(view.acceptor._replace(deleted=True)), Database(old=Old.SUPERSEDED)


def adopt(view: View, attempt: Attempt | None, ballot: Ballot | None) -> tuple[Step, ...]:
    """Own receipts are believed over a journal that does not cover them."""
    found = v.uncovered(view)
    record = view.acceptor
    promised = [r.ballot for r in found if r.kind in (Kind.PROMISED, Kind.DELETED)]
    accepted = [r.ballot for r in found if r.kind == Kind.DELETED]
    said = record.said | {r for r in found if r.kind != Kind.DELETED}
    record = record._replace(
        promised=max([*promised, record.promised] if record.promised else promised, default=None),
        accepted=max([*accepted, record.accepted] if record.accepted else accepted, default=None),
        said=said,
        restored=True,
    )
    return (Journal(record),)


def reissue(view: View, attempt: Attempt | None, ballot: Ballot | None) -> tuple[Step, ...]:
    return tuple(Send(receipt) for receipt in sorted(v.owed(view), key=repr))


def _old(state: Old) -> Steps:
    return lambda view, attempt, ballot: (Database(old=state),)


def _new(state: New) -> Steps:
    return lambda view, attempt, ballot: (Database(new=(attempt.rid, state)),)


def book(view: View, attempt: Attempt, ballot: Ballot) -> tuple[Step, ...]:
    return (Database(ledger=(attempt.rid, v.ledger_due(view, attempt))),)


def announce(view: View, attempt: Attempt, ballot: Ballot) -> tuple[Step, ...]:
    return (Send(Receipt(Kind.COMPLETED, view.me, attempt.rid, attempt.k, attempt.digest)),)


TABLE: tuple[Transition, ...] = (
    # What the journal already decided comes first: a restored or interrupted party catches up before it does more.
    Transition("adopt", 8, "gid", g.adopt, adopt),
    Transition("reissue", 5, "gid", g.reissue, reissue),
    Transition("erase", 5, "gid", g.erase, erase),
    Transition("attest", 5, "ballot", g.attest, attest),
    Transition("retire", 1, "gid", g.retire, _old(Old.RETIRING)),
    Transition("resume", 4, "gid", g.resume, _old(Old.ACTIVE)),
    Transition("remake row", 2, "attempt", g.remake_row, _new(New.QUARANTINED)),
    Transition("drop row", 4, "attempt", g.drop_row, _new(New.DISCARDED)),
    # Protocol.
    Transition("deal", 1, "attempt", g.deal, deal),
    Transition("supersede", 7, "attempt", g.may_deal, deal, OrderKind.SUPERSEDE),
    Transition("store", 2, "attempt", g.store, store),
    Transition("fail", 2, "attempt", g.fail, fail),
    # Outcome: completion wins over an abort, and both over a vote.
    Transition("activate", 6, "attempt", g.activate, _new(New.ACTIVE)),
    Transition("announce", 6, "attempt", g.announce, announce),
    Transition("accept completed", 6, "ballot", g.accept_completed, accept),
    Transition("accept confirmed", 5, "ballot", g.accept_confirmed, accept),
    Transition("accept following", 5, "ballot", g.accept_following, accept),
    Transition("accept gone", 5, "ballot", g.accept_gone, accept),
    Transition("accept ordered", 5, "ballot", g.may_accept, accept, OrderKind.ERASE),
    Transition("park", 4, "attempt", g.park, _new(New.PARKED)),
    Transition("discard superseded", 4, "attempt", g.discard_superseded, discard),
    Transition("discard unanimous", 4, "attempt", g.discard_unanimous, discard),
    Transition("discard failed", 2, "attempt", g.discard_failed, discard),
    Transition("discard parked", 4, "attempt", g.discard_parked, discard, OrderKind.DROP),
    # Votes.
    Transition("confirm", 3, "attempt", g.confirm, confirm, OrderKind.CONFIRM),
    Transition("confirm gone", 3, "attempt", g.confirm_gone, confirm),
    Transition("abort", 3, "attempt", g.may_abort, abort, OrderKind.ABORT),
    Transition("abort failed", 3, "attempt", g.abort_failed, abort),
    Transition("abort late", 3, "attempt", g.abort_late, abort),
    # Carrying.
    Transition("answer", 7, "ballot", g.answer, answer),
    Transition("propose", 7, "attempt", g.propose, propose, OrderKind.CARRY),
    # The user's deletion, and the ledger.
    Transition("give up", 8, "gid", g.give_up, give_up, OrderKind.DELETE),
    Transition("book", 3, "attempt", g.book, book),
)


def _subjects(view: View) -> dict[str, list[tuple[Attempt | None, Ballot | None]]]:
    return {
        "gid": [(None, None)],
        "attempt": [(attempt, attempt.ballot) for attempt in view.attempts],
        "ballot": [(attempt, ballot) for attempt in view.attempts for ballot in v.ballots(view, attempt)],
    }


def enabled(view: View, table: tuple[Transition, ...] = TABLE) -> Iterator[Move]:
    """Every transition that may happen now, in the table's order; those that need an order only where it stands.

    Perform one, build a fresh View, ask again: the next may no longer be right.
    """
    subjects = _subjects(view)
    for transition in table:
        for attempt, ballot in subjects[transition.over]:
            rid = attempt.rid if attempt is not None else b""
            if transition.order is not None and not view.ordered(transition.order, rid):
                continue
            if transition.when(view, attempt, ballot):
                yield Move(transition, attempt, ballot, transition.steps(view, attempt, ballot))
