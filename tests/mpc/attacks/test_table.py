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
from mpc.frost.signing import FrostRequest
from mpc.hashing import TH
from mpc.schemes import group_of
from mpc.sign import Signature, SignRequest
from tests.mpc.attacks import table_batch, table_export, table_frost, table_keygen, table_reshare, table_sign
from tests.mpc.attacks.attacker import BYSTANDER, CULPRIT, DIGEST, JOINER, VICTIM, Attacker, attack, earlier
from tests.mpc.attacks.manipulations import Manipulation, manipulations
from tests.mpc.attacks.places import (
    ATTACKED,
    FROST,
    NOT_SENT,
    PLACES,
    Place,
    Spot,
    all_spots,
    message_types,
    spots_of,
    types_in,
)
from tests.mpc.attacks.verdicts import Row, Verdict
from tests.mpc.simulator import Stalled, identities, key, run_frost, run_sign

TABLES = {
    "keygen": table_keygen.ROWS,
    "sign": table_sign.ROWS,
    "batch": table_batch.ROWS,
    "reshare": table_reshare.ROWS,
    "export": table_export.EXPORT,
    "import": table_export.IMPORT,
    **{
        f"{protocol} {scheme}": table
        for scheme in FROST
        for protocol, table in (
            ("keygen", table_frost.KEYGEN),
            ("frost", table_frost.SIGN),
            ("batch", table_batch.FROST),
            ("reshare", table_frost.RESHARE),
            ("export", table_export.EXPORT_BARE),
            ("import", table_export.IMPORT_BARE),
        )
    },
}


def parties_of(place: Place) -> tuple[bytes, ...]:
    if place.protocol == "export":
        return CULPRIT, VICTIM
    return (CULPRIT, VICTIM, BYSTANDER, *((JOINER,) if place.protocol == "reshare" else ()))


def row_of(spot: Spot, liar: bytes) -> Row:
    special = table_reshare.JOINERS if liar == JOINER else {}
    return special.get(spot.name, TABLES[spot.place.world][spot.name])


def changes_of(spot: Spot) -> list[Manipulation]:
    return list(manipulations(spot.nature, group_of(spot.place.scheme)))


def a_joiner_says(spot: Spot) -> bool:
    """It has nothing to deal, says nothing of the old quorum, and is not heard in private where there are no pairs."""
    silent = {"fields.d", "deal", "opening", *(name.split()[-1] for name in table_reshare.DESCRIBED)}
    silent -= {"fields.scheme"}
    heard = spot.place.scheme == "ecdsa" or not spot.place.private
    return spot.place.protocol == "reshare" and heard and not {".".join(spot.path), spot.path[0]} & silent


def cases() -> list[Any]:
    """(spot, manipulation, liar): every field; a joiner's too, where it has something to say."""
    found = [(spot, CULPRIT, one) for spot in all_spots() for one in changes_of(spot)]
    found += [(spot, JOINER, one) for spot, _, one in found if a_joiner_says(spot)]
    return [
        pytest.param(spot, one, liar, id=f"{spot}: {one.name}{' by a joiner' * (liar == JOINER)}")
        for spot, liar, one in found
    ]


def test_every_field_has_a_row_and_every_row_a_field() -> None:
    rows: dict[str, set[str]] = {world: set() for world in TABLES}
    for spot in all_spots():
        rows[spot.place.world].add(spot.name)
    for world, table in TABLES.items():
        if world.endswith("ed25519"):  # part of BIP340's
            assert rows[world] < set(table)
        else:
            assert rows[world] == set(table)


def test_every_message_type_travels_or_says_why_not() -> None:
    assert message_types() == set.union(*map(types_in, PLACES)) | set(NOT_SENT)
    assert not set.union(*map(types_in, PLACES)) & set(NOT_SENT)


@pytest.mark.parametrize("world", TABLES)
def test_honest_sessions_send_what_the_places_say(world: str) -> None:
    """Each message is of the type that stands at its place, each place is used, and all goes well."""
    listener = Attacker()
    outcomes, network = attack(world, listener)
    assert not [outcome for outcome in outcomes.values() if isinstance(outcome, Exception)]
    assert set(listener.said) == {place for place in PLACES if place.world == world}
    assert {(frame.round, bool(frame.receiver)) for frame in network.sent} == {
        (place.round, place.private) for place in PLACES if place.world == world
    }


