"""Signing: every check of section 8 failing once, with the right verdict and the right culprit."""

import dataclasses
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

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


def product(at: int) -> Lie:
    return private(2, SignProduct, change("product", to=lambda data: flipped(data, at)))


def every_scalar_flipped(data: bytes) -> bytes:
    """ã with each scalar changed: whatever β is, some row of a transfer with β_j = 1 is wrong."""
    return b"".join(flipped(data[at : at + 32]) for at in range(0, 39_936, 32)) + data[39_936:]


OTHER_POINT = G.base_mul(77).to_bytes()
# What each field's lies lead to: tests/mpc/attacks/table_sign.py. Here, all checks of round 2 that end in a ban.
BANNED_IN_ROUND_2: dict[str, Lie] = {
    "every row of the product": private(2, SignProduct, change("product", to=every_scalar_flipped)),
    "η": product(39_936 + 31),
    "μ": product(-1),
    "R": private(2, SignProduct, change("nonce_point", to=OTHER_POINT)),
    "pk": private(2, SignProduct, change("key_point", to=OTHER_POINT)),
    "Γu": private(2, SignProduct, change("gamma_u", to=OTHER_POINT)),
    "Γv": private(2, SignProduct, change("gamma_v", to=OTHER_POINT)),
}


def test_the_checks_of_round_2_do_not_say_which_failed() -> None:
    reasons = set()
    for lie in BANNED_IN_ROUND_2.values():
        with telling(lie):
            outcome = run_sign(KEY, PAIR, request())[VICTIM]
        assert blames(outcome) == ({CULPRIT}, True)
        reasons.add(outcome.reason)
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
        checks = [item.peer for item in network.checkpoints[honest] if isinstance(item, PairCheck)]
        assert checks == [CULPRIT]
    honest_network = Network()
    run_sign(KEY, PARTIES, request(3), honest_network)
    seen = [item.psid for items in honest_network.checkpoints.values() for item in items if isinstance(item, PairCheck)]
    assert len(seen) == len(set(seen)) == 6


def test_a_sum_that_is_the_identity_is_a_failed_check() -> None:
    assert _is_multiple(6, G.base_mul(7), 40, G.base_mul(2))
    assert not _is_multiple(6, G.base_mul(7), 40, G.base_mul(-40))
    assert not _is_multiple(6, G.base_mul(7), 40, G.base_mul(3))
