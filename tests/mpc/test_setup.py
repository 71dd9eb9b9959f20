"""The set-up of a pair: one lie for each check. Every field's lies are in tests/mpc/attacks/table_keygen.py."""

from typing import Any

import pytest

from mpc.errors import Abort, Blame
from mpc.setup import PairSetup
from mpc.wire import EchoedAnswer, Puncturing, SetupAnswer, SetupKey, decode, encode
from tests.mpc.pairs import Draws
from tests.mpc.simulator import Lie, blames, change, edit, flipped, identities, key, run_keygen, telling

PARTIES = identities("ABC")
A, B, _ = (one.public for one in PARTIES)
ALICE, BOB = b"a" * 32, b"b" * 32


def sides() -> tuple[PairSetup, PairSetup]:
    return PairSetup(bytes(32), 1, BOB, 2, Draws("a")), PairSetup(bytes(32), 2, ALICE, 1, Draws("b"))


def altered(message: Any, *path: str, to: Any = flipped) -> Any:
    copy = decode(type(message), encode(message))
    change(*path, to=to)(copy)
    return copy


def test_both_sides_hold_one_set_up() -> None:
    a, b = sides()
    from_a, from_b = a.answer(b.key), b.answer(a.key)
    punctured_a, punctured_b = a.puncturing(from_b), b.puncturing(from_a)
    left, right = a.finish(bytes(32), punctured_b), b.finish(bytes(32), punctured_a)
    assert left.zero_seed.equals(right.zero_seed)
    assert (left.alice_pair, left.bob_pair) == (right.bob_pair, right.alice_pair)


LIES = {
    "a key that is no point": (SetupKey, "key", lambda data: b"\x05" + data[1:]),
    "another zero-seed half than it committed to": (SetupAnswer, "zero_half", flipped),
    "a commitment to another zero-seed half": (SetupKey, "zero_commitment", flipped),
    "no points": (SetupAnswer, "answer", lambda data: bytes(len(data))),
}


@pytest.mark.parametrize(("kind", "field", "to"), LIES.values(), ids=LIES)
def test_a_peer_that_lies_is_blamed(kind: type, field: str, to: Any) -> None:
    a, b = sides()
    said_key = altered(b.key, field, to=to) if kind is SetupKey else b.key
    answer = b.answer(a.key)
    said_answer = altered(answer, field, to=to) if kind is SetupAnswer else answer

    def hear() -> None:
        a.answer(said_key)
        a.puncturing(said_answer)

    with pytest.raises(Blame) as error:
        hear()
    assert blames(error.value) == ({BOB}, False)


def test_a_peer_whose_trees_are_inconsistent_is_banned() -> None:
    a, b = sides()
    from_a = a.answer(b.key)
    a.puncturing(b.answer(a.key))
    wrong: Puncturing = altered(b.puncturing(from_a), "message")
    with pytest.raises(Blame) as error:
        a.finish(bytes(32), wrong)
    assert blames(error.value) == ({BOB}, True)


def test_other_broadcasts_seen_by_a_peer_end_it_without_blame() -> None:
    key("ABC", 2)
    with telling(Lie(A, 3, edit(EchoedAnswer, change("echo")), receiver=B)):
        assert type(run_keygen(PARTIES, 2)[B]) is Abort
