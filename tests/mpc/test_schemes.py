"""Key generation and resharing of Ed25519 and BIP340: the same protocols without oblivious transfers.

What lies lead to: test_scheme_lies.py and tests/mpc/attacks/table_frost.py.
"""

from itertools import combinations
from typing import Any

import pytest

from mpc.dealing import judge
from mpc.errors import Blame, Malformed, ParameterMismatch
from mpc.identity import Identity
from mpc.keygen import KeygenConfig, KeygenResult, verify_preimage
from mpc.reshare import ReshareResult
from mpc.reshare import verify_preimage as verify_reshare
from mpc.schemes import SCHEMES, group_of, scheme_of
from mpc.shares import Share
from mpc.sharing import interpolate, lagrange, ranks
from mpc.wire import (
    KeygenDeal,
    encode,
)
from tests.mpc.simulator import (
    Lie,
    Network,
    Stalled,
    change,
    edit,
    flipped,
    forged_share,
    identities,
    identity,
    key,
    reshare_parties,
    run_frost,
    run_keygen,
    telling,
)
from tests.mpc.test_frost import request, signs

FROST = tuple(name for name, scheme in SCHEMES.items() if not scheme.pairwise)
PARTIES = identities("ABC")
A, B, C = (one.public for one in PARTIES)
KEYS = {scheme: key("ABC", 2, scheme) for scheme in SCHEMES}  # made before anybody lies


def ids(*parties: Identity) -> set[bytes]:
    return {one.public for one in parties}


def shift(scheme: str) -> Any:
    group = group_of(scheme)
    return lambda data: group.encode_scalar(group.decode_scalar(data) + 1)


@pytest.mark.parametrize("scheme", FROST)
def test_a_key_has_no_set_ups_and_says_what_it_is(scheme: str) -> None:
    network = Network()
    outcomes = run_keygen(PARTIES, 2, network, scheme=scheme)
    assert len({(one.sid, one.gid, one.digest, one.preimage) for one in outcomes.values()}) == 1
    statement = verify_preimage(outcomes[A].preimage)
    group = group_of(scheme)
    assert {len(point) for point in (*statement.feldman, *statement.public_shares)} == {group.point_length}
    for result in outcomes.values():
        assert isinstance(result, KeygenResult)
        assert result.pairs == {}
        assert result.share.scheme == statement.scheme == scheme
        assert Share.decode(result.share.encode()).public_key == statement.public_key
    secret = sum(lagrange(group, one.share.x, (1, 2)) * one.share.scalar for one in (outcomes[A], outcomes[B]))
    assert group.base_mul(secret).to_bytes() == statement.public_key
    assert len({result.share.chain_code for result in outcomes.values()}) == 1
    rounds = {(frame.round, bool(frame.receiver)) for frame in network.sent}
    assert rounds == {(0, False), (1, False), (2, False), (2, True), (4, False)}


def test_a_preimage_of_another_group_does_not_verify() -> None:
    statement = verify_preimage(KEYS["bip340"][A].preimage)
    statement.scheme = "ed25519"
    with pytest.raises(Malformed):
        verify_preimage(encode(statement))


@pytest.mark.parametrize("scheme", FROST)
def test_a_complaint_is_judged_in_its_group(scheme: str) -> None:
    with telling(Lie(A, 2, edit(KeygenDeal, change("deal", "share", to=shift(scheme))), receiver=B)):
        outcome = run_keygen(PARTIES, 2, scheme=scheme)[B]
    assert isinstance(outcome, Blame)
    sid = outcome.evidence[outcome.evidence.index(b"\x01\x01\x02") + 3 :][:32]
    xs = ranks(one.public for one in PARTIES)
    assert judge(outcome.evidence, group_of(scheme), sid, xs).culprits == {A}


def test_schemes_do_not_mix() -> None:
    def config(scheme: str) -> Any:
        return KeygenConfig(room="keygen", scheme=scheme, t=2, identities=tuple(ids(*PARTIES)))

    from mpc.keygen import keygen
    from mpc.protocol import SystemRng

    schemes = dict(zip(PARTIES, ("ecdsa", "bip340", "bip340"), strict=True))
    outcomes = Network().run({one.public: keygen(one, config(scheme), SystemRng()) for one, scheme in schemes.items()})
    assert {outcome.field for outcome in outcomes.values()} == {"scheme"}


# 2-of-3 {A, B, C} to 3-of-5 {A, B, D, E, F}: one leaver, three joiners.
def moved(scheme: str, network: Network | None = None) -> dict[bytes, Any]:
    return (network or Network()).run(reshare_parties(KEYS[scheme], "ABCDEF", "ABDEF", 3))


