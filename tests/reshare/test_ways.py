"""Hung attempts (lifecycle.md, step 7): superseded or carried on, by orders, and what the pages say of it."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from prometheus_client import REGISTRY

from audit.models import Decision, Event
from keys import receipts
from keys.models import KeyShare
from keys.models import Receipt as ReceiptRow
from keys.receipts import Bundle
from reshare import decisions
from reshare.models import Reshare
from reshare.receiving import receive
from reshare.requests import Room, existing_request
from reshare.rule.types import Attempt as Attempt_
from reshare.rule.types import Ballot, Kind, Mode, Receipt
from reshare.ways import of, ways_on
from tests.life import Party, Vertex
from tests.mpc.simulator import identity
from tests.reshare.attempts import Attempt, check_invariants, old_quorum, old_share, old_states, public
from vertex.errors import ApiError


@pytest.fixture(autouse=True)
def key(vertex: Vertex) -> None:
    old_quorum()


def decide(attempt: Attempt, name: str, word: str, **more: Any) -> bool:
    said: dict[str, Any] = {"actor": "admin", "reason": "test"} | more
    return decisions.decide(name=word, row_id=attempt.row(name).id, **said)


def refused(attempt: Attempt, name: str, word: str, **more: Any) -> str:
    before = Event.objects.count()
    with pytest.raises(ApiError) as error:
        decide(attempt, name, word, **more)
    assert Event.objects.count() == before
    return error.value.err_type


def hung(attempt: Attempt) -> Attempt:
    """Stored by all, voted on by nobody, its time is over and no operator says anything."""
    attempt.stored()
    Reshare.objects.update(vote_by=None, began_at=timezone.now() - timedelta(days=8))
    return attempt


def test_without_an_order_nobody_deals_again() -> None:
    hung(Attempt("abd"))
    second = Attempt("abd", number=1)
    second.begin()
    second.settle()
    assert [second.said(name) for name in "abc"] == [[], [], []]


@pytest.mark.parametrize("voted", ["", "a", "ab"], ids=["nobody voted", "one confirmed", "committed"])
def test_superseded_whatever_was_voted(voted: str) -> None:
    first = hung(Attempt("abd"))
    first.confirm(voted)
    first.advance("c")
    for name in voted:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("reshare.executor.Performance._erase", lambda *_: pytest.fail("not committed here"))
            first.advance(name)
        # The other's vote is late for ever.
        ReceiptRow.objects.filter(kind="CONFIRMED").delete()
        Reshare.objects.filter(id=first.row(name).id).update(orders={})
    for name in "abc":
        assert decide(first, name, "supersede")
    second = Attempt("abd", number=1)
    second.begin()
    second.advance()
    assert all("PROMISED" in second.said(name) for name in "abc")
    second.through()
    second.advance()
    second.confirm("ab")
    second.settle()
    assert old_states() == ["erased"] * 3
    assert [second.new_state(name) for name in "abd"] == ["active"] * 3
    assert [first.new_state(name) for name in "ab"] == ["discarded"] * 2
    assert {first.row(name).state for name in "abd"} == {"superseded"}
    assert all(first.row(name).ended_at for name in "abd")
    check_invariants(first, second)


def test_a_superseding_attempt_that_hangs_too_needs_an_order_of_its_own() -> None:
    first = hung(Attempt("abd"))
    for name in "abc":
        decide(first, name, "supersede")
    second = Attempt("abd", number=1)
    second.begin()
    second.advance()
    third = Attempt("abd", number=2)
    third.begin()
    third.settle()
    assert [third.said(name) for name in "abc"] == [[], [], []], "the second has not ended either"
    decide(second, "a", "supersede")
    third.settle()
    assert third.said("a") == ["PROMISED"]
    assert third.said("b") == []


def test_a_party_that_promised_the_later_attempt_does_not_erase_for_the_earlier_one() -> None:
    first = hung(Attempt("abd"))
    for name in "ab":
        decide(first, name, "supersede")
    first.confirm("c")
    first.advance("c")
    second = Attempt("abd", number=1)
    second.begin()
    second.advance()
    first.confirm("ab")
    first.settle()
    assert old_states() == ["retiring"] * 3
    assert "CONFIRMED" not in first.said("a")
    check_invariants(first, second)


def test_a_new_call_is_let_in_once_every_open_attempt_may_be_superseded(vertex: Vertex) -> None:
    first = hung(Attempt())

    def ask() -> Reshare:
        share = old_share("a")
        party = Party("a", share.user, share.id, public("a"))
        operation = vertex.operation(party)
        room = Room(vertex.room(3), None, operation.deadline)
        ids = [Party(n, share.user, share.id, public(n)).keygen_id for n in "abc"]
        return existing_request(
            user=party.user,
            operation=operation,
            key_id=party.key_id,
            scheme="ecdsa",
            keygen_ids=ids,
            new_threshold=2,
            room=room,
        )

    with pytest.raises(ApiError, match="in flight"):
        ask()
    decide(first, "a", "supersede")
    assert ask().state == "waiting"


def test_carried_to_completion() -> None:
    """a and b have confirmed and a has erased; c has promised a later attempt, so that it no longer follows."""
    first = Attempt("abd").stored()
    for name in "bc":
        decide(first, name, "supersede")
    first.confirm("ab")
    first.advance("b")
    second = Attempt("abd", number=1)
    second.begin()
    second.advance("bc")
    for _ in range(3):
        first.advance("ad")
    assert old_states() == ["erased", "retiring", "retiring"], "who promised the second does not accept the first"
    ways = ways_on(first.row("a"))
    assert ways is not None
    assert (ways.supersede.open, ways.supersede.holding, ways.supersede.needed) == (True, 2, 2)
    assert (ways.carry.open, ways.carry.k, ways.carry.instead) == (True, None, None)

    assert decide(first, "a", "carry")
    first.settle()
    promises = [r for r in first.look("a").view.receipts if r.mode == "carrying"]
    assert {r.party for r in promises} >= {public("a"), public("b")}
    assert {r.k for r in promises} == {second.hello.k + 1}
    assert [first.new_state(name) for name in "abd"] == ["active"] * 3
    assert old_states() == ["erased"] * 3
    deleted = {(r.party, r.k) for r in first.look("a").view.receipts if r.kind == "DELETED"}
    assert {(public(name), second.hello.k + 1) for name in "ab"} <= deleted
    assert (public("a"), first.hello.k) in deleted, "its first deletion stands as it was made"
    assert first.look("a").view.facts.conflicted is False
    check_invariants(first, second)


def test_a_proposal_goes_higher_on_hearing_of_a_promise_to_an_attempt_unknown_here() -> None:
    """c promised a ballot with the k that a proposes and a higher rid, for an attempt of which a knows nothing."""
    first = Attempt("abd").stored()
    first.confirm("ab")
    first.advance("b")
    first.advance("a")
    assert decide(first, "a", "carry")
    first.advance("a")
    assert carried_at(first, "a") == [2]
    first.advance("a")
    assert carried_at(first, "a") == [2], "nothing higher was heard"
    for rid, expected in ((bytes(32), [2]), (b"\xff" * 32, [2, 3])):
        hello = first.hello
        elsewhere = receipts.issue(
            identity("c"), kind="PROMISED", subject=rid, gid=hello.gid, k=2, digest=b"", body={"mode": "dealing"}
        )
        receive(rid=first.rid, bundle=Bundle([elsewhere], None), actor="admin")
        first.advance("a")
        assert carried_at(first, "a") == expected


def carried_at(attempt: Attempt, name: str) -> list[int]:
    promises = [each for each in attempt.look(name).view.receipts if each.mode == Mode.CARRYING]
    return sorted(each.k for each in promises if each.party == public(name))


FIRST, SECOND = Ballot(1, b"1"), Ballot(2, b"2")
PARTIES = (b"a", b"b", b"c", b"d", b"e")


def promised(party: bytes, reported: Ballot | None, rid: bytes = b"1", k: int = 3) -> Receipt:
    return Receipt(Kind.PROMISED, party, rid, k, None, Mode.CARRYING, reported)


COUNTING = [
    # d, promises to carry the first; promised, open, instead
    (3, [], 0, True, None),
    (3, [promised(b"a", FIRST), promised(b"b", None)], 2, True, None),
    (3, [promised(b"a", FIRST), promised(b"b", SECOND)], 2, False, b"2"),
    (3, [promised(b"a", None), promised(b"b", None), promised(b"c", SECOND)], 3, False, b"2"),
    # One more deletion bears one liar: a single report of the second is not believed, two are.
    (4, [promised(b"a", FIRST), promised(b"b", FIRST), promised(b"c", SECOND)], 3, True, None),
    (4, [promised(b"a", FIRST), promised(b"b", SECOND), promised(b"c", SECOND)], 3, False, b"2"),
    # Only the highest proposal of this attempt is looked at.
    (3, [promised(b"b", SECOND), promised(b"a", FIRST, k=5)], 1, True, None),
    (3, [promised(b"b", SECOND, rid=b"2", k=9)], 0, True, None),
]


@pytest.mark.parametrize(("d", "promises", "answered", "is_open", "instead"), COUNTING)
def test_what_counts_highest_is_what_is_carried(
    d: int, promises: list[Receipt], answered: int, is_open: bool, instead: bytes | None
) -> None:
    """3-of-5: the page of the first attempt names the second where that is the one to carry."""
    new = (b"a", b"b")
    attempts = tuple(
        Attempt_(ballot.rid, ballot.k, b"g", b"digest", PARTIES, 3, new, 2, d) for ballot in (FIRST, SECOND)
    )
    votes = [Receipt(Kind.CONFIRMED, party, b"1", 1, b"digest") for party in PARTIES[:d]]
    carry = of(attempts[0], attempts, [*votes, *promises], set()).carry
    assert (carry.promised, carry.open) == (answered, is_open)
    assert carry.instead == (instead.hex() if instead is not None else None)
    assert not of(attempts[0], attempts, promises, set()).carry.open, "without its commit nothing is carried"


REFUSED = [
    ("carry", "a", "deletion_not_ready"),
    ("carry", "d", "bad_request_params"),
    ("supersede", "d", "share_superseded"),
    ("agree", "a", "bad_request_params"),
    ("discard", "a", "bad_request_params"),
]


@pytest.mark.parametrize(("word", "name", "error"), REFUSED)
def test_what_is_not_open_is_refused(word: str, name: str, error: str) -> None:
    attempt = Attempt("abd").stored()
    assert refused(attempt, name, word) == error
    assert not Decision.objects.exists()


def test_an_attempt_that_has_ended_has_no_ways_on() -> None:
    attempt = Attempt().stored()
    attempt.confirm("abc")
    attempt.settle()
    assert ways_on(attempt.row("a")) is None
    for word in ("supersede", "carry"):
        assert refused(attempt, "a", word) in ("bad_request_params", "deletion_not_ready")


def test_a_parked_share_is_destroyed_by_order() -> None:
    attempt = Attempt().stored()
    attempt.abort("ab")
    attempt.settle()
    assert attempt.new_state("a") == "parked"
    assert decide(attempt, "a", "discard")
    attempt.settle()
    assert [attempt.new_state(name) for name in "abc"] == ["discarded", "parked", "parked"]
    assert KeyShare.objects.get(id=attempt.row("a").new_share_id).sealed_share is None


def alarms(attempt: Attempt, name: str = "a") -> list[str]:
    attempt.advance(name)
    return list(attempt.row(name).alarms)


def gauge(alarm: str) -> float:
    return float(REGISTRY.get_sample_value("vertex_alarms", {"alarm": alarm}) or 0)


def test_an_attempt_that_hangs_raises_an_alarm_and_its_end_clears_it() -> None:
    attempt = hung(Attempt())
    assert alarms(attempt) == []
    Reshare.objects.update(vote_by=600_000)
    row = attempt.row("a")
    # A vote by itself at its deadline is what clears it for the voter; the others still wait.
    assert alarms(attempt) == ["hung"]
    assert gauge("hung") == 1
    event = Event.objects.filter(action="reshare.alarms").latest("seq")
    assert (event.subject, event.data["standing"], event.data["before"]) == (str(row.id), ["hung"], [])
    attempt.settle()
    assert attempt.row("a").state == "aborted"
    assert attempt.row("a").alarms == []
    assert gauge("hung") == 0


def test_overdue_deletions_raise_an_alarm() -> None:
    attempt = Attempt().stored()
    attempt.confirm("ab")
    attempt.advance("b")
    attempt.advance("a")
    late = timezone.now() - timedelta(hours=1)
    ReceiptRow.objects.filter(kind="DELETED").delete()
    Reshare.objects.filter(committed_at__isnull=False).update(committed_at=late)
    assert attempt.row("a").state == "committed"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reshare.executor.Performance._send", lambda *_: None)
        assert alarms(attempt) == ["deletions_overdue", "hung"]
    assert (gauge("hung"), gauge("deletions_overdue")) == (1, 1)
    for _ in range(3):
        attempt.advance("ab")
    assert attempt.row("a").state == "complete"
    assert alarms(attempt) == []
    Reshare.objects.update(completed_at=timezone.now() - timedelta(days=2))
    assert alarms(attempt) == ["deletions_overdue"]
    attempt.settle()
    assert (attempt.row("a").state, attempt.row("a").alarms) == ("clean", [])
