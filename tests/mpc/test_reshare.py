"""Resharing: the same public key at another quorum, and who may take part in it under which parameters."""

from itertools import combinations
from typing import Any
from unittest.mock import patch

import pytest

from mpc.attempt import HelloComplete, complete_hellos, rid_of
from mpc.derive import offset
from mpc.envelope import pack_bodies, unpack_bodies
from mpc.errors import Abort, Malformed, ParameterMismatch
from mpc.group import SECP256K1 as G
from mpc.hashing import TH
from mpc.identity import Identity
from mpc.protocol import Checkpoint, Frame, SystemRng
from mpc.quorums import ReshareConfig, deletions_range
from mpc.reshare import Promises, ReshareResult, reshare
from mpc.sharing import interpolate, lagrange
from mpc.sign import SignRequest
from mpc.wire import Description, Hello, ReshareExtra, ReshareFields, encode
from tests.mpc.simulator import (
    Network,
    Stalled,
    approve,
    flipped,
    identities,
    identity,
    key,
    reshare_config,
    reshare_parties,
    run_sign,
)

OLD = key("ABC", 2)
A, B, C = (identity(name).public for name in "ABC")
SORTED = tuple(sorted((A, B, C)))
PUBLIC_KEY = OLD[A].share.public_key


def run(names: str, new: str, new_t: int, network: Network | None = None, **special: Any) -> dict[bytes, Any]:
    return (network or Network()).run(reshare_parties(OLD, names, new, new_t, special=special))


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


def hello_complete(network: Network, party: bytes) -> HelloComplete:
    return next(item for item in network.checkpoints[party] if isinstance(item, HelloComplete))


def test_everybody_names_the_attempt_alike_and_the_hellos_prove_it() -> None:
    network = Network()
    run("ABCD", "ABD", 2, network, A={"highest_k": 4, "receipts": (b"one", b"two")}, B={"highest_k": 2})
    completes = [hello_complete(network, party) for party in network.checkpoints]
    assert len(completes) == 4
    for complete in completes:
        assert complete == completes[0] == rid_of(complete.hellos)
    first = completes[0]
    assert (first.k, first.gid, first.d, first.f, first.p) == (5, OLD[A].gid, 2, 0, 2)
    assert (set(first.dealers), set(first.participants)) == ({A, B, C}, {A, B, C, identity("D").public})
    assert first.receipts[A] == (b"one", b"two")
    assert (first.store_by, first.vote_by, first.old_t, first.new_t) == (120, 604_800, 2, 2)


def test_a_joiner_does_not_number_the_attempt() -> None:
    """Else one that says the highest number of all would leave none for any later attempt of this sharing."""
    network = Network()
    run("ABCD", "ABD", 2, network, A={"highest_k": 4}, D={"highest_k": 2**31 - 2})
    assert {hello_complete(network, party).k for party in network.checkpoints} == {5}


def test_two_attempts_have_two_names() -> None:
    networks = [Network(), Network()]
    for network in networks:
        run("ABC", "ABC", 2, network)
    first, second = (hello_complete(network, A) for network in networks)
    assert first.rid != second.rid
    assert first.gid == second.gid


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


@pytest.mark.parametrize("field", ["store_by", "vote_by", "d", "size", "new_t"])
def test_unequal_parameters_are_named_before_there_is_an_attempt(field: str) -> None:
    values: dict[str, Any] = {"store_by": 5, "vote_by": 5, "d": 3, "new_t": 3}
    parties = reshare_parties(OLD, "ABC", "ABC", 2, special={"B": {"d": 2}} if field == "d" else {})
    base = reshare_config("ABC", 2, "existing", 3)
    fields = {name: getattr(base, name) for name in base.__dataclass_fields__}
    changed = {field: 4 if field == "size" else values[field]}
    other = type(base)(**{**fields, **changed})
    parties[A] = reshare(identity("A"), other, OLD[A].share, SystemRng())
    network = Network()
    outcomes = network.run(parties)
    for party in (B, C):
        assert isinstance(outcomes[party], ParameterMismatch)
        assert outcomes[party].field == field
    assert not network.checkpoints


