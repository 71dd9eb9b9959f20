"""Every field of every message, changed in every way: who is blamed, what is kept, what still works.

The fields come from `mpc.wire` by themselves (`places`), the changes from a field's type (`manipulations`); what must
come of it stands in the tables. A field without a row, or a row without a field, fails.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from mpc.errors import Abort, Blame, ParameterMismatch
from mpc.hashing import TH
from mpc.sign import Signature, SignRequest
from tests.mpc.attacks import table_keygen, table_reshare, table_sign
from tests.mpc.attacks.attacker import BYSTANDER, CULPRIT, DIGEST, JOINER, VICTIM, Attacker, attack, earlier
from tests.mpc.attacks.manipulations import Manipulation, manipulations
from tests.mpc.attacks.places import NOT_SENT, PLACES, Place, Spot, all_spots, message_types, spots_of, types_in
from tests.mpc.attacks.verdicts import Row, Verdict
from tests.mpc.simulator import Stalled, identities, key, run_sign

TABLES = {"keygen": table_keygen.ROWS, "sign": table_sign.ROWS, "reshare": table_reshare.ROWS}
PARTIES = {"keygen": (CULPRIT, VICTIM, BYSTANDER), "sign": (CULPRIT, VICTIM, BYSTANDER)}
PARTIES["reshare"] = (*PARTIES["keygen"], JOINER)


def row_of(spot: Spot, liar: bytes) -> Row:
    name = str(spot).removeprefix(spot.place.protocol + " ")
    special = table_reshare.JOINERS if liar == JOINER else {}
    return special.get(name, TABLES[spot.place.protocol][name])


def cases() -> list[Any]:
    """(spot, manipulation, liar): every field; a joiner's too, where it has something to say."""
    found = [(spot, CULPRIT, one) for spot in all_spots() for one in manipulations(spot.nature)]
    silent = {"fields.d", "deal", "opening", *(name.split()[-1] for name in table_reshare.DESCRIBED)}
    silent -= {"fields.scheme"}
    for spot, _, one in list(found):
        path = ".".join(spot.path)
        if spot.place.protocol == "reshare" and not {path, spot.path[0]} & silent:
            found.append((spot, JOINER, one))
    return [
        pytest.param(spot, one, liar, id=f"{spot}: {one.name}{' by a joiner' * (liar == JOINER)}")
        for spot, liar, one in found
    ]


def test_every_field_has_a_row_and_every_row_a_field() -> None:
    rows = {f"{protocol} {name}" for protocol, table in TABLES.items() for name in table}
    assert rows == {str(spot) for spot in all_spots()}


def test_every_message_type_travels_or_says_why_not() -> None:
    assert message_types() == set.union(*map(types_in, PLACES)) | set(NOT_SENT)
    assert not set.union(*map(types_in, PLACES)) & set(NOT_SENT)


@pytest.mark.parametrize("protocol", TABLES)
def test_honest_sessions_send_what_the_places_say(protocol: str) -> None:
    """Each message is of the type that stands at its place, each place is used, and all goes well."""
    listener = Attacker()
    outcomes, network = attack(protocol, listener)
    assert not [outcome for outcome in outcomes.values() if isinstance(outcome, Exception)]
    assert set(listener.said) == {place for place in PLACES if place.protocol == protocol}
    assert {(frame.round, bool(frame.receiver)) for frame in network.sent} == {
        (place.round, place.private) for place in PLACES if place.protocol == protocol
    }


def test_every_row_says_why_a_lie_goes_unpunished() -> None:
    for table in (*TABLES.values(), table_reshare.JOINERS):
        for name, row in table.items():
            mild = {row.lie, *row.but.values()} & {Verdict.DONE, Verdict.STALLED}
            assert row.why or not mild, name
            assert set(row.but) <= {one.name for spot in all_spots() for one in manipulations(spot.nature)}, name


