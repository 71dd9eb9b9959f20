"""What one party of the old quorum can sign to stop the others: it is named or ignored, and they go on."""

from typing import Any

import pytest

from keys import receipts
from mpc.wire import MAX_K
from reshare import acceptor, certificates, decisions
from reshare.hellos import highest_k
from reshare.receiving import bundle_of, receive
from reshare.rule.types import Ballot
from tests.life import Vertex
from tests.mpc.simulator import key
from tests.reshare.attempts import OLD, Attempt, check_invariants, old_quorum, old_states, public, signed

LIAR = "c"
CARRYING: dict[str, Any] = {"digest": b"", "body": {"mode": "carrying", "accepted": None}}


@pytest.fixture(autouse=True)
def quorum(vertex: Vertex) -> None:
    old_quorum()


def lie(attempt: Attempt, kind: str, **changed: Any) -> None:
    bundle = receipts.Bundle([signed(attempt, LIAR, kind, **changed)], None)
    receive(rid=attempt.rid, bundle=bundle, actor="admin")


def finish(attempt: Attempt) -> None:
    """The two honest ones confirm, and so it ends."""
    attempt.confirm("ab")
    for _ in range(4):
        attempt.advance("ab")
    assert old_states()[:2] == ["erased"] * 2
    assert [attempt.new_state(name) for name in "ab"] == ["active"] * 2
    assert attempt.row("a").state == "complete"
    check_invariants(attempt)


def test_a_promise_to_a_key_generation_hinders_nobody() -> None:
    """Its subject is one of which a statement is kept, and no attempt."""
    attempt = Attempt().stored()
    made = key(OLD, 2)[public("a")]
    receipts.keep_statement(subject=made.sid, digest=made.digest, preimage=made.preimage)
    lie(attempt, "PROMISED", subject=made.sid, **CARRYING)
    finish(attempt)


def test_a_confirmation_without_a_digest_beside_one_with_it_is_no_part_of_the_certificate() -> None:
    attempt = Attempt().stored()
    lie(attempt, "CONFIRMED")
    lie(attempt, "CONFIRMED", digest=b"")
    attempt.confirm("ab")
    attempt.advance("a")
    certificate = acceptor.read(public("a"), attempt.hello.gid).certificate
    assert {receipt.digest for receipt in certificate} == {attempt.result("a").digest}
    for _ in range(3):
        attempt.advance("ab")
    assert attempt.row("a").state == "complete"


def test_however_many_faces_are_named_once_for_each_two_kinds() -> None:
    attempt = Attempt().stored()
    for number in range(receipts.MAX_PER_SIGNER):
        lie(attempt, "CONFIRMED", digest=bytes([number]) * 32)
    lie(attempt, "ABORTED", digest=b"")
    attempt.advance("ab")
    row = attempt.row("a")
    assert sorted(kinds for _, *kinds in row.conflicts) == [["ABORTED", "CONFIRMED"], ["CONFIRMED", "CONFIRMED"]]
    assert row.alarms == ["two_faces"]
    for name in "ab":
        assert decisions.decide(name="agree", row_id=attempt.row(name).id, actor="admin", reason="seen")
    finish(attempt)


def test_a_proposal_that_nobody_can_have_come_to_is_not_answered() -> None:
    attempt = Attempt().stored()
    attempt.confirm("ab")
    attempt.advance("b")
    attempt.advance("a")
    lie(attempt, "PROMISED", k=MAX_K, **CARRYING)
    attempt.advance("a")
    record = acceptor.read(public("a"), attempt.hello.gid)
    assert record.promised == Ballot(attempt.hello.k, attempt.rid)
    assert decisions.decide(name="carry", row_id=attempt.row("a").id, actor="admin", reason="b hangs")
    for _ in range(3):
        attempt.advance("ab")
    record = acceptor.read(public("a"), attempt.hello.gid)
    assert record.promised == Ballot(attempt.hello.k + 1, attempt.rid), "its own proposal is the next one"
    assert attempt.row("a").state == "complete"
    check_invariants(attempt)


@pytest.mark.parametrize(("heard", "says"), [(7, 7), (2**16 + 1, 2**16 + 1), (2**16 + 2, 1), (MAX_K, 1)])
def test_a_hello_says_no_number_that_only_a_liar_has_seen(heard: int, says: int) -> None:
    """The attempt heard of has number 1."""
    attempt = Attempt().stored()
    lie(attempt, "PROMISED", k=heard, **CARRYING)
    assert highest_k(attempt.row("a")) == says


def test_of_two_preimages_of_an_attempt_the_one_counts_that_was_made_here() -> None:
    """Another was kept first; a certificate or a bundle with it would show nothing."""
    attempt = Attempt()
    receipts.keep_statement(subject=attempt.rid, digest=bytes(32), preimage=b"another, that verifies as well")
    attempt.stored()
    assert bundle_of(attempt.rid).preimage == attempt.result("a").preimage
    attempt.confirm("ab")
    for _ in range(2):
        attempt.advance("ab")
    certificate = certificates.read(certificates.Of.COMMIT, public("a"), attempt.hello.gid)
    assert certificate is not None
    assert certificate.preimage == attempt.result("a").preimage
