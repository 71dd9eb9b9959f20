"""Signing: signatures that two other libraries accept, and what ends a session before they exist."""

import dataclasses
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from coincurve import PublicKey
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256K1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from mpc import derive
from mpc.channel import Session
from mpc.errors import Abort, ParameterMismatch
from mpc.group import SECP256K1 as G
from mpc.hashing import TH
from mpc.protocol import Checkpoint, Frame, SeededRng, SystemRng
from mpc.sign import Begin, PairCheck, Release, Signature, SignRequest, sign
from mpc.signature import assemble
from mpc.wire import SignShare
from tests.mpc.simulator import (
    Network,
    Stalled,
    approve,
    identities,
    identity,
    key,
    run_sign,
)

DIGEST = TH("test/message")
KEY = key("ABC", 2)
PARTIES = identities("ABC")
CULPRIT, VICTIM, BYSTANDER = (one.public for one in PARTIES)
PAIR = PARTIES[:2]


def request(size: int = 2, **more: Any) -> SignRequest:
    return SignRequest(**{"room": "room", "size": size, "digest": DIGEST, **more})


def assert_valid(signature: Signature, public_key: bytes, digest: bytes) -> None:
    """By OpenSSL, and recovered by libsecp256k1."""
    openssl = EllipticCurvePublicKey.from_encoded_point(SECP256K1(), public_key)
    openssl.verify(signature.der, digest, ECDSA(Prehashed(SHA256())))
    compact = signature.r.to_bytes(32, "big") + signature.s.to_bytes(32, "big") + bytes((signature.v,))
    assert PublicKey.from_signature_and_message(compact, digest, hasher=None).format() == public_key
    assert signature.s <= G.order // 2


@pytest.mark.parametrize(
    ("names", "t", "signers"),
    [
        ("AB", 2, (0, 1)),
        ("ABC", 2, (0, 1)),
        ("ABC", 2, (0, 2)),
        ("ABC", 2, (1, 2)),
        ("ABC", 2, (0, 1, 2)),
        ("ABC", 3, (0, 1, 2)),
        ("ABCDE", 3, (0, 2, 4)),
        ("ABCDE", 3, (1, 2, 3, 4)),
    ],
)
@pytest.mark.parametrize("path", [(), (0, 44)], ids=["key", "child"])
def test_any_t_sign_and_other_libraries_agree(
    names: str, t: int, signers: tuple[int, ...], path: tuple[int, ...]
) -> None:
    results = key(names, t)
    chosen = [identities(names)[i] for i in signers]
    outcomes = run_sign(results, chosen, request(len(chosen), path=path))
    share = results[chosen[0].public].share
    assert len(set(outcomes.values())) == 1, outcomes
    _, child = derive.offset(share.public_key, share.chain_code, path)
    assert_valid(outcomes[chosen[0].public], child, DIGEST)


@pytest.mark.parametrize("digest", [bytes(32), b"\xff" * 32, G.order.to_bytes(32, "big")], ids=["0", "max", "q"])
def test_digests_at_the_edges(digest: bytes) -> None:
    outcomes = run_sign(KEY, PAIR, request(digest=digest))
    signature = outcomes[CULPRIT]
    public_key = KEY[CULPRIT].share.public_key
    openssl = EllipticCurvePublicKey.from_encoded_point(SECP256K1(), public_key)
    openssl.verify(signature.der, digest, ECDSA(Prehashed(SHA256())))


def test_two_equal_messages_share_nothing() -> None:
    """One batch, one message twice: other indices, other sessions, other nonces."""
    networks = [Network(), Network()]
    signatures = [run_sign(KEY, PAIR, request(index=index), network)[VICTIM] for index, network in enumerate(networks)]
    assert signatures[0].r != signatures[1].r
    bodies = [{frame.body[99:-64] for frame in network.sent} for network in networks]
    assert not bodies[0] & bodies[1]


def test_payloads_have_the_sizes_of_the_specification() -> None:
    sizes: dict[tuple[int, bool], int] = {}
    private, broadcast = Session._private_frame, Session._broadcast_frame

    def of(payload: bytes) -> int:
        return sum(len(value) for value in msgspec.msgpack.decode(payload))

    def note_private(session: Session, number: int, receiver: bytes, payload: bytes) -> Frame:
        sizes[number, True] = of(payload)
        return private(session, number, receiver, payload)

    def note_broadcast(session: Session, number: int, payload: bytes) -> Frame:
        sizes[number, False] = of(payload)
        return broadcast(session, number, payload)

    with (
        patch.object(Session, "_private_frame", note_private),
        patch.object(Session, "_broadcast_frame", note_broadcast),
    ):
        run_sign(KEY, PAIR, request())
    assert sizes == {(1, False): 32, (1, True): 4_400, (2, True): 40_228, (3, False): 64}


