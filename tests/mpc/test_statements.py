"""Public statements, check by check: the reason is asserted, so that no check hides behind a later one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any
from unittest.mock import patch

import pytest

from mpc import keygen as keygens
from mpc.envelope import make_body
from mpc.errors import Blame, Malformed
from mpc.group import SECP256K1 as G
from mpc.keygen import KeygenStatement
from mpc.reshare import verify_preimage
from mpc.statements import ReshareRecord, dealt_openings
from mpc.wire import Opening, Participant, Promise, ReshareOpening, decode, encode
from tests.mpc.simulator import Network, blames, change, flipped, identities, identity, key, reshare_parties

PARTIES = {one.public: one for one in identities("ABCD")}
OLD = key("ABC", 2)
STRANGER = identity("Z").public


@cache
def reshared() -> tuple[bytes, bytes]:
    """(preimage, sid): A and B stay, C leaves, D joins; C does not deal."""
    network = Network()
    results = network.run(reshare_parties(OLD, "ABCD", "ABD", 2, special={"C": {"deals": False}}))
    return results[identity("A").public].preimage, next(frame.body[3:35] for frame in network.sent if frame.round == 1)


def record() -> ReshareRecord:
    return decode(ReshareRecord, reshared()[0])


def participants(alter: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> Callable[[ReshareRecord], None]:
    return change("participants", to=alter)


def resign_echo(found: ReshareRecord) -> None:
    """The last sender's R2 with another echo, validly signed."""
    body = found.round_2[-1]
    message = decode(ReshareOpening, body[99:-64])
    message.echo = flipped(message.echo)
    found.round_2 = (*found.round_2[:-1], make_body(PARTIES[body[35:67]], body[:99], encode(message)))


def strange(found: tuple[Any, ...]) -> tuple[Any, ...]:
    more = (STRANGER, Participant(role="existing", nonce=bytes(32), ephemeral=bytes(32)))
    return tuple(sorted((*found, more), key=lambda entry: entry[0]))


WRONG: dict[str, tuple[Callable[[ReshareRecord], None], str]] = {
    "version": (change("version", to=2), "version"),
    "an old quorum not wholly stated": (change("fields", "public_key", to=None), "known here"),
    "an old threshold of one": (change("fields", "old_t", to=1), "a quorum needs"),
    "a new threshold of one": (change("fields", "new_t", to=1), "a quorum needs"),
    "a new party twice": (change("fields", "new_identities", to=lambda ids: (ids[0], *ids[:-1])), "twice"),
    "the new quorum out of order": (
        change("fields", "new_identities", to=lambda ids: ids[::-1]),
        "order of identities",
    ),
    "the old quorum out of order": (
        change("fields", "old_identities", to=lambda ids: ids[::-1]),
        "order of identities",
    ),
    "no d": (change("fields", "d", to=None), "d, k or"),
    "d too low": (change("fields", "d", to=1), "d, k or"),
    "d too high": (change("fields", "d", to=4), "d, k or"),
    "k of 0": (change("k", to=0), "d, k or"),
    "a public share less": (change("fields", "public_shares", to=lambda points: points[:-1]), "d, k or"),
    "a public share more": (
        change("fields", "public_shares", to=lambda points: (*points, points[0])),
        "d, k or",
    ),
    "participants out of order": (participants(lambda found: found[::-1]), "order of participants"),
    "a participant twice": (participants(lambda found: (*found, found[-1])), "order of participants"),
    "a participant of neither quorum": (participants(strange), "of neither quorum"),
    "a new party that took no part": (participants(lambda found: found[1:]), "of neither quorum|new party missing"),
    "d for which too few dealt": (change("fields", "d", to=3), "too few dealers"),
    "R2 with another echo": (resign_echo, "echo"),
    "a dealer that was not of the old quorum": (
        change("fields", "old_identities", to=lambda ids: tuple(sorted((*ids[1:], STRANGER)))),
        "of the old quorum|neither quorum",
    ),
    "another public key": (change("fields", "public_key", to=G.generator.to_bytes()), "do not add up|constant term"),
}


@pytest.mark.parametrize(("alter", "reason"), WRONG.values(), ids=WRONG)
def test_each_check_speaks(alter: Callable[[ReshareRecord], None], reason: str) -> None:
    """The sid is held fixed: it would give most of these away by itself, later."""
    preimage, sid = reshared()
    assert verify_preimage(preimage).d == 2
    found = record()
    alter(found)
    with patch("mpc.statements.attempt_sid", lambda *_: sid), pytest.raises(Malformed, match=reason):
        verify_preimage(encode(found))


def test_a_refresh_has_no_other_participants() -> None:
    network = Network()
    preimage = network.run(reshare_parties(OLD, "ABC", "ABC", 2))[identity("A").public].preimage
    assert set(verify_preimage(preimage).new_identities) == {one.public for one in identities("ABC")}


def statement() -> KeygenStatement:
    return decode(KeygenStatement, OLD[identity("A").public].preimage)


OTHER = G.base_mul(5).to_bytes()
KEYGEN_WRONG: dict[str, tuple[Callable[[Any], None], str]] = {
    "version": (change("version", to=2), "version"),
    "an unknown scheme": (change("scheme", to="rsa"), "scheme"),
    "a threshold of one": (change("t", to=1), "a quorum needs"),
    "parties out of order": (change("identities", to=lambda ids: ids[::-1]), "order"),
    "a higher threshold": (change("t", to=3), "not t points"),
    "another public key": (change("public_key", to=OTHER), "not t points"),
    "a point of another polynomial": (change("feldman", to=lambda points: (points[0], OTHER)), "do not lie"),
    "another public share": (change("public_shares", to=lambda points: (*points[:-1], OTHER)), "do not lie"),
    "a public share less": (change("public_shares", to=lambda points: points[:-1]), "do not lie"),
    "a public share more": (change("public_shares", to=lambda points: (*points, OTHER)), "do not lie"),
    "what is no point": (change("feldman", to=lambda points: (points[0], bytes(33))), "point"),
}


@pytest.mark.parametrize(("alter", "reason"), KEYGEN_WRONG.values(), ids=KEYGEN_WRONG)
def test_each_check_of_a_key_generation_speaks(alter: Callable[[Any], None], reason: str) -> None:
    found = statement()
    assert keygens.verify_preimage(encode(found)).digest == OLD[identity("A").public].digest
    alter(found)
    with pytest.raises(Malformed, match=reason):
        keygens.verify_preimage(encode(found))


OPENING = Opening(points=(), proofs=(), blind=bytes(32))
HALVES = {
    "commitment without opening": (bytes(32), None),
    "opening without commitment": (b"", OPENING),
    "a commitment cut": (bytes(31), OPENING),
}


@pytest.mark.parametrize(("commitment", "opening"), HALVES.values(), ids=HALVES)
def test_who_deals_by_halves_is_blamed(commitment: bytes, opening: Opening | None) -> None:
    a, b = sorted(PARTIES)[:2]
    promises = {a: Promise(commitment=bytes(32), receipt=b""), b: Promise(commitment=commitment, receipt=b"")}
    with pytest.raises(Blame) as blame:
        dealt_openings(promises, {a: OPENING, b: opening})
    assert blames(blame.value) == ({b}, False)


def test_who_does_not_deal_has_no_opening() -> None:
    a, b = sorted(PARTIES)[:2]
    promises = {a: Promise(commitment=bytes(32), receipt=b""), b: Promise(commitment=b"", receipt=b"")}
    assert dealt_openings(promises, {a: OPENING, b: None}) == {a: OPENING}
