"""Key generation: its result, and every check of section 7 failing once, with the right culprit."""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest

from mpc import dealing
from mpc.channel import Session
from mpc.dealing import Complaint, Dealing, judge
from mpc.envelope import make_body
from mpc.errors import Abort, Blame, Malformed, ParameterMismatch
from mpc.group import SECP256K1
from mpc.hashing import TH
from mpc.keygen import KeygenConfig, KeygenResult, KeygenStatement, keygen, verify_preimage
from mpc.protocol import BROADCAST, Frame, SystemRng
from mpc.shares import PairState, Share, UncheckedShare
from mpc.sharing import interpolate, ranks
from mpc.wire import (
    KeygenDeal,
    Opening,
    Outcome,
    decode,
    encode,
)
from tests.mpc.simulator import (
    Lie,
    Network,
    Stalled,
    blames,
    change,
    edit,
    flipped,
    identities,
    identity,
    key,
    run_keygen,
    telling,
)

PARTIES = identities("ABC")
CULPRIT, VICTIM, BYSTANDER = (one.public for one in PARTIES)


@pytest.mark.parametrize(("names", "t"), [("AB", 2), ("ABC", 2), ("ABC", 3)])
def test_everybody_holds_a_share_of_one_key(names: str, t: int) -> None:
    results = key(names, t)
    first = next(iter(results.values()))
    shares = {result.share.x: result.share for result in results.values()}
    assert sorted(shares) == list(range(1, len(names) + 1))
    assert len({(result.sid, result.gid, result.digest, result.preimage) for result in results.values()}) == 1
    assert len({(share.public_key, share.chain_code) for share in shares.values()}) == 1
    for share in shares.values():
        assert SECP256K1.base_mul(share.scalar) == share.public_shares[share.x - 1]
    public_shares = {x: SECP256K1.base_mul(share.scalar) for x, share in shares.items()}
    some = {x: public_shares[x] for x in list(public_shares)[:t]}
    assert interpolate(SECP256K1, some).to_bytes() == first.share.public_key
    fewer = {x: public_shares[x] for x in list(public_shares)[: t - 1]}
    assert interpolate(SECP256K1, fewer).to_bytes() != first.share.public_key


def test_two_parties_hold_the_two_halves_of_one_setup() -> None:
    results = key("ABC", 2)
    for one in results:
        for other in results:
            if one != other:
                here, there = results[one].pairs[other], results[other].pairs[one]
                assert here.alice_pair == there.bob_pair
                assert here.zero_seed.equals(there.zero_seed)
    deltas = [pair.alice.delta for result in results.values() for pair in result.pairs.values()]
    assert len(set(deltas)) == 6


def test_share_and_pairs_survive_sealing() -> None:
    result = next(iter(key("ABC", 2).values()))
    again = Share.decode(result.share.encode())
    assert again.encode() == result.share.encode()
    assert again.public_key == result.share.public_key
    for pair in result.pairs.values():
        assert PairState.decode(pair.encode()).encode() == pair.encode()
    shown = repr((result.share, result.pairs, decode(UncheckedShare, result.share.encode())))
    assert result.share.secret.reveal().hex() not in shown
    assert str(result.share.scalar) not in shown


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 2),
        ("scheme", "rsa"),
        ("t", 1),
        ("t", 3),
        ("x", 0),
        ("x", 4),
        ("secret", (1).to_bytes(32, "big")),
        ("secret", bytes(32)),
        ("secret", b"\xff" * 32),
        ("feldman", (b"\x02" * 33, b"\x02" * 33)),
        ("identities", tuple(reversed([one.public for one in PARTIES]))),
        ("identities", (PARTIES[0].public,) * 3),
        ("gid", b"short"),
    ],
)
def test_a_share_that_does_not_fit_together_is_none(field: str, value: Any) -> None:
    unchecked = decode(UncheckedShare, key("ABC", 2)[CULPRIT].share.encode())
    setattr(unchecked, field, value)
    with pytest.raises(Malformed):
        Share.decode(encode(unchecked))


def lying_dealing(change: Callable[[Opening], None], t_more: int = 0) -> Any:
    """A Dealing whose culprit publishes a changed opening and commits to just that."""

    class Lying(Dealing):
        def __init__(self, group: Any, sid: bytes, dealer: bytes, t: int, draw: Any, **more: Any) -> None:
            lies = dealer == CULPRIT
            super().__init__(group, sid, dealer, t + t_more * lies, draw, **more)
            if lies:
                change(self.opening)
                self.commitment = dealing._commit(sid, dealer, self.opening, more.get("attached", b""))

    return Lying


