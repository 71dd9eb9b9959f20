"""Receipts carried by hand: verified, of this attempt's parties only, and never a way to invent an attempt."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from audit.models import Event
from keys import receipts
from keys.models import KeyShare, Receipt, Statement
from keys.receipts import Bundle
from mpc.statements import ReshareRecord
from mpc.wire import decode, encode
from reshare import decisions, receiving, statements
from reshare.executor import advance
from reshare.models import Reshare
from reshare.receiving import bundle_of, receive
from tests.life import Vertex
from tests.mpc.simulator import flipped
from tests.reshare.attempts import Attempt, check_invariants, old_quorum, old_share, old_states, public, signed
from vertex.errors import ApiError


@pytest.fixture(autouse=True)
def key(vertex: Vertex) -> None:
    old_quorum()


def said(attempt: Attempt, who: str = "a", kind: str = "CONFIRMED", **changed: Any) -> bytes:
    return signed(attempt, who, kind, **changed)


def refused(attempt: Attempt, bundle: Bundle, rid: bytes | None = None) -> str:
    before = Receipt.objects.count(), Reshare.objects.count(), Statement.objects.count()
    with pytest.raises(ApiError) as error:
        receive(rid=rid or attempt.rid, bundle=bundle, actor="admin")
    event = Event.objects.latest("seq")
    assert (event.action, event.actor) == ("receipts.refused", "admin")
    assert (Receipt.objects.count(), Reshare.objects.count(), Statement.objects.count()) == before
    return error.value.err_type


def preimage(attempt: Attempt) -> bytes:
    return attempt.result("a").preimage


def promise(attempt: Attempt, who: str, subject: bytes, k: int, **changed: Any) -> bytes:
    body = {"mode": "dealing", "accepted": None}
    return said(attempt, who, "PROMISED", subject=subject, k=k, digest=b"", body=body, **changed)


def test_promises_to_unknown_attempts_tell_how_high_to_go() -> None:
    """Of old parties and this sharing alone, and of one party no more than an honest one signs."""
    attempt = Attempt("abd").stored()
    other = [promise(attempt, "b", bytes([number]) * 32, 7) for number in range(receipts.MAX_PER_SIGNER + 1)]
    before = attempt.look("a").view.facts
    assert before.highest == (attempt.hello.k, attempt.rid)
    assert receive(rid=attempt.rid, bundle=Bundle(other, None), actor="admin") == receipts.MAX_PER_SIGNER - 1
    after = attempt.look("a").view.facts
    assert after.highest == (7, bytes([receipts.MAX_PER_SIGNER - 2]) * 32)
    assert after == before._replace(highest=after.highest)
    assert set(other[:5]) < set(bundle_of(attempt.rid).receipts), "handed on"
    for wrong in (promise(attempt, "d", bytes(32), 9), promise(attempt, "b", bytes(32), 9, gid=bytes(32))):
        assert refused(attempt, Bundle([wrong], None)) == "bad_receipt"


def test_a_bundle_told_again_is_not_new(vertex: Vertex) -> None:
    attempt = Attempt("abd").stored()
    bundle = bundle_of(attempt.rid)
    assert bundle.preimage == preimage(attempt)
    assert receive(rid=attempt.rid, bundle=bundle, actor="admin") == 0
    assert receive(rid=attempt.rid, bundle=Bundle([said(attempt)], None), actor="admin") == 1
    assert [task[0] for task in vertex.tasks[-4:]] == ["reshare.advance"] * 4


@pytest.mark.parametrize(
    "bad",
    [
        lambda attempt: b"garbage",
        lambda attempt: flipped(said(attempt)),
        lambda attempt: said(attempt, "x"),
        lambda attempt: said(attempt, gid=bytes(32)),
        lambda attempt: said(attempt, subject=bytes(32)),
    ],
    ids=["garbage", "signature", "stranger", "another sharing", "another attempt"],
)
def test_one_bad_receipt_refuses_all(bad: Any) -> None:
    attempt = Attempt().stored()
    assert refused(attempt, Bundle([said(attempt), bad(attempt)], None)) == "bad_receipt"


@pytest.mark.parametrize(
    "changed",
    [{"digest": bytes(32)}, {"digest": b""}, {"k": 7}],
    ids=["another digest", "no digest", "another ballot"],
)
def test_words_about_something_else_do_not_count(changed: dict[str, Any]) -> None:
    attempt = Attempt().stored()
    receive(rid=attempt.rid, bundle=Bundle([said(attempt, who, **changed) for who in "abc"], None), actor="admin")
    attempt.settle()
    assert old_states() == ["retiring"] * 3
    assert attempt.look("a").view.facts.committed == frozenset()


def test_a_flood_of_receipts_of_one_party_is_bounded() -> None:
    attempt = Attempt().stored()
    flood = [said(attempt, "b", "DELETED", k=100 + number) for number in range(200)]
    receive(rid=attempt.rid, bundle=Bundle(flood, None), actor="admin")
    assert Receipt.objects.filter(kind="DELETED").count() == receipts.MAX_PER_SIGNER


def test_a_leaver_outside_the_room_is_told_and_follows() -> None:
    attempt = Attempt("abd").stored()
    attempt.row("c").delete()
    KeyShare.objects.filter(id=old_share("c").id).update(state="active")
    attempt.confirm("ab")
    for _ in range(3):
        attempt.advance("abd")
    assert old_states() == ["erased", "erased", "active"]
    receive(rid=attempt.rid, bundle=bundle_of(attempt.rid), actor="admin")
    assert attempt.row("c").role == "departing"
    assert attempt.row("c").old_share == old_share("c")
    advance(public("c"), attempt.hello.gid)
    assert old_states() == ["erased"] * 3


def test_an_attempt_that_only_the_journal_remembers_is_told_by_the_hellos_in_an_abort() -> None:
    """b promised, and its database was restored to before; a and c have failed meanwhile, so that there is no preimage.
    Without its description b's share would be retiring for ever."""
    attempt = Attempt("abd")
    attempt.begin()
    attempt.advance()
    attempt.row("b").delete()
    attempt.settle()
    Reshare.objects.update(run="failed")
    attempt.advance("ac")
    bundle = bundle_of(attempt.rid)
    assert bundle.preimage is None
    Receipt.objects.all().delete()
    assert advance(public("b"), attempt.hello.gid).view.acceptor.promised is not None
    assert attempt.said("b") == ["PROMISED"], "issued again, once"
    receive(rid=attempt.rid, bundle=bundle, actor="admin")
    assert (attempt.row("b").role, attempt.row("b").run) == ("existing", "failed")
    attempt.settle()
    assert set(attempt.said("b")) == {"PROMISED", "FAILED", "ABORTED"}
    assert old_states() == ["active"] * 3
    check_invariants(attempt)


