"""The executor: the good way and the others, and a process that dies between any two steps."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from audit.models import Deletion, Event
from keys import receipts
from keys.keystore import keystore
from keys.models import KeyShare, ProtocolSession, Receipt
from keys.shares import share_key_exists
from reshare import acceptor, exclusive
from reshare.exclusive import exclusively
from reshare.executor import ErasureFailed, Performance, advance
from reshare.models import Reshare
from reshare.rule.types import Acceptor
from tests.life import Killed, Vertex, at_once
from tests.reshare.attempts import OLD, Attempt, check_invariants, old_quorum, old_share, old_states, public

STEPS = ("_journal", "_database", "_seal", "_prove", "_erase", "_verify", "_drop", "_send")
GOOD = {"PROMISED", "STORED", "CONFIRMED", "DELETED", "COMPLETED"}


@pytest.fixture(autouse=True)
def key(vertex: Vertex) -> None:
    old_quorum()


def test_the_good_way() -> None:
    attempt = Attempt("abd").stored()
    assert [attempt.new_state(name) for name in "abd"] == ["quarantined"] * 3
    assert old_states() == ["retiring"] * 3
    attempt.confirm("a")
    attempt.settle()
    assert old_states() == ["retiring"] * 3, "one confirmation of two erases nothing"
    attempt.confirm("b")
    attempt.settle()
    assert old_states() == ["erased"] * 3, "the third erases when it sees that others have"
    assert [attempt.new_state(name) for name in "abd"] == ["active"] * 3
    assert [set(attempt.said(name)) for name in "ab"] == [GOOD, GOOD]
    assert attempt.said("c") == ["PROMISED", "DELETED", "CONFIRMED"], "whose share is gone confirms by itself"
    assert attempt.said("d") == ["STORED", "COMPLETED"]
    assert {str(row.state) for row in Reshare.objects.all()} == {"clean"}
    assert set(Deletion.objects.values_list("own", "state")) == {(True, "erased")}
    check_invariants(attempt)


def test_nothing_of_an_erased_share_is_left() -> None:
    attempt = Attempt("abd").stored()
    share = old_share("a")
    refs = {share.data_key, *share.pairs.values_list("data_key", flat=True)}
    assert len(refs) == 3
    attempt.confirm("ab")
    attempt.settle()
    share.refresh_from_db()
    assert (share.sealed_share, share.data_key) == (None, None)
    assert not any(share.pairs.values_list("sealed", flat=True))
    assert not refs & set(keystore().keys.list())
    assert share.erasure == dict.fromkeys(
        ("keys_destroyed", "ciphertext_does_not_open", "journal_copy_gone", "no_session_key_left"), True
    )
    [deleted] = [r for _, r in receipts.held(attempt.rid) if r.kind == "DELETED" and r.party == public("a")]
    assert deleted.body["checks"] == share.erasure
    assert deleted.k == attempt.hello.k
    assert deleted.digest == attempt.result("a").digest


def test_abort_parks_and_a_unanimous_one_discards() -> None:
    attempt = Attempt().stored()
    attempt.abort("ab")
    attempt.settle()
    assert old_states() == ["active"] * 3
    assert [attempt.new_state(name) for name in "abc"] == ["parked"] * 3
    Reshare.objects.update(began_at=timezone.now() - timedelta(days=8))
    attempt.settle()
    assert attempt.said("c")[-1] == "ABORTED", "by itself, when its time to vote is over"
    assert [attempt.new_state(name) for name in "abc"] == ["discarded"] * 3
    assert all(share_key_exists(old_share(name)) for name in OLD)
    check_invariants(attempt)


@pytest.mark.parametrize("jump", [timedelta(days=30), timedelta(days=-30)])
def test_a_worker_whose_clock_has_jumped_casts_no_vote(jump: timedelta, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = timezone.now() + jump
    monkeypatch.setattr(timezone, "now", lambda: elsewhere)
    attempt = Attempt().stored()
    attempt.settle()
    assert [attempt.said(name) for name in "abc"] == [["PROMISED", "STORED"]] * 3
    assert {str(row.state) for row in Reshare.objects.all()} == {"voting"}
    assert not any(Reshare.objects.values_list("alarms", flat=True))


def test_a_rejected_party_erases_when_the_others_commit() -> None:
    attempt = Attempt().stored()
    attempt.abort("c")
    attempt.settle()
    assert attempt.said("c") == ["PROMISED", "STORED", "ABORTED"]
    attempt.confirm("ab")
    attempt.settle()
    assert old_states() == ["erased"] * 3
    assert attempt.new_state("c") == "active"
    assert Deletion.objects.get(party=public("c")).state == "erased"


def test_confirm_after_abort_is_an_order_to_erase_and_no_second_vote() -> None:
    attempt = Attempt().stored()
    attempt.abort("c")
    attempt.settle()
    attempt.confirm("c")
    assert set(attempt.row("c").orders) == {"abort", "erase"}
    attempt.settle()
    assert old_states() == ["retiring"] * 3, "not committed"
    attempt.confirm("a")
    attempt.settle()
    assert old_states() == ["retiring"] * 3, "an order to erase is no vote"
    assert "CONFIRMED" not in attempt.said("c")


def test_a_reject_whose_vote_comes_after_the_commit_still_erases() -> None:
    attempt = Attempt().stored()
    attempt.abort("c")
    attempt.confirm("ab")
    for name in "ab":
        attempt.advance(name)
    assert old_states()[2] == "retiring"
    attempt.settle()
    assert old_states() == ["erased"] * 3
    check_invariants(attempt)


def test_the_deletion_is_not_attested_while_a_session_could_still_be_opened() -> None:
    attempt = Attempt().stored()
    share = old_share("a")
    session = ProtocolSession.objects.create(
        kind="reshare", share=share, relay="", room="", deadline=share.created_at, data_key=keystore().keys.make()
    )
    attempt.confirm("ab")
    attempt.settle()
    assert old_states()[0] == "erased"
    assert "DELETED" not in attempt.said("a")
    assert [attempt.new_state(name) for name in "abc"] == ["active"] * 3, "b and c are enough"
    keystore().keys.destroy(str(session.data_key))
    session.delete()
    attempt.settle()
    assert attempt.said("a").count("DELETED") == 1


def test_a_share_whose_keys_do_not_vanish_is_not_attested(monkeypatch: pytest.MonkeyPatch) -> None:
    attempt = Attempt().stored()
    attempt.confirm("ab")
    with monkeypatch.context() as patch:
        patch.setattr(keystore().keys, "destroy", lambda ref: None)
        with pytest.raises(ErasureFailed, match="keys_destroyed"):
            attempt.settle()
    assert "DELETED" not in attempt.said("a")
    assert "erased" not in old_states()
    attempt.settle()
    assert old_states() == ["erased"] * 3


def test_erasing_may_be_due_before_all_stored_are_here() -> None:
    """Receipts come in any order: the commit and a deletion without the STORED that preceded them."""
    attempt = Attempt().stored()
    attempt.confirm("ab")
    attempt.advance("ab")
    attempt.advance("ab")
    Receipt.objects.filter(kind="STORED").exclude(party=public("c")).delete()
    Deletion.objects.filter(party=public("c")).update(ready_at=None)
    attempt.advance("c")
    assert old_states()[2] == "erased"
    assert "DELETED" in attempt.said("c")


class _Kills:
    """Dies once after each distinct step of one sort."""

    def __init__(self, name: str) -> None:
        self._original: Callable[[Performance, Any], None] = getattr(Performance, name)
        self.seen = set[Any]()

    def __call__(self, performance: Performance, step: Any) -> None:
        place = performance._seen.view.me, performance._move.transition.name, performance._move.steps.index(step)
        first = place not in self.seen
        self.seen.add(place)
        self._original(performance, step)
        if first:
            raise Killed


@pytest.mark.parametrize("step", [step for step in STEPS if step != "_drop"])
def test_a_process_that_dies_at_any_step_changes_no_outcome(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    kills = _Kills(step)
    monkeypatch.setattr(Performance, step, lambda performance, each: kills(performance, each))
    attempt = Attempt("abd")

    def settle() -> None:
        quiet = 0
        while quiet < 3:
            deaths = 0
            for name in attempt.everybody:
                try:
                    attempt.advance(name)
                except Killed:
                    deaths += 1
                check_invariants(attempt)
            quiet = 0 if deaths else quiet + 1

    attempt.begin()
    settle()
    attempt.through()
    settle()
    attempt.confirm("ab")
    settle()
    assert len(kills.seen) >= 2
    assert old_states() == ["erased"] * 3
    assert [attempt.new_state(name) for name in "abd"] == ["active"] * 3
    assert [sorted(attempt.said(name)) for name in "ab"] == [sorted(GOOD)] * 2, "each once"
    assert {str(row.state) for row in Reshare.objects.all()} == {"clean"}


@pytest.mark.parametrize("step", ["_journal", "_database", "_drop", "_send"])
def test_a_process_that_dies_while_it_aborts_changes_no_outcome(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    attempt = Attempt("abd").stored()
    kills = _Kills(step)
    monkeypatch.setattr(Performance, step, lambda performance, each: kills(performance, each))
    attempt.abort("abc")
    for _ in range(12):
        for name in attempt.everybody:
            try:
                attempt.advance(name)
            except Killed:
                check_invariants(attempt)
    assert kills.seen
    assert old_states() == ["active"] * 3
    assert [attempt.new_state(name) for name in "abd"] == ["discarded"] * 3
    assert all(share_key_exists(old_share(name)) for name in OLD)


def test_what_was_sealed_for_a_share_whose_row_was_never_made_goes_with_the_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The process dies between seal and database, and hears of a failure before it takes the store up again."""
    attempt = Attempt("abd")
    attempt.begin()
    attempt.advance()
    attempt.through()
    kills = _Kills("_seal")
    monkeypatch.setattr(Performance, "_seal", lambda performance, each: kills(performance, each))
    for name in "ad":
        with pytest.raises(Killed):
            attempt.advance(name)
    records = keystore().journal.list("share/")
    keys = set(keystore().keys.list())
    Reshare.objects.filter(identity__public__in=[public("a"), public("d")]).update(run="failed")
    for name in "ad":
        advance(public(name), attempt.hello.gid)
        assert "FAILED" in attempt.said(name)
    assert len(records) - len(keystore().journal.list("share/")) == 2
    assert len(keys) - len(set(keystore().keys.list())) == 2 * (1 + len("abd") - 1), "each share's, and its pairs'"
    assert all(share_key_exists(old_share(name)) for name in OLD)


