"""Signing: every check of section 8 failing once, with the right verdict and the right culprit."""

import dataclasses
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest

from mpc.channel import Session
from mpc.envelope import make_body
from mpc.errors import Abort
from mpc.group import SECP256K1 as G
from mpc.hashing import TH
from mpc.protocol import Frame
from mpc.secret import Secret
from mpc.sign import PairCheck, SignRequest, _commit, _is_multiple, _Signer
from mpc.wire import Commitment, SignExtension, SignProduct, SignShare, encode
from tests.mpc.simulator import (
    Lie,
    Network,
    blames,
    change,
    edit,
    flipped,
    forged_share,
    identities,
    key,
    run_sign,
    telling,
)

DIGEST = TH("test/message")
KEY = key("ABC", 2)
PARTIES = identities("ABC")
CULPRIT, VICTIM, BYSTANDER = (one.public for one in PARTIES)
PAIR = PARTIES[:2]


def request(size: int = 2, **more: Any) -> SignRequest:
    return SignRequest(**{"room": "room", "size": size, "digest": DIGEST, **more})


def broadcast(number: int, kind: Any, to: Callable[[Any], None]) -> Lie:
    return Lie(CULPRIT, number, edit(kind, to), private=False)


def private(number: int, kind: Any, to: Callable[[Any], None]) -> Lie:
    return Lie(CULPRIT, number, edit(kind, to), receiver=VICTIM)


def extension(at: int) -> Lie:
    return private(1, SignExtension, change("extension", to=lambda data: flipped(data, at)))


def product(at: int) -> Lie:
    return private(2, SignProduct, change("product", to=lambda data: flipped(data, at)))


def every_scalar_flipped(data: bytes) -> bytes:
    """ã with each scalar changed: whatever β is, some row of a transfer with β_j = 1 is wrong."""
    return b"".join(flipped(data[at : at + 32]) for at in range(0, 39_936, 32)) + data[39_936:]


NOT_A_POINT = b"\x02" + b"\xff" * 32
OTHER_POINT = G.base_mul(77).to_bytes()
NOT_REDUCED = b"\xff" * 32
BLAMED, BANNED, ABORTED = "blame", "ban", "abort"
LIES: dict[str, tuple[Lie, str]] = {
    "S1 commitment of a wrong length": (broadcast(1, Commitment, change("commitment", to=b"")), BLAMED),
    "S1 another commitment": (broadcast(1, Commitment, change("commitment")), BLAMED),
    "S1 extension, a column": (extension(0), BANNED),
    "S1 extension, the last column": (extension(64 * 68 - 1), BANNED),
    "S1 extension, check of the choices": (extension(64 * 68), BANNED),
    "S1 extension, hash of the check": (extension(-1), BANNED),
    "S1 a short extension": (private(1, SignExtension, change("extension", to=lambda data: data[:-1])), BLAMED),
    "S2 every row of the product": (
        private(
            2,
            SignProduct,
            change("product", to=lambda d: b"".join(flipped(d[i : i + 32]) for i in range(0, 39_936, 32)) + d[39_936:]),
        ),
        BANNED,
    ),
    "S2 product, η": (product(39_936 + 31), BANNED),
    "S2 product, μ": (product(-1), BANNED),
    "S2 product with a scalar not reduced": (
        private(2, SignProduct, change("product", to=lambda data: NOT_REDUCED + data[32:])),
        BLAMED,
    ),
    "S2 η not reduced": (
        private(2, SignProduct, change("product", to=lambda data: data[:39_936] + NOT_REDUCED + data[39_968:])),
        BLAMED,
    ),
    "S2 a short product": (private(2, SignProduct, change("product", to=lambda data: data[:-32])), BLAMED),
    "S2 another blind": (private(2, SignProduct, change("blind")), BLAMED),
    "S2 another R": (private(2, SignProduct, change("nonce_point", to=OTHER_POINT)), BANNED),
    "S2 another pk": (private(2, SignProduct, change("key_point", to=OTHER_POINT)), BANNED),
    "S2 another Γu": (private(2, SignProduct, change("gamma_u", to=OTHER_POINT)), BANNED),
    "S2 another Γv": (private(2, SignProduct, change("gamma_v", to=OTHER_POINT)), BANNED),
    **{
        f"S2 {name} is no point": (private(2, SignProduct, change(name, to=NOT_A_POINT)), BLAMED)
        for name in ("nonce_point", "key_point", "gamma_u", "gamma_v")
    },
    "S2 ψ not reduced": (private(2, SignProduct, change("psi", to=NOT_REDUCED)), BLAMED),
    "S2 another ψ": (private(2, SignProduct, change("psi")), ABORTED),
    "S2 another echo": (private(2, SignProduct, change("echo")), ABORTED),
    "S4 another w": (broadcast(3, SignShare, change("w")), ABORTED),
    "S4 another u": (broadcast(3, SignShare, change("u")), ABORTED),
    "S4 w not reduced": (broadcast(3, SignShare, change("w", to=NOT_REDUCED)), BLAMED),
    "S4 u not reduced": (broadcast(3, SignShare, change("u", to=NOT_REDUCED)), BLAMED),
    "S4 not a message": (Lie(CULPRIT, 3, lambda payload: b"junk", private=False), BLAMED),
}


# What is looked at later than in the round after it was told.
FOUND_LATER = {"S1 another commitment": 2, "S2 another ψ": 3}