def set_points(opening: Opening, points: tuple[bytes, ...]) -> None:
    opening.points = points


def set_proofs(opening: Opening, proofs: tuple[bytes, ...]) -> None:
    opening.proofs = proofs


COMMITTED_LIES = {
    "one point and proof too many": lying_dealing(lambda opening: None, t_more=1),
    "one point and proof too few": lying_dealing(lambda opening: None, t_more=-1),
    "one proof too few": lying_dealing(lambda opening: set_proofs(opening, opening.proofs[:-1])),
    "one point too many": lying_dealing(lambda opening: set_points(opening, (*opening.points, opening.points[0]))),
    "a point off the curve": lying_dealing(
        lambda opening: set_points(opening, (b"\x02" + b"\xff" * 32, opening.points[1]))
    ),
    "proofs in another order": lying_dealing(lambda opening: set_proofs(opening, opening.proofs[::-1])),
    "a wrong proof": lying_dealing(
        lambda opening: set_proofs(opening, (opening.proofs[0], flipped(opening.proofs[1])))
    ),
    "another's point": lying_dealing(
        lambda opening: set_points(opening, (SECP256K1.base_mul(3).to_bytes(), opening.points[1]))
    ),
}


@pytest.mark.parametrize("lying", COMMITTED_LIES.values(), ids=COMMITTED_LIES.keys())
def test_a_wrong_polynomial_is_blamed_by_all(lying: Any) -> None:
    with patch("mpc.keygen.Dealing", lying):
        outcomes = run_keygen(PARTIES, 2)
    assert blames(outcomes[VICTIM]) == ({CULPRIT}, False)
    assert blames(outcomes[BYSTANDER]) == ({CULPRIT}, False)


# What each field's lies lead to: tests/mpc/attacks/table_keygen.py.
WRONG_SHARE = Lie(CULPRIT, 2, edit(KeygenDeal, change("deal", "share")), receiver=VICTIM)


def test_nobody_goes_on_to_k4_after_a_wrong_sub_share() -> None:
    network = Network()
    with telling(WRONG_SHARE):
        outcomes = run_keygen(PARTIES, 2, network)
    assert isinstance(outcomes[BYSTANDER], Stalled)
    assert not [frame for frame in network.sent if frame.round == 4]


def evidence_of_a_wrong_share() -> bytes:
    with telling(WRONG_SHARE):
        outcome = run_keygen(PARTIES, 2)[VICTIM]
    assert isinstance(outcome, Blame)
    return outcome.evidence


COORDINATES = ranks(one.public for one in PARTIES)


def judged(evidence: bytes, coordinates: dict[bytes, int] = COORDINATES) -> Blame:
    """By somebody of the session that the evidence is about."""
    return judge(evidence, SECP256K1, decode(Complaint, evidence).private[3:35], coordinates)


def test_a_complaint_convinces_others() -> None:
    verdict = judged(evidence_of_a_wrong_share())
    assert (verdict.culprits, verdict.ban) == ({CULPRIT}, False)


@pytest.mark.parametrize(
    "change_it", [flipped, lambda key: b"", lambda key: key + b"\0"], ids=["another key", "none", "too long"]
)
def test_a_complaint_that_does_not_open_falls_back(change_it: Callable[[bytes], bytes]) -> None:
    parsed = decode(Complaint, evidence_of_a_wrong_share())
    parsed.key = change_it(parsed.key)
    parsed.signature = identity_of(VICTIM).sign("complaint", parsed.private, parsed.opening, parsed.key)
    if len(parsed.key) != 32:
        with pytest.raises(Malformed):
            judged(encode(parsed))
    else:
        assert judged(encode(parsed)).culprits == {VICTIM}


def test_a_complaint_that_its_complainer_did_not_sign_proves_nothing() -> None:
    parsed = decode(Complaint, evidence_of_a_wrong_share())
    parsed.signature = identity_of(BYSTANDER).sign("complaint", parsed.private, parsed.opening, parsed.key)
    with pytest.raises(Malformed):
        judged(encode(parsed))