def refuse(kind: type[Checkpoint]) -> Callable[[bytes, Checkpoint], Any]:
    """The victim's driver refuses at checkpoints of this kind."""

    def answer(party: bytes, checkpoint: Checkpoint) -> Any:
        if party == VICTIM and isinstance(checkpoint, kind):
            raise Abort("refused")
        return approve(party, checkpoint)

    return answer


def test_a_release_names_the_other_signers() -> None:
    """A driver must know whose ban, by another session, ends this one."""
    network, parties = Network(), identities("ABC")
    run_sign(KEY, parties, request(3), network)
    for one in parties:
        releases = [item for item in network.checkpoints[one.public] if isinstance(item, Release)]
        assert releases == [Release(tuple(other.public for other in parties if other != one))]


@pytest.mark.parametrize(("kind", "last_round"), [(Begin, 0), (PairCheck, 1), (Release, 2)])
def test_nothing_leaves_after_a_refused_checkpoint(kind: type[Checkpoint], last_round: int) -> None:
    network = Network(on_checkpoint=refuse(kind))
    outcomes = run_sign(KEY, PAIR, request(), network)
    assert type(outcomes[VICTIM]) is Abort
    assert isinstance(outcomes[CULPRIT], Stalled)
    assert max(frame.round for frame in network.sent if frame.sender == VICTIM) == last_round


@pytest.mark.parametrize(
    ("field", "more"),
    [("digest", {"digest": bytes(32)}), ("path", {"path": (1,)}), ("size", {"size": 3})],
)
def test_unequal_requests_are_named_before_anything_happens(field: str, more: dict[str, Any]) -> None:
    results, network = KEY, Network()
    protocols = {
        one.public: sign(one, results[one.public].share, results[one.public].pairs, asked, SystemRng())
        for one, asked in zip(PARTIES, (request(), request(**more), request()), strict=True)
        if field == "size" or one.public != BYSTANDER
    }
    outcomes = network.run(protocols)
    named = [outcome for outcome in outcomes.values() if isinstance(outcome, ParameterMismatch)]
    assert named
    assert {outcome.field for outcome in named} == {field}
    assert {frame.round for frame in network.sent} == {0}


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"size": 1}, "signers"),
        ({"size": 4}, "signers"),
        ({"digest": b"short"}, "32 bytes"),
        ({"path": (2**31,)}, "hardened"),
        ({"index": -1}, "batch"),
    ],
)
def test_impossible_requests(more: dict[str, Any], match: str) -> None:
    mine = KEY[CULPRIT]
    with pytest.raises(ValueError, match=match):
        next(sign(PARTIES[0], mine.share, mine.pairs, request(**more), SystemRng()))


def test_signing_refuses_replayable_randomness_and_others_shares() -> None:
    mine = KEY[CULPRIT]
    with pytest.raises(ValueError, match="operating system"):
        next(sign(PARTIES[0], mine.share, mine.pairs, request(), SeededRng(bytes(32))))
    with pytest.raises(ValueError, match="of this party"):
        next(sign(identity("Z"), mine.share, mine.pairs, request(), SystemRng()))


@pytest.mark.parametrize("missing", ["none", "of another generation"])
def test_a_signer_without_setup_aborts_before_anything_leaves(missing: str) -> None:
    results = dict(KEY)
    pairs = dict(results[VICTIM].pairs)
    if missing == "none":
        del pairs[CULPRIT]
    else:
        pairs[CULPRIT] = dataclasses.replace(pairs[CULPRIT], gid=TH("other"))
    results[VICTIM] = dataclasses.replace(results[VICTIM], pairs=pairs)
    network = Network()
    outcome = run_sign(results, PAIR, request(), network)[VICTIM]
    assert type(outcome) is Abort
    assert max(frame.round for frame in network.sent if frame.sender == VICTIM) == 0


def test_shares_that_cancel_make_no_signature() -> None:
    one = G.encode_scalar(1)
    shares = {b"a": SignShare(w=one, u=one), b"b": SignShare(w=one, u=G.encode_scalar(-1))}
    with pytest.raises(Abort, match="not valid"):
        assemble(shares, G.base_mul(5), DIGEST, G.generator.to_bytes())


def test_v_names_the_nonce_point() -> None:
    """A low and a high s, an even and an odd R: recovery finds the key each time."""
    secret, seen = 1234567, set()
    for nonce in range(1, 40):
        point = G.base_mul(nonce)
        r = int.from_bytes(point.to_bytes()[1:], "big") % G.order
        w = int.from_bytes(DIGEST, "big") + r * secret
        shares = {b"a": SignShare(w=G.encode_scalar(w), u=G.encode_scalar(nonce))}
        signature = assemble(shares, point, DIGEST, G.base_mul(secret).to_bytes())
        assert_valid(signature, G.base_mul(secret).to_bytes(), DIGEST)
        seen.add((point.to_bytes()[0], signature.v))
    assert len(seen) == 4