def test_of_a_step_that_is_not_done_there_is_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    attempt = Attempt()
    attempt.begin()
    monkeypatch.setattr("reshare.executor.audit.record", lambda **_: (_ for _ in ()).throw(RuntimeError("full")))
    with pytest.raises(RuntimeError, match="full"):
        attempt.advance("a")
    assert old_states() == ["active"] * 3
    assert attempt.said("a") == []
    monkeypatch.undo()


def test_a_restored_database_speaks_again_from_the_journal() -> None:
    attempt = Attempt().stored()
    Reshare.objects.all().delete()
    Receipt.objects.all().delete()
    KeyShare.objects.filter(identity__public=public("a"), gid=attempt.hello.gid).update(state="active")
    advance(public("a"), attempt.hello.gid)
    assert old_states()[0] == "retiring", "what the journal promised has no known end"
    assert "PROMISED" in attempt.said("a")
    assert not Event.objects.filter(action="reshare.give_up").exists()


def test_a_record_that_changed_meanwhile_is_stale() -> None:
    gid, record = bytes(32), Acceptor(deleted=True)
    acceptor.replace(public("a"), gid, expected=acceptor.EMPTY, record=record)
    with pytest.raises(acceptor.Stale):
        acceptor.replace(public("a"), gid, expected=acceptor.EMPTY, record=acceptor.EMPTY)
    assert acceptor.read(public("a"), gid) == record
    assert list(acceptor.all_records()) == [(public("a"), gid)]


class _NoLock:
    """Threads of two processes share no lock but the database's."""

    def acquire(self, blocking: bool = True) -> bool:
        return True

    def release(self) -> None:
        return None


@pytest.mark.parametrize("processes", ["one", "two"])
def test_one_at_a_time_for_a_party_and_sharing(monkeypatch: pytest.MonkeyPatch, processes: str) -> None:
    if processes == "two":
        monkeypatch.setattr(exclusive, "_WAITING", (_NoLock(),))
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        with exclusively(public("a"), bytes(32)):
            inside.append(1)
            old_states()
            most.append(len(inside))
            inside.pop()

    at_once([work] * 6)
    assert most == [1] * 6