def test_a_complaint_about_a_right_share_falls_back_on_who_complains() -> None:
    network, sessions = Network(), {}
    receive = Session.exchange

    def remember(session: Session, number: int, **more: Any) -> Any:
        sessions[session.me.public] = session
        return receive(session, number, **more)

    with patch.object(Session, "exchange", remember):
        run_keygen(PARTIES, 2, network)
    sealed = next(f for f in network.sent if f.round == 2 and f.sender == CULPRIT and f.receiver == VICTIM)
    opening = next(f for f in network.sent if f.round == 2 and f.sender == CULPRIT and f.receiver == BROADCAST)
    evidence = dealing.complaint(identity_of(VICTIM), sealed, opening, sessions[VICTIM].receive_key(CULPRIT))
    assert judged(evidence).culprits == {VICTIM}
    # In another quorum the victim's coordinate is another: the same sub-share would be a lie there.
    assert judged(evidence, {VICTIM: COORDINATES[VICTIM] + 1}).culprits == {CULPRIT}
    with pytest.raises(Malformed, match="session"):
        judge(evidence, SECP256K1, TH("another session"), COORDINATES)


def identity_of(public: bytes) -> Any:
    return next(one for one in PARTIES if one.public == public)


def test_a_split_view_of_the_commitments_ends_without_a_key() -> None:
    def split(frame: Frame, receiver: bytes) -> list[Frame]:
        if frame.round != 4 or frame.sender != CULPRIT or frame.receiver or receiver != VICTIM:
            return [frame]
        other = encode(Outcome(digest=flipped(frame.body[101:133]), proof=bytes(65)))
        return [Frame(4, CULPRIT, BROADCAST, make_body(identity_of(CULPRIT), frame.body[:99], other))]

    outcomes = run_keygen(PARTIES, 2, Network(deliver=split))
    assert type(outcomes[VICTIM]) is Abort


def config(**more: Any) -> KeygenConfig:
    fields = {"room": "room", "scheme": "ecdsa", "t": 2, "identities": tuple(one.public for one in PARTIES)}
    return KeygenConfig(**{**fields, **more})


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("t", config(t=3)),
        ("identities", config(identities=(*(one.public for one in PARTIES[:2]), identity("Z").public))),
    ],
)
def test_unequal_parameters_are_named_before_anything_happens(field: str, other: KeygenConfig) -> None:
    network = Network()
    first, *rest = PARTIES
    protocols = {one.public: keygen(one, config(), SystemRng()) for one in rest}
    outcomes = network.run({first.public: keygen(first, other, SystemRng()), **protocols})
    for one in rest:
        assert isinstance(outcomes[one.public], ParameterMismatch)
        assert outcomes[one.public].field == field
    assert {frame.round for frame in network.sent} == {0}


@pytest.mark.parametrize(
    "more",
    [
        {"t": 1},
        {"t": 4},
        {"identities": (PARTIES[0].public,)},
        {"identities": (PARTIES[0].public,) * 2},
        {"identities": (PARTIES[0].public, b"short")},
        {"identities": tuple(bytes((i,)) * 32 for i in range(33))},
        {"scheme": "rsa"},
    ],
    ids=["t = 1", "t > n", "n = 1", "twice", "short", "n = 33", "scheme"],
)
def test_impossible_requests(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"quorum|identity|scheme"):
        config(**more)


def test_a_stranger_makes_no_key() -> None:
    with pytest.raises(ValueError, match="not among"):
        next(keygen(identity("Z"), config(), SystemRng()))


def test_the_preimage_is_the_statement() -> None:
    result: KeygenResult = key("ABC", 2)[CULPRIT]
    statement = verify_preimage(result.preimage)
    assert (statement.digest, statement.gid) == (result.digest, result.gid)
    assert statement.public_key == result.share.public_key
    assert statement.description == result.share.description()
    assert result.share.chain_code not in result.preimage


@pytest.mark.parametrize(
    ("field", "to"),
    [
        ("version", 2),
        ("t", 3),
        ("feldman", lambda points: points[::-1]),
        ("feldman", lambda points: points[:1]),
        ("public_key", lambda point: SECP256K1.base_mul(2).to_bytes()),
        ("public_shares", lambda points: points[::-1]),
        ("public_shares", lambda points: points[:-1]),
        ("identities", lambda parties: parties[::-1]),
        ("identities", lambda parties: (parties[0],) * 3),
    ],
)
def test_a_statement_that_does_not_hold_is_none(field: str, to: Any) -> None:
    statement = decode(KeygenStatement, key("ABC", 2)[CULPRIT].preimage)
    change(field, to=to)(statement)
    with pytest.raises(Malformed):
        verify_preimage(encode(statement))
