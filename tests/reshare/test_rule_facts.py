"""What receipts amount to: counts, ballots, which attempt may be carried, two faces."""

import pytest

from reshare.rule import facts
from reshare.rule.types import Attempt, Ballot, Kind, Mode, Receipt

A, B, C, D = (bytes([65 + index]) * 32 for index in range(4))
RID, OTHER = b"r" * 32, b"s" * 32
DIGEST = b"d" * 32
# 2-of-3 {A, B, C} to 2-of-3 {A, B, D}: d = 2.
ATTEMPT = Attempt(RID, 1, b"g" * 32, DIGEST, (A, B, C), 2, (A, B, D), 2, 2)


def said(kind: Kind, *parties: bytes, rid: bytes = RID, k: int = 1, digest: bytes | None = DIGEST) -> set[Receipt]:
    signed = digest if kind in (Kind.STORED, Kind.CONFIRMED, Kind.DELETED) else None
    return {Receipt(kind, party, rid, k, signed) for party in parties}


def carried(party: bytes, k: int, reported: Ballot | None = None, rid: bytes = RID) -> Receipt:
    return Receipt(Kind.PROMISED, party, rid, k, None, Mode.CARRYING, reported)


COUNTS = [
    ("stored by all", "stored", said(Kind.STORED, A, B, D), True),
    ("stored by t'", "stored", said(Kind.STORED, A, B), False),
    ("stored by an old party", "stored", said(Kind.STORED, A, B, C), False),
    ("stored over another digest", "stored", said(Kind.STORED, A, B) | said(Kind.STORED, D, digest=OTHER), False),
    ("one failed", "failed", said(Kind.FAILED, D), True),
    ("a stranger failed", "failed", said(Kind.FAILED, C), False),
    ("d confirmed", "committed", said(Kind.CONFIRMED, A, C), True),
    ("d - 1 confirmed", "committed", said(Kind.CONFIRMED, A), False),
    ("confirmed by a joiner", "committed", said(Kind.CONFIRMED, A, D), False),
    ("confirmed over another digest", "committed", said(Kind.CONFIRMED, A, C, digest=OTHER), False),
    ("confirmed another attempt", "committed", said(Kind.CONFIRMED, A, C, rid=OTHER), False),
    ("n - d + 1 aborted", "aborted", said(Kind.ABORTED, A, B), True),
    ("n - d aborted", "aborted", said(Kind.ABORTED, A), False),
    ("all aborted", "unanimous", said(Kind.ABORTED, A, B, C), True),
    ("all but one aborted", "unanimous", said(Kind.ABORTED, A, B), False),
    ("one deleted", "deleting", said(Kind.DELETED, A, k=4), True),
    ("d deleted", "completed", said(Kind.DELETED, A, C), True),
    ("d - 1 deleted", "completed", said(Kind.DELETED, A), False),
    ("d deleted for two ballots", "completed", said(Kind.DELETED, A) | said(Kind.DELETED, C, k=2), False),
    ("d deleted for a carried ballot", "completed", said(Kind.DELETED, A, C, k=3), True),
]


@pytest.mark.parametrize(("fact", "receipts", "holds"), [case[1:] for case in COUNTS], ids=[c[0] for c in COUNTS])
def test_counts(fact: str, receipts: set[Receipt], holds: bool) -> None:
    assert getattr(facts.read([ATTEMPT], receipts), fact) == (frozenset({RID}) if holds else frozenset())


def test_nothing_with_a_digest_counts_before_the_digest_is_known() -> None:
    early = ATTEMPT._replace(digest=None)
    receipts = said(Kind.CONFIRMED, A, C, digest=None) | said(Kind.STORED, A, B, D) | said(Kind.ABORTED, A, B)
    found = facts.read([early], receipts)
    assert (found.committed, found.stored, found.aborted) == (frozenset(), frozenset(), {RID})


