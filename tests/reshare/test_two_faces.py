"""Two faces (lifecycle.md, step 8): what contradicts itself is named, kept and handed on; nothing is destroyed by
itself until an operator agrees, and a restored keystore stops signing until then."""

from typing import Any

import pytest

from audit.models import Event
from keys import receipts
from keys.actions import require
from keys.models import KeyShare, Receipt
from keys.shares import share_key_exists
from reshare import acceptor, decisions
from reshare.models import SharingOrder
from reshare.outcome import RESTORED
from reshare.receiving import bundle_of, receive
from reshare.rule.types import Acceptor
from tests.life import Vertex
from tests.reshare.attempts import OLD, Attempt, check_invariants, old_quorum, old_share, old_states, public, signed
from vertex.errors import ApiError


@pytest.fixture(autouse=True)
def key(vertex: Vertex) -> None:
    old_quorum()


def lie(attempt: Attempt, who: str, kind: str, **changed: Any) -> bytes:
    """A receipt that its party signed and its journal knows nothing of."""
    encoded = signed(attempt, who, kind, **changed)
    receive(rid=attempt.rid, bundle=receipts.Bundle([encoded], None), actor="admin")
    return encoded


def agree(attempt: Attempt, name: str) -> bool:
    return decisions.decide(name="agree", row_id=attempt.row(name).id, actor="admin", reason="seen")


def test_a_liar_is_named_and_nothing_dies_until_an_operator_agrees() -> None:
    attempt = Attempt().stored()
    both = [lie(attempt, "c", "CONFIRMED"), lie(attempt, "c", "ABORTED", digest=b"")]
    attempt.confirm("ab")
    for _ in range(3):
        attempt.advance("ab")
    assert old_states() == ["retiring"] * 3, "committed, but nobody accepts"
    assert attempt.row("a").alarms == ["two_faces"]
    [[named, *kinds]] = attempt.row("a").conflicts
    assert (named, sorted(kinds)) == (decisions.two_faced(attempt.row("b"))[0], ["ABORTED", "CONFIRMED"])
    event = Event.objects.filter(action="receipts.conflict").latest("seq")
    [[proved, *proof]] = event.data["conflicts"]
    assert proved == named
    assert sorted(each[0] for each in proof) == ["ABORTED", "CONFIRMED"]
    assert set(both) <= set(bundle_of(attempt.rid).receipts), "the evidence is handed on"

    assert agree(attempt, "a")
    attempt.advance("a")
    assert old_states()[0] == "erased"
    attempt.advance("b")
    assert old_states() == ["erased", "retiring", "retiring"], "each vertex asks its own operator"
    assert agree(attempt, "b")
    for _ in range(2):
        attempt.advance("ab")
    assert attempt.row("a").state == "complete"
    assert [attempt.new_state(name) for name in "ab"] == ["active"] * 2


def test_an_agreement_covers_whom_it_named() -> None:
    attempt = Attempt().stored()
    for digest in (attempt.result("a").digest, bytes(32)):
        lie(attempt, "c", "CONFIRMED", digest=digest)
    attempt.advance("a")
    assert agree(attempt, "a")
    for digest in (attempt.result("a").digest, bytes(32)):
        lie(attempt, "b", "CONFIRMED", digest=digest)
    attempt.confirm("a")
    for _ in range(2):
        attempt.advance("a")
    assert old_states()[0] == "retiring", "another party has two faces: the operator is asked again"
    assert agree(attempt, "a")
    attempt.advance("a")
    assert old_states()[0] == "erased"


def test_forget_and_forgive_a_deletion_below_a_promise_is_a_second_face() -> None:
    """A malicious party deals in the second attempt, then says it had deleted for the first."""
    first = Attempt("abd").stored()
    for name in "abc":
        decisions.decide(name="supersede", row_id=first.row(name).id, actor="admin", reason="")
    second = Attempt("abd", number=1)
    second.begin()
    second.advance()
    lie(first, "c", "DELETED")
    for _ in range(2):
        first.advance("ab")
    assert {row.conflicts[0][0] for row in (first.row("a"), second.row("a"))} == set(
        decisions.two_faced(first.row("a"))
    )
    second.through()
    second.advance()
    second.confirm("ab")
    second.advance("ab")
    assert [second.new_state(name) for name in "ab"] == ["quarantined"] * 2
    assert all(share_key_exists(old_share(name)) for name in OLD)
    check_invariants(first, second)


def restored_keystore(attempt: Attempt, name: str) -> None:
    """Today's receipts, yesterday's journal."""
    gid = attempt.hello.gid
    known = acceptor.read(public(name), gid)
    acceptor.replace(public(name), gid, expected=known, record=Acceptor())


def refused(share: KeyShare) -> str | None:
    try:
        require(share, "sign")
    except ApiError as error:
        return error.err_type
    return None


def test_a_restored_keystore_adopts_stops_signing_and_asks() -> None:
    attempt = Attempt().stored()
    attempt.confirm("a")
    attempt.advance("a")
    restored_keystore(attempt, "a")
    attempt.advance("a")
    record = acceptor.read(public("a"), attempt.hello.gid)
    assert record.restored
    assert record.promised == attempt.look("a").view.attempts[0].ballot
    assert {receipt.kind for receipt in record.said} == {"PROMISED", "STORED", "CONFIRMED"}
    assert (old_share("a").suspended, refused(old_share("a"))) == (RESTORED, "reshare_conflict")
    assert attempt.row("a").alarms == ["restored"]
    attempt.confirm("b")
    for _ in range(2):
        attempt.advance("ab")
    assert old_states()[:2] == ["retiring", "erased"], "it erases nothing either"

    assert agree(attempt, "a")
    attempt.advance("a")
    assert old_states()[0] == "erased"
    attempt.settle()
    assert [attempt.new_state(name) for name in "abc"] == ["active"] * 3
    assert not KeyShare.objects.exclude(suspended="").exists()
    lifted = Event.objects.filter(action="share.suspension_lifted").values_list("subject", flat=True)
    assert str(attempt.row("a").new_share_id) in lifted


def test_restored_twice_asked_twice() -> None:
    attempt = Attempt().stored()
    for _ in range(2):
        restored_keystore(attempt, "a")
        attempt.advance("a")
        assert refused(old_share("a")) == "reshare_conflict"
        assert agree(attempt, "a")
        attempt.advance("a")
        assert refused(old_share("a")) is None
    assert SharingOrder.objects.count() == 1


def test_a_share_suspended_for_another_reason_stays_so() -> None:
    attempt = Attempt().stored()
    KeyShare.objects.filter(id=old_share("a").id).update(suspended="something else")
    restored_keystore(attempt, "a")
    attempt.advance("a")
    agree(attempt, "a")
    attempt.advance("a")
    assert old_share("a").suspended == "something else"


def test_without_its_receipts_nobody_is_restored() -> None:
    attempt = Attempt().stored()
    Receipt.objects.filter(party=public("a")).delete()
    attempt.advance("a")
    assert not acceptor.read(public("a"), attempt.hello.gid).restored