def test_who_was_to_join_by_another_attempt_is_told_that_this_one_is_complete() -> None:
    """d was to join by the first; the second, of which d is no part, superseded it."""
    first = Attempt("abd").stored()
    for name in "abc":
        decisions.decide(name="supersede", row_id=first.row(name).id, actor="admin", reason="test")
    second = Attempt("abc", number=1).stored()
    second.confirm("ab")
    for _ in range(3):
        second.advance("abc")
    bundle = bundle_of(second.rid)
    told = [Statement.objects.filter(subject=second.rid), Receipt.objects.filter(subject=second.rid)]
    for each in told:
        each.delete()
    first.advance("d")
    assert (first.new_state("d"), first.row("d").state) == ("quarantined", "voting")
    Reshare.objects.filter(rid=second.rid).delete()  # d's vertex knows no row of the second
    stranger = said(second, "d", "DELETED")
    assert refused(second, Bundle([stranger], bundle.preimage)) == "bad_receipt"
    receive(rid=second.rid, bundle=bundle, actor="admin")
    first.advance("d")
    assert (first.new_state("d"), first.row("d").state) == ("discarded", "superseded")
    assert first.row("d").ended_at is not None


def test_what_the_journal_says_of_a_lost_attempt_is_issued_again_once() -> None:
    attempt = Attempt("abd")
    attempt.begin()
    attempt.advance()
    Reshare.objects.update(run="failed")
    attempt.advance("b")
    attempt.row("b").delete()
    Receipt.objects.all().delete()
    for _ in range(3):
        advance(public("b"), attempt.hello.gid)
    assert sorted(attempt.said("b")) == ["ABORTED", "FAILED", "PROMISED"]


@pytest.mark.parametrize("kind", ["CONFIRMED", "ABORTED"])
def test_hellos_of_another_attempt_or_in_another_receipt_tell_nothing(kind: str) -> None:
    attempt, other = Attempt("abd"), Attempt()
    hellos = (other if kind == "ABORTED" else attempt).hello.hellos
    forged = said(attempt, "a", kind, digest=b"", body={"hellos": hellos})
    assert refused(attempt, Bundle([forged], None)) == "not_found"
    stranger = said(attempt, "d", "ABORTED", digest=b"", body={"hellos": attempt.hello.hellos})
    assert refused(attempt, Bundle([stranger], None)) == "not_found"