def test_f_and_p_follow_the_smallest_d() -> None:
    higher = ATTEMPT._replace(rid=OTHER, k=2, d=3)
    assert (higher.f, higher.p) == (1, 3)
    assert (facts.borne([higher]), facts.promises_needed([higher]), facts.reports_needed([higher])) == (1, 3, 2)
    assert facts.promises_needed([higher, ATTEMPT]) == 2


FIRST, SECOND, THIRD = Ballot(1, RID), Ballot(2, OTHER), Ballot(3, RID)
CARRIES = [
    ("nobody accepted", [carried(A, 4), carried(B, 4)], True),
    ("too few", [carried(A, 4)], False),
    ("one party twice", [carried(A, 4), carried(A, 4, FIRST)], False),
    ("this one reported", [carried(A, 4, FIRST), carried(B, 4)], True),
    ("another reported", [carried(A, 4, SECOND), carried(B, 4)], False),
    ("another, lower", [carried(A, 4, SECOND), carried(B, 4, THIRD)], True),
    ("another, higher", [carried(A, 4, SECOND), carried(B, 4, FIRST)], False),
]


@pytest.mark.parametrize(("heard", "may"), [case[1:] for case in CARRIES], ids=[case[0] for case in CARRIES])
def test_which_may_be_carried(heard: list[Receipt], may: bool) -> None:
    found = facts.read([ATTEMPT], heard)
    assert (found.carriable, found.proposed) == ({Ballot(4, RID)} if may else set(), {Ballot(4, RID)})
    assert found.highest == max(each.ballot for each in [*heard, ATTEMPT])


def test_with_a_liar_borne_one_report_counts_for_nothing() -> None:
    lied = [carried(A, 4, SECOND), carried(B, 4), carried(C, 4)]
    assert facts.counting(lied, 2) is None
    assert facts.counting([*lied[:2], carried(C, 4, Ballot(5, OTHER))], 2) == SECOND


def deletion(k: int, *parties: bytes) -> set[Receipt]:
    return said(Kind.DELETED, *parties, k=k)


CONFLICTS = [
    ("both votes", said(Kind.CONFIRMED, A) | said(Kind.ABORTED, A), {A}),
    ("both votes of two attempts", said(Kind.CONFIRMED, A) | said(Kind.ABORTED, A, rid=OTHER), set()),
    ("votes of two parties", said(Kind.CONFIRMED, A) | said(Kind.ABORTED, B), set()),
    ("stored and failed", said(Kind.STORED, D) | said(Kind.FAILED, D), {D}),
    ("two digests", said(Kind.STORED, D) | said(Kind.STORED, D, digest=OTHER), {D}),
    ("two deletions, one digest", deletion(1, A) | deletion(3, A), set()),
    ("two promises of one ballot", {carried(A, 3), carried(A, 3, FIRST)}, {A}),
    ("deletion below a promise", deletion(1, A) | {carried(A, 3)}, {A}),
    ("below a promise that reports it", deletion(1, A) | {carried(A, 3, FIRST)}, set()),
    ("below a promise that reports a later one", deletion(1, A) | {carried(A, 3, Ballot(2, RID))}, set()),
    ("below a promise that reports an earlier one", deletion(2, A) | {carried(A, 3, FIRST)}, {A}),
    ("answers a completion", deletion(1, A, B, C) | {carried(A, 3)}, set()),
    ("completes it itself", deletion(1, A, B) | {carried(A, 3)}, {A}),
    ("deletion above a promise", deletion(4, A) | {carried(A, 3)}, set()),
]


@pytest.mark.parametrize(("receipts", "named"), [c[1:] for c in CONFLICTS], ids=[c[0] for c in CONFLICTS])
def test_two_faces(receipts: set[Receipt], named: set[bytes]) -> None:
    assert {conflict.party for conflict in facts.conflicts([ATTEMPT], receipts)} == named
    assert facts.read([ATTEMPT], receipts).conflicted == bool(named)
