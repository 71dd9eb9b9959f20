"""Signing where chance would have to lend a hand: zeros, sums that cancel, an R whose x is not below q."""

from __future__ import annotations

import dataclasses
from typing import Any
from unittest.mock import patch

import pytest

from mpc import sign as signing
from mpc.errors import Abort, Blame, Malformed
from mpc.group import SECP256K1 as G
from mpc.hashing import TH
from mpc.protocol import SystemRng
from mpc.sign import SignRequest, sign
from mpc.signature import assemble
from mpc.wire import SignShare
from tests.mpc.simulator import Network, identities, key, run_sign

KEY, PARTIES = key("ABC", 2), identities("ABC")
A, B, C = (one.public for one in PARTIES)
DIGEST = TH("test/message")


class Nonce:
    """The system's randomness, but for the nonce."""

    def __init__(self, nonce: int) -> None:
        self._nonce, self._system = nonce, SystemRng()

    def draw(self, label: str, size: int) -> bytes:
        return (self._nonce - 1).to_bytes(size, "big") if label == "nonce" else self._system.draw(label, size)

    def absorb(self, *parts: bytes) -> None:
        self._system.absorb(*parts)


def with_nonces(*nonces: int) -> dict[bytes, Any]:
    request = SignRequest(room="room", size=len(nonces), digest=DIGEST)
    return Network().run(
        {
            one.public: sign(one, KEY[one.public].share, KEY[one.public].pairs, request, Nonce(nonce))
            for one, nonce in zip(PARTIES, nonces, strict=False)
        }
    )


def test_nonces_that_cancel_abort_and_blame_nobody() -> None:
    for outcome in with_nonces(5, G.order - 5).values():
        assert type(outcome) is Abort
        assert "nonces add up to zero" in outcome.reason
    assert all(not isinstance(outcome, Exception) for outcome in with_nonces(5, 6).values())


def test_a_key_share_of_zero_aborts_before_anything_leaves() -> None:
    network = Network()
    with patch.object(signing, "_signing_key", lambda *_: 0):
        outcomes = run_sign(KEY, PARTIES[:2], SignRequest(room="room", size=2, digest=DIGEST), network)
    assert {str(outcome) for outcome in outcomes.values()} == {"the additive key share is zero"}
    assert {frame.round for frame in network.sent} == {0}


def test_one_signer_without_a_set_up_among_several_is_enough() -> None:
    pairs = {peer: pair for peer, pair in KEY[A].pairs.items() if peer != C}
    results = KEY | {A: dataclasses.replace(KEY[A], pairs=pairs)}
    outcome = run_sign(results, PARTIES, SignRequest(room="room", size=3, digest=DIGEST))[A]
    assert type(outcome) is Abort
    assert "no set-up" in outcome.reason


@pytest.mark.parametrize("index", [0, 2**31 - 1])
def test_indices_of_a_batch(index: int) -> None:
    assert SignRequest(room="room", size=2, digest=DIGEST, index=index).index == index


@pytest.mark.parametrize("index", [-1, 2**31])
def test_indices_beyond_a_batch(index: int) -> None:
    with pytest.raises(ValueError, match="index of a batch"):
        SignRequest(room="room", size=2, digest=DIGEST, index=index)


def beyond(k: int) -> bytes:
    """An R with x = q + k, encoded: r = k, and v is 2 or 3."""
    return b"\x02" + (G.order + k).to_bytes(32, "big")


def key_of(point: bytes, r: int, s: int) -> bytes:
    """The key under which (r, s) is valid: (s·R − m·G)/r."""
    m = int.from_bytes(DIGEST, "big")
    numerator = G.subtract(G.mul_public(G.decode(point), s), G.base_mul(m))
    return G.mul_public(numerator, pow(r, -1, G.order)).to_bytes()


def test_a_nonce_beyond_q_is_told_by_v() -> None:
    k = next(k for k in range(1, 50) if _is_point(beyond(k)))
    s = 12345
    shares = {A: SignShare(w=G.encode_scalar(s), u=G.encode_scalar(1))}
    signature = assemble(shares, G.decode(beyond(k)), DIGEST, key_of(beyond(k), k, s))
    assert (signature.r, signature.s, signature.v) == (k, s, 2)


def _is_point(data: bytes) -> bool:
    try:
        G.decode(data)
    except Malformed:
        return False
    return True


def test_a_share_that_does_not_parse_is_blamed_and_not_left_out() -> None:
    good = SignShare(w=G.encode_scalar(3), u=G.encode_scalar(1))
    for bad in (SignShare(w=b"\xff" * 32, u=good.u), SignShare(w=good.w, u=b"\xff" * 32)):
        with pytest.raises(Blame) as blame:
            assemble({A: good, B: bad}, G.base_mul(5), DIGEST, G.generator.to_bytes())
        assert blame.value.culprits == {B}


def test_a_sum_of_zero_is_no_signature() -> None:
    zero = SignShare(w=bytes(32), u=G.encode_scalar(1))
    with pytest.raises(Abort, match="not valid"):
        assemble({A: zero}, G.base_mul(5), DIGEST, G.generator.to_bytes())


def test_an_r_of_zero_aborts_before_the_shares_leave() -> None:
    """q is the x of a point."""
    network = Network()
    with patch.object(signing._Signer, "check_products", lambda *_: G.decode(beyond(0))):
        outcomes = run_sign(KEY, PARTIES[:2], SignRequest(room="room", size=2, digest=DIGEST), network)
    assert {str(outcome) for outcome in outcomes.values()} == {"the nonce's x-coordinate is zero"}
    assert not [frame for frame in network.sent if frame.round == 3]