def test_unequal_generations_are_a_named_error() -> None:
    parties = reshare_parties({**OLD, A: key("ABC", 3)[A]}, "ABC", "ABC", 2)
    outcomes = Network().run(parties)
    assert {outcome.field for outcome in outcomes.values()} == {"gid"}


@pytest.mark.parametrize(
    ("names", "new", "special", "reason"),
    [
        pytest.param("ABC", "ABC", {n: {"deals": False} for n in "AB"}, "1 old parties deal, 2", id="too few deal"),
        pytest.param("ABC", "ABC", {"A": {"d": 3}, "B": {"deals": False}}, "2 old parties deal, 3", id="p is t + f"),
        pytest.param("ABC", "ABD", {}, "not in the room", id="a new party is missing"),
        pytest.param("DE", "DE", {}, "nobody in the room knows", id="no old party"),
        pytest.param("ABD", "D2", {}, "not in the room", id="a new party that nobody saw"),
        pytest.param("ABDE", "DE", {}, "no remaining party vouches", id="joiners without anybody to trust"),
    ],
)
def test_who_must_be_there(names: str, new: str, special: dict[str, Any], reason: str) -> None:
    outcomes = run(names, new, 2, **special)
    joiner = identity("D").public if "vouches" in reason else next(iter(outcomes))
    assert type(outcomes[joiner]) is Abort, outcomes[joiner]
    assert reason in outcomes[joiner].reason


@pytest.mark.parametrize(("field", "value"), [("expected_pubkey", G.generator.to_bytes()), ("old_threshold", 3)])
def test_a_joiners_expectations_are_held(field: str, value: Any) -> None:
    outcomes = run("ABCD", "ABD", 2, D={field: value})
    joiner = outcomes[identity("D").public]
    assert isinstance(joiner, ParameterMismatch)
    assert joiner.field == field
    right = {"expected_pubkey": PUBLIC_KEY, "old_threshold": 2}
    assert isinstance(run("ABCD", "ABD", 2, D=right)[A], ReshareResult)


