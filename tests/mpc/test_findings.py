"""Who is blamed when several parties failed several checks of one round."""

import pytest

from mpc.errors import Blame, CheckFailed, Malformed
from mpc.findings import Findings, blaming, decode_all
from mpc.wire import Commitment, encode
from tests.mpc.simulator import blames

A, B, C = (bytes((i,)) * 32 for i in range(3))


def concluded(*failures: tuple[bytes, Exception], reason: str = "") -> Blame:
    findings = Findings()
    for party, failure in failures:
        with findings.about(party):
            raise failure
    with pytest.raises(Blame) as raised:
        findings.conclude(reason)
    return raised.value


@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        pytest.param([(A, Malformed("x"))], ({A}, False), id="malformed"),
        pytest.param([(A, CheckFailed("mu"))], ({A}, True), id="a failed check bans"),
        pytest.param([(A, Malformed("x")), (B, CheckFailed("mu"))], ({B}, True), id="a ban hits nobody else"),
        pytest.param([(A, CheckFailed("mu")), (A, Malformed("x"))], ({A}, True), id="both by one party"),
        pytest.param(
            [(A, CheckFailed("mu")), (B, CheckFailed("pprf")), (C, Malformed("x"))], ({A, B}, True), id="all bans"
        ),
        pytest.param([(A, Malformed("x")), (B, Malformed("y"))], ({A, B}, False), id="all blames"),
    ],
)
def test_bans_first_and_only_who_earned_them(
    failures: list[tuple[bytes, Exception]], expected: tuple[set[bytes], bool]
) -> None:
    assert blames(concluded(*failures)) == expected


def test_a_given_reason_hides_the_found_ones() -> None:
    assert concluded((A, CheckFailed("mu")), reason="some check").reason == "some check"
    assert "mu" in concluded((A, CheckFailed("mu"))).reason


def test_nothing_found_says_nothing() -> None:
    Findings().conclude()
    with blaming(A):
        pass


def test_other_errors_pass_through() -> None:
    with pytest.raises(ZeroDivisionError), Findings().about(A):
        raise ZeroDivisionError


def test_everybody_whose_message_does_not_parse_is_blamed() -> None:
    good = encode(Commitment(commitment=bytes(32)))
    assert set(decode_all({A: good}, Commitment)) == {A}
    with pytest.raises(Blame) as raised:
        decode_all({A: b"junk", B: good, C: b""}, Commitment)
    assert blames(raised.value) == ({A, C}, False)
