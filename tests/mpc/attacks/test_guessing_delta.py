"""Guessing Δ by cheating in the OT extension: what the check gives away, and why it is a critical section.

A Bob who lies in one group passes iff he guesses Alice's two bits of Δ there. Right guesses are free; a wrong one is
caught, and banned. Where many sessions of a pair are checked at once, all wrong guesses are evaluated before any ban.
"""

from __future__ import annotations

import pytest

from mpc.errors import CheckFailed
from mpc.hashing import TH, XOF
from mpc.ot.bits import unpack
from mpc.ot.extension import extend, verify
from tests.mpc.attacks.guessing import GUESSES, cheating
from tests.mpc.pairs import set_up

PAIR = set_up("guessing")


def psid_of(group: int, value: int) -> bytes:
    return TH("test/guess", bytes((group, value)))


def delta_in(group: int) -> int:
    high, low = unpack(PAIR.alice.delta).reshape(64, 2)[group]
    return 2 * int(high) + int(low)


def passes(group: int, value: int) -> bool:
    psid = psid_of(group, value)
    try:
        verify(PAIR.alice, psid, cheating(PAIR.bob, psid, group, value))
    except CheckFailed:
        return False
    return True


def test_192_checks_at_once_would_give_all_of_delta() -> None:
    """The rule left out: each of 192 sessions is checked, whatever the others found."""
    found = {group: value for group, value in GUESSES if passes(group, value)}
    assert [found.get(group, 0) for group in range(64)] == [delta_in(group) for group in range(64)]


def test_one_after_the_other_at_most_one_wrong_guess_is_evaluated() -> None:
    """What is left to the attacker: the right guesses that it makes before its first wrong one."""
    evaluated = []
    for group, value in GUESSES:
        evaluated.append(passes(group, value))
        if not evaluated[-1]:
            break  # banned
    assert evaluated.count(False) == 1
    assert len(evaluated) < 20


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_in_any_byte_is_seen(bit: int) -> None:
    """Each of the 4,400 bytes, an eighth of them with each bit."""
    psid = TH("test/psid", b"flips")
    message = bytearray(extend(PAIR.bob, psid, XOF(68, "test", b"flips"))[1])
    for at in range(bit, len(message), 8):
        message[at] ^= 1 << (at // 8 + bit) % 8
        with pytest.raises(CheckFailed):
            verify(PAIR.alice, psid, bytes(message))
        message[at] ^= 1 << (at // 8 + bit) % 8
    assert verify(PAIR.alice, psid, bytes(message)).shape == (416, 16)