def test_every_row_says_why_a_lie_goes_unpunished() -> None:
    for table in (*TABLES.values(), table_reshare.JOINERS):
        for name, row in table.items():
            mild = {row.lie, *row.but.values()} & {Verdict.DONE, Verdict.STALLED}
            assert row.why or not mild, name
            assert set(row.but) <= {one.name for spot in all_spots() for one in changes_of(spot)}, name


@pytest.mark.parametrize(("spot", "manipulation", "liar"), cases())
def test_each_lie_has_its_verdict(spot: Spot, manipulation: Manipulation, liar: bytes) -> None:
    place, row = spot.place, row_of(spot, liar)
    attacker = Attacker(liar, row.victim, spot, manipulation, earlier(place.world, row.victim))
    outcomes, network = attack(place.world, attacker)
    assert attacker.changed == (manipulation.name not in row.same)
    if not attacker.changed:
        return
    expected = row.verdict(manipulation, hello=place.round == 0)
    honest = [party for party in parties_of(place) if party != liar]
    for party in (row.victim,) if place.private else honest:
        assert verdict_of(outcomes[party]) == expected, repr(outcomes[party])
        if expected is not Verdict.DONE:
            last = max(frame.round for frame in network.sent if frame.sender == party)
            assert last <= place.round + row.found_after.get(manipulation.kind, 0), "went on after the lie"
    for party in honest:
        outcome = outcomes[party]
        if isinstance(outcome, Blame):
            assert outcome.culprits == {liar}, "an honest party is blamed"
        if expected is not Verdict.DONE and not row.others_finish:
            assert isinstance(of_attacked(outcome), Exception), "somebody holds a result"
    if place.protocol not in ("keygen", "import") and place.round and expected is not Verdict.DONE:
        assert material(place.scheme) == UNTOUCHED[place.scheme]
        still_signs(place.scheme, banned=expected is Verdict.BANNED)


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
@pytest.mark.parametrize("place", [p for p in PLACES if p.round and p.scheme != "ed25519"], ids=str)
def test_what_does_not_parse_is_blamed_in_its_round(place: Place, garble: Callable[[bytes], bytes]) -> None:
    """It is signed: its sender is to blame. (A hello that does not parse is dropped: see the table.)"""
    spot = next(spots_of(place))
    victim = row_of(spot, CULPRIT).victim
    outcomes, network = attack(place.world, Attacker(victim=victim, spot=spot, garble=garble))
    honest = [party for party in parties_of(place) if party != CULPRIT]
    for party in (victim,) if place.private else honest:
        assert verdict_of(outcomes[party]) is Verdict.BLAMED, repr(outcomes[party])
        assert outcomes[party].culprits == {CULPRIT}
        assert max(frame.round for frame in network.sent if frame.sender == party) <= place.round


def of_attacked(outcome: Any) -> Any:
    """Of a batch, what came of the item that was attacked."""
    return outcome[ATTACKED] if isinstance(outcome, tuple) else outcome


def verdict_of(outcome: Any) -> Verdict:
    outcome = of_attacked(outcome)
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


def material(scheme: str) -> bytes:
    """All that the parties hold of the key that is attacked."""
    parts = [each for one in key("ABC", 2, scheme).values() for each in (one.share, *one.pairs.values())]
    return TH("test/material", *(part.encode() for part in parts))


UNTOUCHED = {scheme: material(scheme) for scheme in ("ecdsa", *FROST)}


@cache
def still_signs(scheme: str, banned: bool) -> None:
    """The shares that were there before still sign; whose pair is destroyed, not with the culprit. Asked once: the
    material is the same after each attack.
    """
    by_name = {one.public: one for one in identities("ABC")}
    both, results = [by_name[CULPRIT], by_name[VICTIM]], dict(key("ABC", 2, scheme))
    if scheme in FROST:
        assert not banned
        outcomes = run_frost(results, both, FrostRequest(room="afterwards", size=2, message=DIGEST))
        assert all(isinstance(outcome, bytes) for outcome in outcomes.values())
        return
    request = SignRequest(room="afterwards", size=2, digest=DIGEST)
    if banned:
        results = {
            party: result
            if party == CULPRIT
            else type(result)(
                **{**vars(result), "pairs": {peer: pair for peer, pair in result.pairs.items() if peer != CULPRIT}}
            )
            for party, result in results.items()
        }
        refused = run_sign(results, both, request)[VICTIM]
        assert type(refused) is Abort
        assert "no set-up" in refused.reason
        both = [by_name[VICTIM], by_name[BYSTANDER]]
    assert all(isinstance(outcome, Signature) for outcome in run_sign(results, both, request).values())
