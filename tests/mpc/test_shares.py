"""Shares: none is unchecked, and nothing but a checked one signs or is dealt."""

import dataclasses
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest

from mpc.errors import Malformed
from mpc.group import SECP256K1 as G
from mpc.hashing import TH
from mpc.protocol import SystemRng
from mpc.reshare import reshare
from mpc.schemes import group_of
from mpc.secret import Secret
from mpc.shares import PairState, Share, UncheckedShare
from mpc.sharing import evaluate
from mpc.sign import SignRequest, sign
from mpc.wire import decode, encode
from tests.mpc.simulator import flipped, identities, key, reshare_config

PARTIES = identities("ABC")
RESULT = key("ABC", 2)[PARTIES[1].public]
SHARE = RESULT.share


def unchecked() -> UncheckedShare:
    return decode(UncheckedShare, SHARE.encode())


def test_a_share_comes_back_as_it_was() -> None:
    again = unchecked().check()
    assert isinstance(again, Share)
    assert again.secret.equals(SHARE.secret)
    assert again.encode() == SHARE.encode()
    assert (again.identity, again.n, again.public_key) == (PARTIES[1].public, 3, SHARE.feldman[0].to_bytes())


@pytest.mark.parametrize("x", [1, 2, 3])
def test_every_partys_share_loads(x: int) -> None:
    share = key("ABC", 2)[SHARE.identities[x - 1]].share
    assert Share.decode(share.encode()).x == x


@pytest.mark.parametrize("x", [0, 4])
def test_a_point_of_the_polynomial_that_is_nobodys_is_no_share(x: int) -> None:
    """f(0), the key itself, and a fourth share of three: both fit the public points."""
    first, second = (key("ABC", 2)[party].share.scalar for party in SHARE.identities[:2])
    value = Secret(G.encode_scalar(first + (x - 1) * (second - first)))
    assert G.base_mul(G.decode_scalar(value.reveal())) == evaluate(G, SHARE.feldman, x)
    with pytest.raises(Malformed, match="coordinate"):
        dataclasses.replace(SHARE, x=x, secret=value)


OTHER = G.base_mul(5).to_bytes()
LIES: dict[str, dict[str, Any]] = {
    "another version": {"version": 2},
    "an unknown scheme": {"scheme": "rsa"},
    "t below 2": {"t": 1},
    "t above n": {"t": 4},
    "t that the points do not have": {"t": 3},
    "a party twice": {"identities": (PARTIES[0].public,) * 3},
    "parties out of order": {"identities": tuple(reversed(SHARE.identities))},
    "coordinate 0": {"x": 0},
    "a coordinate beyond n": {"x": 4},
    "another party's coordinate": {"x": 1},
    "another secret": {"secret": flipped(SHARE.secret.reveal())},
    "secret 0": {"secret": bytes(32)},
    "a secret that is not reduced": {"secret": b"\xff" * 32},
    "too few points": {"feldman": (SHARE.feldman[0].to_bytes(),)},
    "too many points": {"feldman": (*(point.to_bytes() for point in SHARE.feldman), OTHER)},
    "another public key": {"feldman": (OTHER, SHARE.feldman[1].to_bytes())},
    "another coefficient": {"feldman": (SHARE.feldman[0].to_bytes(), OTHER)},
    "bytes that are no point": {"feldman": (bytes(33), OTHER)},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_share_that_does_not_fit_together(lie: dict[str, Any]) -> None:
    stored = unchecked()
    for name, value in lie.items():
        setattr(stored, name, value)
    with pytest.raises(Malformed):
        stored.check()
    with pytest.raises(Malformed):
        Share.decode(encode(stored))


def test_secret_zero_is_refused_where_it_lies_on_the_polynomial() -> None:
    """A(x) = 0 at this x: everything else fits."""
    slope = G.base_mul(7)
    feldman = (G.negate(G.mul_public(slope, SHARE.x)), slope)
    assert evaluate(G, feldman, SHARE.x).is_identity
    with pytest.raises(Malformed):
        dataclasses.replace(SHARE, feldman=feldman, secret=Secret(bytes(32)))


def test_a_share_is_checked_however_it_is_made() -> None:
    with pytest.raises(Malformed):
        dataclasses.replace(SHARE, secret=Secret(flipped(SHARE.secret.reveal())))
    with pytest.raises(Malformed):
        dataclasses.replace(SHARE, x=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        SHARE.secret = Secret(bytes(32))  # type: ignore[misc]


@pytest.mark.parametrize(("protocol", "name"), [(sign, "share"), (reshare, "old")])
def test_the_protocols_ask_for_a_checked_share(protocol: Callable[..., Any], name: str) -> None:
    """What mypy checks at every call: an UncheckedShare is no Share."""
    assert get_type_hints(protocol)[name] in (Share, Share | None)
    assert not issubclass(UncheckedShare, Share)


def test_an_unchecked_share_neither_signs_nor_is_dealt() -> None:
    me, stored = PARTIES[1], unchecked()
    request = SignRequest(room="room", size=2, digest=bytes(32))
    with pytest.raises((AttributeError, TypeError)):
        next(sign(me, stored, RESULT.pairs, request, SystemRng()))  # type: ignore[arg-type]
    config = reshare_config("ABC", 2, "existing", 3)
    with pytest.raises((AttributeError, TypeError)):
        next(reshare(me, config, stored, SystemRng()))  # type: ignore[arg-type]


def test_pairs_come_back_as_they_were_and_refuse_another_version() -> None:
    pair = RESULT.pairs[PARTIES[0].public]
    again = PairState.decode(pair.encode())
    assert again.encode() == pair.encode()
    assert again.zero_seed.equals(pair.zero_seed)
    encoded = pair.encode()
    assert encoded[1] == 1
    for wrong in (encoded[:1] + b"\x02" + encoded[2:], encoded[:-1], encoded + b"\0"):
        with pytest.raises(Malformed):
            PairState.decode(wrong)


def test_unknown_schemes_have_no_group() -> None:
    assert group_of("ecdsa") is G
    with pytest.raises(ValueError, match="unknown scheme"):
        group_of("rsa")


def test_another_generations_share_is_another_share() -> None:
    assert dataclasses.replace(SHARE, gid=TH("other")).encode() != SHARE.encode()
