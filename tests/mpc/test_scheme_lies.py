"""Key generation and resharing without set-ups: one lie for each check that mutants take out.

Every field's lies are in tests/mpc/attacks/table_frost.py, which is too slow to stand against each mutant.
"""

from typing import Any

import pytest

from mpc.errors import Abort
from mpc.schemes import SCHEMES, group_of, scheme_of
from mpc.wire import (
    EchoedOutcome,
    KeygenDeal,
    KeygenOpening,
    Message,
    Outcome,
    ReshareDeal,
    ReshareOpening,
    SetupKey,
)
from tests.mpc.simulator import (
    Lie,
    Network,
    blames,
    change,
    edit,
    flipped,
    identities,
    key,
    reshare_parties,
    run_keygen,
    telling,
)

PARTIES = identities("ABC")
A, B, _ = (one.public for one in PARTIES)
OLD = key("ABC", 2, "bip340")  # made before anybody lies
SETUP = SetupKey(key=group_of("ecdsa").generator.to_bytes(), zero_commitment=bytes(32))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_set_up_key_comes_where_there_are_set_ups(scheme: str) -> None:
    wrong = None if scheme_of(scheme).pairwise else SETUP
    with telling(Lie(A, 2, edit(KeygenDeal, change("setup", to=wrong)), receiver=B)):
        assert blames(run_keygen(PARTIES, 2, scheme=scheme)[B]) == ({A}, False)


def broadcast(number: int, kind: type[Message], *path: str) -> Lie:
    return Lie(A, number, edit(kind, change(*path)), private=False)


def dealt(kind: type[Message], *path: str, to: Any = flipped) -> Lie:
    return Lie(A, 2, edit(kind, change(*path, to=to)), receiver=B)


KEYGEN_CHECKS = {
    "echo of K1": (broadcast(2, KeygenOpening, "echo"), False),
    "echo of K2": (broadcast(4, EchoedOutcome, "echo"), False),
}
RESHARE_CHECKS = {
    "echo of R1": (broadcast(2, ReshareOpening, "echo"), False),
    "deal": (dealt(ReshareDeal, "deal", to=None), True),
    "set-up key": (dealt(ReshareDeal, "setup", to=SETUP), True),
    "chain code": (dealt(ReshareDeal, "deal", "chain_code"), True),
    "digest": (broadcast(5, Outcome, "digest"), False),
    "proof": (broadcast(5, Outcome, "proof"), True),
}


@pytest.mark.parametrize(("lie", "blamed"), KEYGEN_CHECKS.values(), ids=KEYGEN_CHECKS)
def test_each_check_of_a_key_generation_speaks(lie: Lie, blamed: bool) -> None:
    with telling(lie):
        ends(run_keygen(PARTIES, 2, scheme="bip340")[B], blamed)


@pytest.mark.parametrize(("lie", "blamed"), RESHARE_CHECKS.values(), ids=RESHARE_CHECKS)
def test_each_check_of_a_reshare_speaks(lie: Lie, blamed: bool) -> None:
    with telling(lie):
        ends(Network().run(reshare_parties(OLD, "ABC", "ABC", 2))[B], blamed)


def ends(outcome: Any, blamed: bool) -> None:
    if blamed:
        assert blames(outcome) == ({A}, False)
    else:
        assert type(outcome) is Abort