def forged(change: dict[str, Any]) -> Description:
    description = OLD[A].share.description()
    for name, value in change.items():
        setattr(description, name, value)
    return description


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"public_key": G.generator.to_bytes()}, "do not belong"),
        ({"public_shares": OLD[A].share.description().public_shares[:2]}, "number of public shares"),
        ({"public_shares": (b"\x02" + b"\xff" * 32,) * 3}, "the old quorum: point"),
        ({"public_key": b"\x02" + b"\xff" * 32}, "the old quorum: point"),
        ({"identities": tuple(sorted((A, B, C), reverse=True))}, "order of identities"),
        ({"t": 1}, "quorum"),
        ({"t": 4}, "quorum"),
        ({"scheme": "rsa"}, "scheme"),
    ],
)
def test_a_description_that_all_sign_must_still_hold(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(Abort, match=reason):
        check(forged(change))


@pytest.mark.parametrize(
    ("new_t", "new"),
    [(1, SORTED), (4, SORTED), (2, (A, A, B)), (2, SORTED[::-1])],
    ids=["t = 1", "t > n", "twice", "order"],
)
def test_hellos_that_agree_on_an_impossible_new_quorum_name_no_attempt(new_t: int, new: tuple[bytes, ...]) -> None:
    with pytest.raises(Abort, match="the new quorum"):
        check(forged({}), new_t=new_t, new_identities=new)


def check(description: Description, **more: Any) -> None:
    """The hello round's view of a description that all three old parties state and sign."""
    fields = ReshareFields(
        room="reshare",
        scheme=description.scheme,
        size=3,
        new_identities=more.get("new_identities", SORTED),
        new_t=more.get("new_t", 2),
        store_by=1,
        vote_by=1,
        d=None,
        gid=description.gid,
        old_identities=description.identities,
        old_t=description.t,
        public_key=description.public_key,
        public_shares=description.public_shares,
        chain_code_hash=description.chain_code_hash,
    )
    extra = encode(ReshareExtra(highest_k=0, receipts=(), description=bytes(64)))
    hello = Hello("reshare", bytes(32), bytes(32), "existing+deals", encode(fields), extra)
    complete_hellos(dict.fromkeys(sorted((A, B, C)), hello), ())


def test_a_description_that_is_not_signed_by_its_sender_is_not_heard() -> None:
    sign = Identity.sign

    def forge(self: Identity, tag: str, *parts: bytes) -> bytes:
        return sign(identity("Z") if tag == "description" and self.public == A else self, tag, *parts)

    with patch.object(Identity, "sign", forge):
        outcomes = run("ABCD", "ABD", 2)
    assert [type(outcomes[party]) for party in (B, C, identity("D").public)] == [Stalled] * 3


def test_a_role_that_the_quorums_contradict_is_named() -> None:
    network = Network()
    parties = reshare_parties(OLD, "ABC", "ABC", 2)
    joining = reshare_config("ABC", 2, "joining", 3)
    outcomes = network.run({**parties, A: reshare(identity("A"), joining, None, SystemRng())})
    assert {type(outcome) for outcome in outcomes.values()} == {ParameterMismatch}
    assert {outcome.field for outcome in outcomes.values()} == {"role"}


@pytest.mark.parametrize(
    ("role", "more", "old"),
    [
        pytest.param("joining", {}, OLD[A].share, id="joining with a share"),
        pytest.param("joining", {"deals": True}, None, id="joining and dealing"),
        pytest.param("existing", {"deals": True}, None, id="dealing without a share"),
        pytest.param("existing", {"deals": False}, None, id="old without a generation"),
        pytest.param("departing", {}, OLD[A].share, id="departing and staying"),
        pytest.param("existing", {"size": 2}, OLD[A].share, id="a room too small"),
        pytest.param("existing", {"d": 1}, OLD[A].share, id="d too low"),
        pytest.param("existing", {"d": 4}, OLD[A].share, id="d too high"),
        pytest.param("existing", {"store_by": 0}, OLD[A].share, id="no time"),
        pytest.param("existing", {"highest_k": -1}, OLD[A].share, id="k"),
        pytest.param("existing", {"receipts": (bytes(16_385),)}, OLD[A].share, id="a receipt too long"),
        pytest.param("existing", {}, OLD[B].share, id="another's share"),
        pytest.param("other", {}, OLD[A].share, id="no role"),
    ],
)
def test_impossible_requests(role: Any, more: dict[str, Any], old: Any) -> None:
    base: dict[str, Any] = {
        "room": "room", "scheme": "ecdsa", "size": 3, "new_identities": (A, B, C), "new_t": 2, "store_by": 1,
        "vote_by": 1, "role": role, "deals": role in ("existing", "departing"),
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"\w"):
        next(reshare(identity("A"), ReshareConfig(**{**base, **more}), old, SystemRng()))


@pytest.mark.parametrize(
    ("n", "t", "expected"), [(2, 2, [1]), (3, 2, [2, 3]), (3, 3, [1]), (4, 2, [3, 4]), (5, 3, [3, 4, 5])]
)
def test_how_many_deletions_may_be_asked_for(n: int, t: int, expected: list[int]) -> None:
    assert list(deletions_range(n, t)) == expected


def signed_hellos() -> bytes:
    network = Network()
    run("ABC", "ABC", 2, network)
    return hello_complete(network, A).hellos


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda bodies: bodies[1:], id="one missing"),
        pytest.param(lambda bodies: bodies[::-1], id="another order"),
        pytest.param(lambda bodies: (bodies[0], *bodies), id="one twice"),
        pytest.param(lambda bodies: (flipped(bodies[0]), *bodies[1:]), id="a signature"),
        pytest.param(lambda bodies: (bodies[0][:40], *bodies[1:]), id="cut"),
        pytest.param(lambda bodies: (), id="none"),
    ],
)
def test_hellos_that_prove_no_attempt(change: Any) -> None:
    with pytest.raises(Malformed):
        rid_of(pack_bodies(change(unpack_bodies(signed_hellos()))))


def test_a_leaver_that_says_nothing_in_the_last_round_waits_for_every_proof() -> None:
    def without_b(frame: Frame, receiver: bytes) -> list[Frame]:
        return [] if (frame.round, frame.sender, receiver) == (5, B, C) else [frame]

    outcome = run("ABC", "AB", 2, Network(deliver=without_b))[C]
    assert isinstance(outcome, Stalled)
    assert outcome.round == 5
