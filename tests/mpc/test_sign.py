"""Signing: signatures that two other libraries accept, and every check of section 8 failing once."""

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
from mpc.envelope import make_body
from mpc.errors import Abort, ParameterMismatch
from mpc.group import SECP256K1 as G
from mpc.hashing import TH
from mpc.protocol import Checkpoint, Frame, SeededRng, SystemRng
from mpc.secret import Secret
from mpc.sign import PairCheck, Release, Signature, SignRequest, _commit, _is_multiple, sign
from mpc.signature import assemble
from mpc.wire import Commitment, SignExtension, SignProduct, SignShare, encode
from tests.mpc.simulator import (
    Lie,
    Network,
    Stalled,
    approve,
    blames,
    change,
    edit,
    flipped,
    identities,
    identity,
    key,
    run_sign,
    telling,
)

DIGEST = TH("test/message")
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
    outcomes = run_sign(key("ABC", 2), PAIR, request(digest=digest))
    signature = outcomes[CULPRIT]
    public_key = key("ABC", 2)[CULPRIT].share.public_key
    openssl = EllipticCurvePublicKey.from_encoded_point(SECP256K1(), public_key)
    openssl.verify(signature.der, digest, ECDSA(Prehashed(SHA256())))


def test_two_equal_messages_share_nothing() -> None:
    """One batch, one message twice: other indices, other sessions, other nonces."""
    networks = [Network(), Network()]
    signatures = [
        run_sign(key("ABC", 2), PAIR, request(index=index), network)[VICTIM] for index, network in enumerate(networks)
    ]
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
        run_sign(key("ABC", 2), PAIR, request())
    assert sizes == {(1, False): 32, (1, True): 4_400, (2, True): 40_228, (3, False): 64}


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
        outcome = run_sign(key("ABC", 2), PAIR, request(), network)[VICTIM]
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
                reasons.add(run_sign(key("ABC", 2), PAIR, request(), Network())[VICTIM].reason)
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
        outcome = run_sign(key("ABC", 2), PAIR, request())[VICTIM]
    assert blames(outcome) == ({CULPRIT}, True)


def test_all_cheaters_are_found_at_once() -> None:
    parties = identities("ABC")
    lies = [
        Lie(one.public, 2, edit(SignProduct, change("gamma_u", to=OTHER_POINT)), receiver=parties[2].public)
        for one in parties[:2]
    ]
    with telling(*lies):
        outcome = run_sign(key("ABC", 2), parties, request(3))[parties[2].public]
    assert blames(outcome) == ({one.public for one in parties[:2]}, True)


def test_a_wrong_share_aborts_and_blames_nobody() -> None:
    results = dict(key("ABC", 2))
    mine = results[CULPRIT]
    wrong = dataclasses.replace(mine.share, secret=Secret(G.encode_scalar(mine.share.scalar + 1)))
    results[CULPRIT] = dataclasses.replace(mine, share=wrong)
    network = Network()
    outcome = run_sign(results, PAIR, request(), network)[VICTIM]
    assert type(outcome) is Abort
    assert "add up" in outcome.reason
    assert not [frame for frame in network.sent if frame.round == 3]


def test_a_split_view_of_the_commitments_ends_without_a_signature() -> None:
    """The culprit's two commitments both open, each to who got it; the echo tells."""

    def split(frame: Frame, receiver: bytes) -> list[Frame]:
        if frame.sender != CULPRIT or frame.round != 1 or frame.receiver or receiver != BYSTANDER:
            return [frame]
        other = encode(Commitment(commitment=TH("other")))
        return [Frame(1, CULPRIT, frame.receiver, make_body(PARTIES[0], frame.body[:99], other))]

    network = Network(deliver=split)
    outcomes = run_sign(key("ABC", 2), PARTIES, request(3), network)
    assert type(outcomes[VICTIM]) is Abort
    assert blames(outcomes[BYSTANDER]) == ({CULPRIT}, False)
    assert not [frame for frame in network.sent if frame.round == 3 and frame.sender != CULPRIT]


def refuse(kind: type[Checkpoint]) -> Callable[[bytes, Checkpoint], Any]:
    """The victim's driver refuses at checkpoints of this kind."""

    def answer(party: bytes, checkpoint: Checkpoint) -> Any:
        if party == VICTIM and isinstance(checkpoint, kind):
            raise Abort("refused")
        return approve(party, checkpoint)

    return answer


@pytest.mark.parametrize(("kind", "last_round"), [(PairCheck, 1), (Release, 2)])
def test_nothing_leaves_after_a_refused_checkpoint(kind: type[Checkpoint], last_round: int) -> None:
    network = Network(on_checkpoint=refuse(kind))
    outcomes = run_sign(key("ABC", 2), PAIR, request(), network)
    assert type(outcomes[VICTIM]) is Abort
    assert isinstance(outcomes[CULPRIT], Stalled)
    assert max(frame.round for frame in network.sent if frame.sender == VICTIM) == last_round


def test_one_pair_is_checked_after_the_other_and_a_failure_ends_them() -> None:
    lie = Lie(CULPRIT, 1, edit(SignExtension, change("extension")))
    network = Network()
    with telling(lie):
        outcomes = run_sign(key("ABC", 2), PARTIES, request(3), network)
    for honest in (VICTIM, BYSTANDER):
        assert blames(outcomes[honest]) == ({CULPRIT}, True)
        assert [check.peer for check in network.checkpoints[honest]] == [CULPRIT]  # type: ignore[attr-defined]
    honest_network = Network()
    run_sign(key("ABC", 2), PARTIES, request(3), honest_network)
    seen = [item.psid for items in honest_network.checkpoints.values() for item in items if isinstance(item, PairCheck)]
    assert len(seen) == len(set(seen)) == 6


@pytest.mark.parametrize(
    ("field", "more"),
    [("digest", {"digest": bytes(32)}), ("path", {"path": (1,)}), ("size", {"size": 3})],
)
def test_unequal_requests_are_named_before_anything_happens(field: str, more: dict[str, Any]) -> None:
    results, network = key("ABC", 2), Network()
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
    mine = key("ABC", 2)[CULPRIT]
    with pytest.raises(ValueError, match=match):
        next(sign(PARTIES[0], mine.share, mine.pairs, request(**more), SystemRng()))


def test_signing_refuses_replayable_randomness_and_others_shares() -> None:
    mine = key("ABC", 2)[CULPRIT]
    with pytest.raises(ValueError, match="operating system"):
        next(sign(PARTIES[0], mine.share, mine.pairs, request(), SeededRng(bytes(32))))
    with pytest.raises(ValueError, match="of this party"):
        next(sign(identity("Z"), mine.share, mine.pairs, request(), SystemRng()))


@pytest.mark.parametrize("missing", ["none", "of another generation"])
def test_a_signer_without_setup_aborts_before_anything_leaves(missing: str) -> None:
    results = dict(key("ABC", 2))
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


def test_a_sum_that_is_the_identity_is_a_failed_check() -> None:
    assert _is_multiple(6, G.base_mul(7), 40, G.base_mul(2))
    assert not _is_multiple(6, G.base_mul(7), 40, G.base_mul(-40))
    assert not _is_multiple(6, G.base_mul(7), 40, G.base_mul(3))


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