@pytest.mark.parametrize("scheme", FROST)
def test_a_reshare_keeps_the_key_and_old_and_new_shares_do_not_mix(scheme: str) -> None:
    old, network, group = KEYS[scheme], Network(), group_of(scheme)
    new = moved(scheme, network)
    assert all(isinstance(outcome, ReshareResult) for outcome in new.values()), new
    assert {(frame.round, bool(frame.receiver)) for frame in network.sent} == {
        *((number, False) for number in (0, 1, 2, 5)),
        (2, True),
    }
    left = identity("C").public
    assert new[left].share is None
    assert all(result.pairs == {} for result in new.values())
    statement = verify_reshare(new[left].preimage, old[left].share.description())
    assert statement.public_key == old[left].share.public_key
    for names in ("ABD", "DEF", "ABDEF"):
        signs(new, names, request(len(names), path=(1,)))
    signs(old, "AC", request(path=(1,)))

    shares = {one.share.x: one.share for one in new.values() if one.share}
    points = {x: group.base_mul(share.scalar) for x, share in shares.items()}
    for size in (2, 3):
        for xs in combinations(points, size):
            found = interpolate(group, {x: points[x] for x in xs}).to_bytes()
            assert (found == statement.public_key) == (size == 3)
    before = {one.share.x: one.share for one in old.values()}
    for xs in combinations(range(1, 4), 3):
        for split in range(1, 3):
            secret = sum(lagrange(group, x, xs) * (before if i < split else shares)[x].scalar for i, x in enumerate(xs))
            assert group.base_mul(secret).to_bytes() != statement.public_key
    mixed = {**new, identity("A").public: old[identity("A").public]}
    outcomes = run_frost(mixed, [identity(name) for name in "ABD"], request(3))
    assert {type(outcome) for outcome in outcomes.values()} <= {ParameterMismatch, Stalled}
    assert any(isinstance(outcome, ParameterMismatch) for outcome in outcomes.values())


@pytest.mark.parametrize("scheme", FROST)
def test_a_refresh_and_a_reshare_after_it(scheme: str) -> None:
    refreshed = Network().run(reshare_parties(KEYS[scheme], "ABC", "ABC", 2))
    signs(refreshed, "BC", request())
    again = Network().run(reshare_parties(refreshed, "ABD", "AD", 2))
    signs(again, "AD", request())
    assert again[identity("D").public].share.public_key == KEYS[scheme][A].share.public_key


@pytest.mark.parametrize(
    ("scheme", "expected", "taken"),
    [
        ("ed25519", lambda key: key, True),
        ("bip340", lambda key: key, True),
        ("bip340", lambda key: key[1:], True),
        ("bip340", lambda key: bytes(32), False),
        ("ed25519", lambda key: key[1:], False),
        ("ed25519", lambda key: b"-", False),
        ("ecdsa", lambda key: key[1:], False),
    ],
)
def test_a_joiner_expects_a_key_as_users_know_it(scheme: str, expected: Any, taken: bool) -> None:
    old = KEYS[scheme]
    named = expected(old[A].share.public_key)
    outcomes = Network().run(reshare_parties(old, "ABD", "ABD", 2, special={"D": {"expected_pubkey": named}}))
    joiner = outcomes[identity("D").public]
    assert isinstance(joiner, ReshareResult if taken else ParameterMismatch), joiner


def test_schemes_have_names() -> None:
    assert {scheme.name for scheme in SCHEMES.values()} == set(SCHEMES) == {"ecdsa", "ed25519", "bip340"}
    for name in ("rsa", "", "ECDSA"):
        with pytest.raises(ValueError, match="unknown scheme"):
            scheme_of(name)


@pytest.mark.parametrize(("scheme", "lengths"), [("ecdsa", {33}), ("ed25519", {32}), ("bip340", {32, 33})])
def test_keys_are_named_in_the_forms_of_their_scheme(scheme: str, lengths: set[int]) -> None:
    public_key, of = KEYS[scheme][A].share.public_key, scheme_of(scheme)
    assert of.key_lengths == lengths
    assert len(of.shown(public_key)) == min(lengths)
    assert of.is_named(public_key, by=public_key)
    assert of.is_named(public_key, by=of.shown(public_key))
    assert of.is_named(public_key, by=public_key[1:]) == (scheme == "bip340")
    assert not of.is_named(public_key, by=flipped(public_key))


def test_a_share_of_one_scheme_is_none_of_another() -> None:
    for scheme, other in (("bip340", "ed25519"), ("ed25519", "bip340")):
        share = KEYS[scheme][A].share
        with pytest.raises(Malformed):
            Share.decode(forged_share(share, scheme=other).encode())