def test_hellos_hold_nobody_who_did_not_sign_one_to_their_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others could make up attempts without end, and each would keep the share from being dealt."""
    attempt = Attempt("abd")
    told = said(attempt, "a", "ABORTED", digest=b"", body={"hellos": attempt.hello.hellos})
    without_c = replace(attempt.hello, participants=tuple({*attempt.hello.participants} - {public("c")}))
    monkeypatch.setattr(receiving, "rid_of", lambda hellos: without_c)
    receive(rid=attempt.rid, bundle=Bundle([told], None), actor="admin")
    assert {row.identity.public for row in Reshare.objects.all()} == {public("a"), public("b")}


def test_a_refused_bundle_leaves_no_row() -> None:
    attempt = Attempt()
    assert refused(attempt, Bundle([said(attempt, gid=bytes(32))], preimage(attempt))) == "bad_receipt"


def test_an_unknown_attempt_without_its_preimage_is_not_found() -> None:
    attempt = Attempt()
    assert refused(attempt, Bundle([said(attempt)], None)) == "not_found"


def test_an_attempt_at_a_sharing_that_is_not_here_is_not_found() -> None:
    attempt = Attempt()
    KeyShare.objects.update(gid=None, state="created", sealed_share=None)
    assert refused(attempt, Bundle([], preimage(attempt))) == "not_found"


def test_a_preimage_of_another_attempt_is_refused() -> None:
    attempt, other = Attempt(), Attempt("abd")
    assert refused(attempt, Bundle([], preimage(other))) == "bad_receipt"


@pytest.mark.parametrize("part", sorted({*ReshareRecord.__struct_fields__} - {"version"}))
def test_a_changed_preimage_does_not_verify(part: str) -> None:
    attempt = Attempt()
    record = decode(ReshareRecord, preimage(attempt))
    value = getattr(record, part)
    if isinstance(value, int):
        changed: Any = value + 1
    elif isinstance(value, tuple):
        changed = value[1:]
    else:
        changed = msgspec.structs.replace(value, **{value.__struct_fields__[-1]: bytes(32)})
    setattr(record, part, changed)
    assert refused(attempt, Bundle([], encode(record))) == "bad_receipt"


@pytest.mark.parametrize(
    "changed",
    [{"threshold": 3}, {"public_key": b"\2" + bytes(32)}, {"parties": ["00" * 32]}, {"chain_code": bytes(32)}],
    ids=lambda changed: next(iter(changed)),
)
def test_nobody_invents_an_attempt_at_a_share_by_describing_another_quorum(changed: dict[str, Any]) -> None:
    """A preimage that is right in itself, about a quorum of the forger's making with this share's gid and parties."""
    attempt = Attempt("abd")
    KeyShare.objects.filter(identity__public=public("c")).update(**changed)
    assert refused(attempt, Bundle([], preimage(attempt))) == "bad_receipt"
    assert old_states() == ["active"] * 3


@pytest.mark.parametrize("garbage", [b"", b"\xc0", b"\x99" * 50, msgspec.msgpack.encode([1] * 8), bytes(100_000)])
def test_garbage_for_a_preimage(garbage: bytes) -> None:
    assert refused(Attempt(), Bundle([], garbage)) == "bad_receipt"


def test_one_digest_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    attempt = Attempt()
    attempt.begin()
    row = attempt.row("a")
    assert statements.learn(row, preimage(attempt))
    assert not statements.learn(row, preimage(attempt))
    monkeypatch.setattr(statements, "verified", lambda _: pytest.fail("a known digest costs nothing to hear again"))
    assert not statements.learn(row, b"whatever")
    assert Statement.objects.count() == 1
    assert bytes(attempt.row("a").digest or b"") == attempt.result("a").digest


def test_a_preimage_that_does_not_verify_makes_no_row_of_it() -> None:
    attempt = Attempt()
    attempt.begin()
    assert not statements.learn(attempt.row("a"), preimage(Attempt("abd")))
    assert not statements.learn(attempt.row("a"), b"garbage")
    assert not Statement.objects.exists()
    assert attempt.row("a").digest is None
    assert receipts.MAX_RECEIPTS == 1_000
