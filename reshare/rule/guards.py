"""When each transition may happen: pure functions of the View, an attempt and a ballot (docs/lifecycle.md, steps 1-8).

Whatever protects the key is read from the journal, the keystore and receipts; database states only say what is left to
do.
"""

from mpc.wire import MAX_K
from reshare.rule import view as v
from reshare.rule.types import Attempt, Ballot, Deadline, Kind, Ledger, New, Old, Run
from reshare.rule.view import View

_WAITING = frozenset({New.QUARANTINED, New.PARKED})


# Protocol and storing (steps 1 and 2)


def may_deal(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    """The share is here, nothing as high was promised, this `rid` got no vote, and no attempt is complete."""
    return (
        view.runs.get(attempt.rid) == Run.HELLO
        and view.me in attempt.old
        and v.holds(view)
        and v.nothing_higher(view, ballot)
        and view.acceptor.vote(attempt.rid) is None
        and not view.acceptor.has_said(Kind.PROMISED, attempt.rid)
        and not v.completed(view)
        and not v.on_hold(view)
    )


def deal(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    return may_deal(view, attempt, ballot) and not v.unfinished(view) - {attempt.rid}


def store(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    run = view.runs.get(attempt.rid)
    return (
        view.me in attempt.new
        and attempt.digest is not None
        and (run == Run.THROUGH or (attempt.rid in view.new_keys and run != Run.FAILED))
        and view.new.get(attempt.rid) != New.DISCARDED
        and not view.acceptor.has_said(Kind.STORED, attempt.rid)
        and not view.acceptor.has_said(Kind.FAILED, attempt.rid)
    )


def fail(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    return (
        view.me in attempt.new
        and view.runs.get(attempt.rid) == Run.FAILED
        and not view.acceptor.has_said(Kind.STORED, attempt.rid)
        and not view.acceptor.has_said(Kind.FAILED, attempt.rid)
    )


# Votes (step 3)


def may_vote(view: View, attempt: Attempt) -> bool:
    return view.me in attempt.old and view.acceptor.vote(attempt.rid) is None


def confirm(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    return (
        may_vote(view, attempt)
        and attempt.digest is not None
        and attempt.rid in view.facts.stored
        and v.nothing_higher(view, ballot)
    )


def confirm_gone(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    return confirm(view, attempt, ballot) and v.given_up(view) and not view.old_key and not v.on_hold(view)


def may_abort(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    accepted = view.acceptor.accepted
    return may_vote(view, attempt) and (accepted is None or accepted.rid != attempt.rid)


def abort_failed(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    failed = view.runs.get(attempt.rid) == Run.FAILED or attempt.rid in view.facts.failed
    return failed and may_abort(view, attempt, ballot) and not v.restored(view)


def abort_late(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    unstored = (Deadline.STORE_BY, attempt.rid) in view.overdue and attempt.rid not in view.facts.stored
    late = unstored or (Deadline.VOTE_BY, attempt.rid) in view.overdue
    return late and may_abort(view, attempt, ballot) and not v.restored(view)


# Accepting and erasing (step 5)


def may_accept(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    """After commit, never before; nothing higher promised, nothing as high accepted."""
    accepted = view.acceptor.accepted
    return (
        view.me in attempt.old
        and attempt.digest is not None
        and v.acceptable(view, ballot)
        and v.nothing_higher(view, ballot)
        and (accepted is None or accepted < ballot)
    )


def accept_confirmed(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    vote = view.acceptor.vote(attempt.rid)
    confirmed = vote is not None and vote.kind == Kind.CONFIRMED
    return confirmed and may_accept(view, attempt, ballot) and not v.on_hold(view)


def accept_following(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    return attempt.rid in view.facts.deleting and may_accept(view, attempt, ballot) and not v.on_hold(view)


def accept_gone(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    return v.given_up(view) and may_accept(view, attempt, ballot) and not v.on_hold(view)


def accept_completed(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    """A completion certificate binds whatever was promised: forward is always safe (step 6)."""
    return (
        view.me in attempt.old
        and attempt.digest is not None
        and ballot in view.facts.complete
        and (view.acceptor.accepted is None or view.acceptor.accepted < ballot)
        and not v.on_hold(view)
    )


def erase(view: View, attempt: Attempt | None, ballot: Ballot | None) -> bool:
    """Owed by the journal; an old share whose key is gone is erased too, not an error to repair."""
    if view.old is None or v.restored(view):
        return False
    due = v.given_up(view) or not view.old_key
    return due and (view.old_key or view.old != Old.ERASED)


def attest(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    return (
        view.acceptor.accepted == ballot
        and view.old == Old.ERASED
        and not view.old_key
        and not view.sessions
        and v.deletion(view, attempt, ballot) not in view.receipts
    )


# Outcome for the new share (steps 4 and 6)


def waiting(view: View, attempt: Attempt) -> bool:
    return view.new.get(attempt.rid) in _WAITING and attempt.rid in view.new_keys


def activate(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    return waiting(view, attempt) and attempt.rid in view.facts.completed and not v.on_hold(view)


def announce(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    said = any(r.kind == Kind.COMPLETED and r.party == view.me and r.rid == attempt.rid for r in view.receipts)
    return view.me in attempt.new and attempt.rid in view.facts.completed and not said


def park(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    return (
        view.new.get(attempt.rid) == New.QUARANTINED
        and attempt.rid in view.facts.aborted
        and attempt.rid not in view.facts.completed
    )


def discard_superseded(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    """Another attempt of this `gid` is complete."""
    complete = view.facts.completed
    return waiting(view, attempt) and bool(complete) and attempt.rid not in complete and not v.on_hold(view)


def discard_unanimous(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    """All n have aborted."""
    parked = waiting(view, attempt) and view.new.get(attempt.rid) == New.PARKED
    over = attempt.rid in view.facts.unanimous and attempt.rid not in view.facts.completed
    return parked and over and not v.on_hold(view)


def discard_parked(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    parked = waiting(view, attempt) and view.new.get(attempt.rid) == New.PARKED
    return parked and attempt.rid in view.facts.aborted and attempt.rid not in view.facts.completed


def discard_failed(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    """FAILED was said: whatever the run left here is of no use to anybody."""
    left = attempt.rid in view.new_keys or view.new.get(attempt.rid) not in (None, New.DISCARDED)
    return left and view.acceptor.has_said(Kind.FAILED, attempt.rid)


# Hung attempts (step 7)


def propose(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    """Carry: goes higher only on hearing of a higher promise than its own proposal."""
    record = view.acceptor
    standing = any(r.mode == "carrying" and r.ballot == record.promised and r.rid == attempt.rid for r in record.said)
    heard = record.promised is not None and v.highest(view) > record.promised
    return (
        view.me in attempt.old
        and (record.promised is None or record.promised.k < MAX_K)
        and v.committed(view, attempt.rid)
        and not v.completed(view)
        and not (standing and not heard)
    )


def answer(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    """Who knows a completion passes that certificate on instead, as all receipts are."""
    promised = view.acceptor.promised
    return (
        view.me in attempt.old
        and ballot in view.facts.proposed
        and v.committed(view, attempt.rid)
        and (promised is None or promised < ballot)
        and v.within_reach(view, ballot)
        and not v.completed(view)
        and not v.restored(view)
    )


# The old share while attempts are open, and what the database lags behind


def retire(view: View, attempt: Attempt | None, ballot: Ballot | None) -> bool:
    return view.old == Old.ACTIVE and v.holds(view) and bool(v.unfinished(view) or v.completed(view))


def resume(view: View, attempt: Attempt | None, ballot: Ballot | None) -> bool:
    """Every attempt known is aborted."""
    return view.old == Old.RETIRING and v.holds(view) and not v.unfinished(view) and not v.completed(view)


def give_up(view: View, attempt: Attempt | None, ballot: Ballot | None) -> bool:
    """Its user deletes the share: only while active, with no attempt open."""
    return view.old == Old.ACTIVE and v.holds(view) and not v.unfinished(view) and not v.completed(view)


def book(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    row = view.ledger.get(attempt.rid)
    if view.me not in attempt.old or row == Ledger.ERASED:
        return False
    return row != v.ledger_due(view, attempt)


def remake_row(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    """A stored share in the keystore without its row: the database was restored."""
    stored = view.acceptor.has_said(Kind.STORED, attempt.rid) and attempt.rid in view.new_keys
    return stored and view.new.get(attempt.rid) in (None, New.CREATED)


def drop_row(view: View, attempt: Attempt, ballot: Ballot) -> bool:
    """A row whose key is gone: it was discarded, and the database restored."""
    return view.new.get(attempt.rid) in (*_WAITING, New.ACTIVE) and attempt.rid not in view.new_keys


def reissue(view: View, attempt: Attempt | None, ballot: Ballot | None) -> bool:
    return bool(v.owed(view))


def adopt(view: View, attempt: Attempt | None, ballot: Ballot | None) -> bool:
    return bool(v.uncovered(view))