@pytest.mark.parametrize(("spot", "manipulation", "liar"), cases())
def test_each_lie_has_its_verdict(spot: Spot, manipulation: Manipulation, liar: bytes) -> None:
    protocol, row = spot.place.protocol, row_of(spot, liar)
    attacker = Attacker(liar, row.victim, spot, manipulation, earlier(protocol, row.victim))
    outcomes, network = attack(protocol, attacker)
    assert attacker.changed == (manipulation.name not in row.same)
    if not attacker.changed:
        return
    expected = row.verdict(manipulation, hello=spot.place.round == 0)
    honest = [party for party in PARTIES[protocol] if party != liar]
    for party in (row.victim,) if spot.place.private else honest:
        assert verdict_of(outcomes[party]) == expected, repr(outcomes[party])
        if expected is not Verdict.DONE:
            last = max(frame.round for frame in network.sent if frame.sender == party)
            assert last <= spot.place.round + row.found_after.get(manipulation.kind, 0), "went on after the lie"
    for party in honest:
        outcome = outcomes[party]
        if isinstance(outcome, Blame):
            assert outcome.culprits == {liar}, "an honest party is blamed"
        if expected is not Verdict.DONE and not row.others_finish:
            assert isinstance(outcome, Exception), "somebody holds a result"
    if protocol != "keygen" and spot.place.round and expected is not Verdict.DONE:
        assert material() == UNTOUCHED
        still_signs(banned=expected is Verdict.BANNED)


GARBLED: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda payload: payload[:-1],
    "a byte left over": lambda payload: payload + b"\xc0",
    "another encoding": lambda payload: b"\xdc\x00" + bytes((payload[0] & 15,)) + payload[1:],
    "a field more": lambda payload: bytes((payload[0] + 1,)) + payload[1:] + b"\xc0",
    "a field less": lambda payload: bytes((payload[0] - 1,)) + payload[1:],
    "nothing": lambda payload: b"",
    "no array": lambda payload: b"junk",
}


@pytest.mark.parametrize("garble", GARBLED.values(), ids=GARBLED.keys())
@pytest.mark.parametrize("place", [place for place in PLACES if place.round], ids=str)
def test_what_does_not_parse_is_blamed_in_its_round(place: Place, garble: Callable[[bytes], bytes]) -> None:
    """It is signed: its sender is to blame. (A hello that does not parse is dropped: see the table.)"""
    spot = next(spots_of(place))
    victim = row_of(spot, CULPRIT).victim
    outcomes, network = attack(place.protocol, Attacker(victim=victim, spot=spot, garble=garble))
    honest = [party for party in PARTIES[place.protocol] if party != CULPRIT]
    for party in (victim,) if place.private else honest:
        assert verdict_of(outcomes[party]) is Verdict.BLAMED, repr(outcomes[party])
        assert outcomes[party].culprits == {CULPRIT}
        assert max(frame.round for frame in network.sent if frame.sender == party) <= place.round


def verdict_of(outcome: Any) -> Verdict:
    if isinstance(outcome, Blame):
        return Verdict.BANNED if outcome.ban else Verdict.BLAMED
    if isinstance(outcome, ParameterMismatch):
        return Verdict.NAMED
    if isinstance(outcome, Abort):
        return Verdict.ABORTED
    if isinstance(outcome, Stalled):
        return Verdict.STALLED
    assert not isinstance(outcome, Exception), repr(outcome)
    return Verdict.DONE


def material() -> bytes:
    """All that the parties hold of the key that is attacked."""
    parts = [each for one in key("ABC", 2).values() for each in (one.share, *one.pairs.values())]
    return TH("test/material", *(part.encode() for part in parts))


UNTOUCHED = material()


@cache
def still_signs(banned: bool) -> None:
    """The shares that were there before still sign; whose pair is destroyed, not with the culprit. Asked once: the
    material is the same after each attack.
    """
    request = SignRequest(room="afterwards", size=2, digest=DIGEST)
    by_name = {one.public: one for one in identities("ABC")}
    if banned:
        left = {
            party: result
            if party == CULPRIT
            else type(result)(
                **{**vars(result), "pairs": {peer: pair for peer, pair in result.pairs.items() if peer != CULPRIT}}
            )
            for party, result in key("ABC", 2).items()
        }
        refused = run_sign(left, [by_name[CULPRIT], by_name[VICTIM]], request)[VICTIM]
        assert type(refused) is Abort
        assert "no set-up" in refused.reason
        signers, results = [by_name[VICTIM], by_name[BYSTANDER]], left
    else:
        signers, results = [by_name[CULPRIT], by_name[VICTIM]], dict(key("ABC", 2))
    assert all(isinstance(outcome, Signature) for outcome in run_sign(results, signers, request).values())