@pytest.mark.parametrize("name", LIES)
def test_each_lie_has_its_verdict(name: str) -> None:
    lie, verdict = LIES[name]
    network = Network()
    with telling(lie):
        outcome = run_sign(KEY, PAIR, request(), network)[VICTIM]
    if verdict == ABORTED:
        assert type(outcome) is Abort
    else:
        assert blames(outcome) == ({CULPRIT}, verdict == BANNED)
    last = max(frame.round for frame in network.sent if frame.sender == VICTIM)
    assert last == FOUND_LATER.get(name, lie.round), "the victim went on after a lie"


def test_the_checks_of_round_2_do_not_say_which_failed() -> None:
    reasons = set()
    for name, (lie, verdict) in LIES.items():
        if name.startswith("S2") and verdict == BANNED:
            with telling(lie):
                reasons.add(run_sign(KEY, PAIR, request(), Network())[VICTIM].reason)
    assert len(reasons) == 1


def test_a_committed_nonce_other_than_the_multiplied_one_is_banned() -> None:
    """The commitment opens: only χ·R = d_u·G + Γu can tell."""
    blind = TH("blind")

    def commit(session_sid: bytes) -> bytes:
        return _commit(session_sid, CULPRIT, OTHER_POINT, blind)

    frame = Session._broadcast_frame

    def lying(session: Session, number: int, payload: bytes) -> Frame:
        if session.me.public == CULPRIT and number == 1:
            payload = encode(Commitment(commitment=commit(session.sid)))
        return frame(session, number, payload)

    def open_other(message: SignProduct) -> None:
        message.nonce_point, message.blind = OTHER_POINT, blind

    with patch.object(Session, "_broadcast_frame", lying), telling(private(2, SignProduct, open_other)):
        outcome = run_sign(KEY, PAIR, request())[VICTIM]
    assert blames(outcome) == ({CULPRIT}, True)


def test_all_cheaters_are_found_at_once() -> None:
    parties = identities("ABC")
    lies = [
        Lie(one.public, 2, edit(SignProduct, change("gamma_u", to=OTHER_POINT)), receiver=parties[2].public)
        for one in parties[:2]
    ]
    with telling(*lies):
        outcome = run_sign(KEY, parties, request(3))[parties[2].public]
    assert blames(outcome) == ({one.public for one in parties[:2]}, True)


def test_a_wrong_share_aborts_and_blames_nobody() -> None:
    results = dict(KEY)
    mine = results[CULPRIT]
    wrong = forged_share(mine.share, secret=Secret(G.encode_scalar(mine.share.scalar + 1)))
    results[CULPRIT] = dataclasses.replace(mine, share=wrong)
    network = Network()
    outcome = run_sign(results, PAIR, request(), network)[VICTIM]
    assert type(outcome) is Abort
    assert "add up" in outcome.reason
    assert not [frame for frame in network.sent if frame.round == 3]


def test_a_negated_sum_is_no_signature() -> None:
    """Who speaks last makes Σw its negative: s comes out the same, only the recovery id is another."""
    honest = {}
    share = _Signer.signature_share

    def watched(signer: _Signer, digest: bytes, x_of_nonce: int) -> SignShare:
        honest[signer._session.me.public] = share(signer, digest, x_of_nonce)
        return honest[signer._session.me.public]

    def negate(message: SignShare) -> None:
        total = sum(G.decode_scalar(one.w) for one in honest.values())
        message.w = G.encode_scalar(G.decode_scalar(message.w) - 2 * total)

    with patch.object(_Signer, "signature_share", watched), telling(broadcast(3, SignShare, negate)):
        outcome = run_sign(KEY, PAIR[::-1], request())[VICTIM]
    assert set(honest) == {CULPRIT, VICTIM}
    assert type(outcome) is Abort


def test_a_split_view_of_the_commitments_ends_without_a_signature() -> None:
    """The culprit's two commitments both open, each to who got it; the echo tells."""

    def split(frame: Frame, receiver: bytes) -> list[Frame]:
        if frame.sender != CULPRIT or frame.round != 1 or frame.receiver or receiver != BYSTANDER:
            return [frame]
        other = encode(Commitment(commitment=TH("other")))
        return [Frame(1, CULPRIT, frame.receiver, make_body(PARTIES[0], frame.body[:99], other))]

    network = Network(deliver=split)
    outcomes = run_sign(KEY, PARTIES, request(3), network)
    assert type(outcomes[VICTIM]) is Abort
    assert blames(outcomes[BYSTANDER]) == ({CULPRIT}, False)
    assert not [frame for frame in network.sent if frame.round == 3 and frame.sender != CULPRIT]


def test_one_pair_is_checked_after_the_other_and_a_failure_ends_them() -> None:
    lie = Lie(CULPRIT, 1, edit(SignExtension, change("extension")))
    network = Network()
    with telling(lie):
        outcomes = run_sign(KEY, PARTIES, request(3), network)
    for honest in (VICTIM, BYSTANDER):
        assert blames(outcomes[honest]) == ({CULPRIT}, True)
        assert [check.peer for check in network.checkpoints[honest]] == [CULPRIT]  # type: ignore[attr-defined]
    honest_network = Network()
    run_sign(KEY, PARTIES, request(3), honest_network)
    seen = [item.psid for items in honest_network.checkpoints.values() for item in items if isinstance(item, PairCheck)]
    assert len(seen) == len(set(seen)) == 6


def test_a_sum_that_is_the_identity_is_a_failed_check() -> None:
    assert _is_multiple(6, G.base_mul(7), 40, G.base_mul(2))
    assert not _is_multiple(6, G.base_mul(7), 40, G.base_mul(-40))
    assert not _is_multiple(6, G.base_mul(7), 40, G.base_mul(3))
