"""The judge sees each violation, and none where all is well: evidence made by hand, one case a line."""

import pytest

from tests.faults.evidence import Attempt, Evidence, Held
from tests.faults.invariants import broken_chain, violations

OLD, NEW, OTHER = b"old", b"new", b"other"
RID, SECOND = b"1" * 32, b"2" * 32
ABC = ("a", "b", "c")


def attempt(rid: bytes = RID, new_gid: bytes | None = NEW) -> Attempt:
    return Attempt("a", rid, OLD, new_gid, ABC, 2, ABC, 2, "voting")


def held(gid: bytes, states: dict[str, str], opens: str) -> list[Held]:
    return [Held(party, party, gid, state, party in opens) for party, state in states.items()]


def receipts(*said: tuple[str, str], rid: bytes = RID, digest: bytes = b"d") -> set[tuple[str, str, bytes, int, bytes]]:
    return {(kind, party, rid, 1, digest) for kind, parties in said for party in parties}


def each(state: str) -> dict[str, str]:
    return dict.fromkeys(ABC, state)


COMPLETE = receipts(("STORED", "abc"), ("CONFIRMED", "ab"), ("DELETED", "abc"))
STORED = receipts(("STORED", "abc"))


def evidence(old: str, new: str, new_states: dict[str, str], said: set[tuple[str, str, bytes, int, bytes]]) -> Evidence:
    """One attempt of a 2-of-3 key: whose old and whose new share opens."""
    shares = held(OLD, each("erased" if not old else "retiring"), old) + held(NEW, new_states, new)
    active = {(party, NEW) for party, state in new_states.items() if state == "active"}
    return Evidence(active, shares, [attempt()], set(said))


GOOD = {
    "before the protocol": evidence("abc", "", {}, set()),
    "stored, not voted": evidence("abc", "abc", each("quarantined"), STORED),
    "one has erased": evidence("bc", "abc", each("quarantined"), COMPLETE),
    "complete": evidence("", "abc", each("active"), COMPLETE),
    "complete, one old share left": evidence("c", "abc", each("active"), COMPLETE),
    "aborted": evidence("abc", "abc", each("parked"), STORED | receipts(("ABORTED", "ab"))),
    "aborted by all": evidence("abc", "", each("discarded"), STORED | receipts(("ABORTED", "abc"))),
}
BAD = {
    "I1: 1 old shares": evidence("c", "ab", each("quarantined"), COMPLETE),
    "I1: 0 old shares": evidence("", "ab", each("active"), COMPLETE),
    "I2: a new share is active while 2 old": evidence("bc", "abc", each("active"), COMPLETE),
    "I2: 31313131 is active before 2": evidence("c", "abc", each("active"), STORED | receipts(("CONFIRMED", "ab"))),
    "I3": evidence("", "abc", {"a": "active", "b": "active", "c": "discarded"}, COMPLETE),
    "I5: 31313131 is committed and aborted": evidence(
        "abc", "abc", each("quarantined"), STORED | receipts(("CONFIRMED", "ab"), ("ABORTED", "bc"))
    ),
    "I5: a share was deleted": evidence("bc", "abc", each("quarantined"), STORED | receipts(("DELETED", "a"))),
    "two faces: a said ABORTED and CONFIRMED": evidence(
        "abc", "abc", each("quarantined"), STORED | receipts(("CONFIRMED", "a"), ("ABORTED", "a"))
    ),
    "two faces: a said FAILED and STORED": evidence(
        "abc", "abc", each("quarantined"), STORED | receipts(("FAILED", "a"))
    ),
    "two faces: a said STORED of two digests": evidence(
        "abc", "abc", each("quarantined"), STORED | receipts(("STORED", "a"), digest=b"e")
    ),
}


@pytest.mark.parametrize("found", GOOD.values(), ids=GOOD)
def test_an_honest_course_is_no_violation(found: Evidence) -> None:
    assert violations(found) == []


@pytest.mark.parametrize(("words", "found"), BAD.items(), ids=BAD)
def test_each_violation_is_seen(words: str, found: Evidence) -> None:
    assert [line for line in violations(found) if line.startswith(words)] != []


def test_two_attempts_of_one_sharing_can_not_both_live() -> None:
    found = evidence("", "abc", each("active"), COMPLETE)
    found.attempts.append(attempt(SECOND, OTHER))
    found.shares += held(OTHER, each("active"), "abc")
    found.receipts |= receipts(("STORED", "abc"), ("CONFIRMED", "ab"), ("DELETED", "abc"), rid=SECOND)
    assert any(line.startswith("I2: two attempts") for line in violations(found))


def test_a_party_whose_keystore_was_put_back_is_not_counted() -> None:
    found = evidence("c", "ab", {"a": "active", "b": "active", "c": "quarantined"}, COMPLETE)
    assert [line[:2] for line in violations(found)] == ["I3", "I1"]
    assert violations(found, frozenset("c")) == []
    found.receipts |= receipts(("ABORTED", "c"), ("FAILED", "c"), ("CONFIRMED", "c"))
    assert violations(found, frozenset("c")) == [], "two faces prove that it was restored"
    assert "two faces" in str(violations(found))


def test_a_sharing_that_a_later_one_has_replaced_is_that_ones_affair() -> None:
    """Its new shares were erased in their turn: they are not lost."""
    found = evidence("", "", each("erased"), COMPLETE)
    assert violations(found) != []
    later = Attempt("a", SECOND, NEW, OTHER, ABC, 2, ABC, 2, "complete")
    found.attempts.append(later)
    found.shares += held(OTHER, each("active"), "abc")
    found.receipts |= receipts(("STORED", "abc"), ("CONFIRMED", "ab"), ("DELETED", "abc"), rid=SECOND)
    assert violations(found) == []


def test_a_broken_chain_is_named() -> None:
    assert broken_chain([]) is None
    assert "missing" in str(broken_chain([(2, None, "a", "b", "c", {}, b"", b"")]))
