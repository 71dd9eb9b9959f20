"""Resharing: the same public key at another quorum, and promises before anything is dealt."""

from itertools import combinations
from typing import Any

import pytest

from mpc.attempt import HelloComplete
from mpc.derive import offset
from mpc.errors import Abort, ParameterMismatch
from mpc.group import SECP256K1 as G
from mpc.hashing import TH
from mpc.protocol import Checkpoint, Frame, SystemRng
from mpc.reshare import Promises, ReshareResult, reshare
from mpc.sharing import interpolate, lagrange
from mpc.sign import SignRequest
from tests.mpc.reshares import OLD, PUBLIC_KEY, A, B, C, run
from tests.mpc.simulator import (
    Network,
    Stalled,
    approve,
    identities,
    identity,
    reshare_config,
    reshare_parties,
    run_sign,
)

# 2-of-3 {A, B, C} to 3-of-5 {A, B, D, E, F}: one leaver, three joiners.
MOVED = run("ABCDEF", "ABDEF", 3)


def request(size: int, **more: Any) -> SignRequest:
    return SignRequest(room="after", size=size, digest=TH("test/after"), **more)


@pytest.mark.parametrize(
    ("names", "new", "new_t"),
    [
        pytest.param("ABC", "ABC", 2, id="refresh"),
        pytest.param("ABC", "AB", 2, id="smaller"),
        pytest.param("ABD", "ABD", 2, id="a leaver outside the room"),
        pytest.param("ABDE", "DE", 2, id="nobody remains, the leavers deal"),
        pytest.param("ABC", "ABC", 3, id="higher threshold"),
    ],
)
def test_the_public_key_stays_and_the_new_quorum_signs(names: str, new: str, new_t: int) -> None:
    more = {name: {"expected_pubkey": PUBLIC_KEY} for name in new if name not in "ABC"}
    outcomes = run(names, new, new_t, **more)
    assert all(isinstance(outcome, ReshareResult) for outcome in outcomes.values()), outcomes
    signers = identities(new)[:new_t]
    shares = [outcomes[one.public].share for one in signers]
    assert {share.public_key for share in shares} == {PUBLIC_KEY}
    assert {share.chain_code for share in shares} == {OLD[A].share.chain_code}
    signature = run_sign(outcomes, signers, request(new_t))[signers[0].public]
    assert signature.s <= G.order // 2, signature


def test_any_three_of_the_new_five_hold_the_key_and_two_do_not() -> None:
    shares = {outcome.share.x: outcome.share for outcome in MOVED.values() if outcome.share}
    points = {x: G.base_mul(share.scalar) for x, share in shares.items()}
    assert all(point == shares[x].public_shares[x - 1] for x, point in points.items())
    for size in (2, 3, 4):
        for xs in combinations(points, size):
            found = interpolate(G, {x: points[x] for x in xs}).to_bytes()
            assert (found == PUBLIC_KEY) == (size >= 3), xs


def test_three_of_five_sign_under_the_same_key_and_its_children() -> None:
    for path in ((), (7,)):
        signers = [identity(name) for name in "DEF"]
        outcomes = run_sign(MOVED, signers, request(3, path=path))
        assert len(set(outcomes.values())) == 1, outcomes
    assert offset(PUBLIC_KEY, MOVED[A].share.chain_code, (7,)) == offset(PUBLIC_KEY, OLD[A].share.chain_code, (7,))


def test_the_leaver_knows_the_digest_and_no_share() -> None:
    assert MOVED[C].share is None
    assert not MOVED[C].pairs
    assert len({(one.rid, one.k, one.gid_new, one.digest, one.preimage) for one in MOVED.values()}) == 1
    assert MOVED[A].share.gid == MOVED[A].gid_new != OLD[A].gid


def test_old_and_new_shares_do_not_mix() -> None:
    mixed = {A: OLD[A], B: MOVED[B]}
    outcomes = run_sign(mixed, [identity("A"), identity("B")], request(3))
    assert {type(outcome) for outcome in outcomes.values()} == {Stalled}
    both = run_sign({**MOVED, A: OLD[A]}, [identity(name) for name in "ABD"], request(3))
    named = [outcome.field for outcome in both.values() if isinstance(outcome, ParameterMismatch)]
    assert named
    assert not [outcome for outcome in both.values() if not isinstance(outcome, ParameterMismatch | Stalled)]
    old = {one.share.x: one.share for one in OLD.values()}
    new = {one.share.x: one.share for one in MOVED.values() if one.share}
    for xs in combinations(range(1, 4), 3):
        for split in range(1, 3):
            secret = sum(lagrange(G, x, xs) * (old if i < split else new)[x].scalar for i, x in enumerate(xs))
            assert G.base_mul(secret).to_bytes() != PUBLIC_KEY


def test_too_few_new_ones_are_refused() -> None:
    with pytest.raises(ValueError, match="3 to 5 signers"):
        run_sign(MOVED, [identity("D"), identity("E")], request(2))


def test_a_second_reshare_starts_from_the_first() -> None:
    outcomes = Network().run(reshare_parties(MOVED, "DEFABC", "DEC", 2))
    assert outcomes[identity("D").public].share.public_key == PUBLIC_KEY
    signers = [identity("C"), identity("D")]
    assert len(set(run_sign(outcomes, signers, request(2)).values())) == 1


def test_promises_travel_with_r1_before_anything_is_dealt() -> None:
    seen: dict[bytes, dict[bytes, bytes]] = {}

    def driver(party: bytes, checkpoint: Checkpoint) -> Any:
        if isinstance(checkpoint, HelloComplete):
            return b"promise of " + party if party in checkpoint.dealers else b""
        if isinstance(checkpoint, Promises):
            seen[party] = checkpoint.receipts
        return None

    run("ABCD", "ABD", 2, Network(on_checkpoint=driver), C={"deals": False})
    dealt = {party: b"promise of " + party for party in (A, B)}
    assert seen == dict.fromkeys((A, B, C, identity("D").public), dealt)


@pytest.mark.parametrize(("kind", "last_round"), [(HelloComplete, 0), (Promises, 1)])
def test_who_may_not_promise_deals_nothing(kind: type[Checkpoint], last_round: int) -> None:
    def refuse(party: bytes, checkpoint: Checkpoint) -> Any:
        if party == A and isinstance(checkpoint, kind):
            raise Abort("a higher ballot was promised")
        return approve(party, checkpoint)

    network = Network(on_checkpoint=refuse)
    outcomes = run("ABC", "ABC", 2, network)
    assert type(outcomes[A]) is Abort
    assert max(frame.round for frame in network.sent if frame.sender == A) == last_round


def test_a_party_whose_share_is_gone_takes_part_for_its_new_one() -> None:
    known = OLD[A].share.description()
    parties = reshare_parties(OLD, "BC", "ABC", 2, special={n: {"size": 3} for n in "BC"})
    config = reshare_config("ABC", 2, "existing", 3, deals=False, old_quorum=known)
    outcomes = Network().run({**parties, A: reshare(identity("A"), config, None, SystemRng())})
    assert outcomes[A].share.public_key == PUBLIC_KEY
    assert len(set(run_sign(outcomes, identities("ABC")[:2], request(2)).values())) == 1


def test_a_leaver_that_says_nothing_in_the_last_round_waits_for_every_proof() -> None:
    def without_b(frame: Frame, receiver: bytes) -> list[Frame]:
        return [] if (frame.round, frame.sender, receiver) == (5, B, C) else [frame]

    outcome = run("ABC", "AB", 2, Network(deliver=without_b))[C]
    assert isinstance(outcome, Stalled)
    assert outcome.round == 5
