"""FROST's protocol: signatures that a second library accepts, and what ends a session before they exist."""

from typing import Any

import msgspec
import pytest
from coincurve import PublicKeyXOnly
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mpc.envelope import make_body, make_header
from mpc.errors import Abort, ParameterMismatch
from mpc.frost import signing
from mpc.frost.core import Nonces
from mpc.frost.keys import signing_key
from mpc.frost.signing import FrostRequest, frost_sign
from mpc.hello import hello_session
from mpc.protocol import Checkpoint, Frame, Release, Rng, SeededRng, SystemRng
from mpc.shares import Share
from tests.mpc import schnorr
from tests.mpc.simulator import Network, Stalled, identities, identity, key, run_frost, run_sign

SCHEMES = ("ed25519", "bip340")
PARTIES = identities("ABC")
A, B, C = (one.public for one in PARTIES)
MESSAGE = b"a message of any length"


def request(size: int = 2, **more: Any) -> FrostRequest:
    return FrostRequest(**{"room": "room", "size": size, "message": MESSAGE, **more})


def is_valid(scheme: str, public_key: bytes, message: bytes, signature: bytes) -> bool:
    """By OpenSSL, or by BIP340's text."""
    if scheme == "bip340":
        return schnorr.verify(public_key[-32:], message, signature)
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def signs(results: dict[bytes, Any], names: str, what: FrostRequest) -> bytes:
    """All signers have the same valid signature, under the child or tweaked key."""
    signers = identities(names)
    outcomes = run_frost(results, signers, what)
    assert {type(outcome) for outcome in outcomes.values()} == {bytes}, outcomes
    assert len(set(outcomes.values())) == 1
    share: Share = results[signers[0].public].share
    public = signing_key(share.scheme, share.public_key, share.chain_code, what.path, what.tweak).public
    signature: bytes = outcomes[signers[0].public]
    assert len(signature) == 64
    assert is_valid(share.scheme, public.to_bytes(), what.message, signature)
    return signature


@pytest.mark.parametrize(
    ("names", "t", "signers"),
    [
        ("AB", 2, "AB"),
        ("ABC", 2, "AB"),
        ("ABC", 2, "AC"),
        ("ABC", 2, "BC"),
        ("ABC", 2, "ABC"),
        ("ABC", 3, "ABC"),
        ("ABCDE", 3, "ACE"),
        ("ABCDE", 3, "BCDE"),
        ("ABCDE", 3, "ABCDE"),
    ],
)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_any_t_sign_and_a_second_library_agrees(scheme: str, names: str, t: int, signers: str) -> None:
    results = key(names, t, scheme)
    signs(results, signers, request(len(signers)))
    signs(results, signers, request(len(signers), path=(0, 44)))


@pytest.mark.parametrize("path", [(), (7,), (2**31 - 1, 0, 3)], ids=str)
@pytest.mark.parametrize("tweak", [None, b"", bytes(range(32))], ids=["no tweak", "no script tree", "root"])
@pytest.mark.parametrize("names", ["ABC", "ABD", "ABE", "ABF"])
def test_children_and_taproot_keys_of_both_parities(names: str, path: tuple[int, ...], tweak: bytes | None) -> None:
    """Four keys: the chance that one parity is nowhere among keys, children, output keys and nonces is small, and the
    vectors of BIP341 have both.
    """
    results = key(names, 2, "bip340")
    signature = signs(results, names[:2], request(path=path, tweak=tweak))
    share = results[identity("A").public].share
    public = signing_key("bip340", share.public_key, share.chain_code, path, tweak).public.to_bytes()
    assert PublicKeyXOnly(public[1:]).verify(signature, MESSAGE)


@pytest.mark.parametrize("message", [b"", b"\x00", bytes(32), bytes(5000)], ids=len)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_messages_of_any_length(scheme: str, message: bytes) -> None:
    signs(key("ABC", 2, scheme), "AC", request(message=message))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_two_equal_messages_share_nothing(scheme: str) -> None:
    results = key("ABC", 2, scheme)
    networks = [Network(), Network()]
    made = [run_frost(results, PARTIES[:2], request(index=index), network)[A] for index, network in enumerate(networks)]
    assert made[0][:32] != made[1][:32]
    bodies = [{frame.body[99:-64] for frame in network.sent} for network in networks]
    assert not bodies[0] & bodies[1]


@pytest.mark.parametrize(("scheme", "point"), [("ed25519", 32), ("bip340", 33)])
def test_payloads_have_the_sizes_of_the_specification(scheme: str, point: int) -> None:
    network = Network()
    run_frost(key("ABC", 2, scheme), PARTIES, request(3), network)
    assert {frame.receiver for frame in network.sent} == {b""}
    sizes = {
        frame.round: sum(map(len, msgspec.msgpack.decode(frame.body[99:-64]))) for frame in network.sent if frame.round
    }
    assert sizes == {1: 2 * point, 2: 64}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("size", {"size": 3}),
        ("message", {"message": MESSAGE + b"!"}),
        ("path", {"path": (1,)}),
        ("tweak", {"tweak": b""}),
        ("tweak", {"tweak": bytes(32)}),
    ],
)
def test_nobody_makes_a_nonce_for_another_request(
    scheme: str, field: str, other: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if field == "tweak" and scheme != "bip340":
        with pytest.raises(ValueError, match="only BIP340"):
            run_frost(key("ABC", 2, scheme), PARTIES[:2], request(**other))
        return

    def made(*_: Any) -> None:
        raise AssertionError("a nonce was made")

    monkeypatch.setattr(Nonces, "fresh", made)
    outcomes = run_frost(key("ABC", 2, scheme), PARTIES[:2], request(), others={B: request(**other)})
    assert isinstance(outcomes[A], ParameterMismatch)
    assert outcomes[A].field == field
    assert isinstance(outcomes[B], ParameterMismatch | Stalled)


def test_a_stranger_in_the_room_is_not_heard() -> None:
    """Who is not of the quorum takes nobody's place, whatever it says and signs."""
    results, honest, room = key("ABC", 2, "ed25519"), Network(), hello_session("room", 0)
    run_frost(results, PARTIES[:2], request(), honest)
    said = next(frame.body[99:-64] for frame in honest.sent if frame.round == 0)
    stranger = identity("Z")
    body = make_body(stranger, make_header("hello", 0, room, stranger.public, b""), said)
    crowded = Network(sent=[Frame(0, stranger.public, b"", body)])
    assert type(run_frost(results, PARTIES[:2], request(), crowded)[A]) is bytes


def test_a_tweak_and_none_are_never_merged() -> None:
    """A field that is None counts as not known: as one, no tweak would give way to the other's."""
    results = key("ABC", 2, "bip340")
    for first, second in ((None, b""), (b"", None), (bytes(32), None), (None, bytes(32))):
        outcomes = run_frost(results, PARTIES[:2], request(tweak=first), others={B: request(tweak=second)})
        assert {outcome.field for outcome in outcomes.values()} == {"tweak"}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_driver_that_refuses_lets_no_share_out(scheme: str) -> None:
    def refuse(party: bytes, checkpoint: Checkpoint) -> None:
        assert isinstance(checkpoint, Release)
        if party == B:
            assert checkpoint.peers == (A, C)
            raise Abort("refused")

    network = Network(on_checkpoint=refuse)
    outcomes = run_frost(key("ABC", 2, scheme), PARTIES, request(3), network)
    assert [type(outcomes[party]) for party in (A, B, C)] == [Stalled, Abort, Stalled]
    assert {frame.sender for frame in network.sent if frame.round == 2} == {A, C}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_nonces_are_gone_before_a_share_leaves(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Nonces] = []
    fresh = Nonces.fresh

    def watched(*arguments: Any) -> Nonces:
        made.append(fresh(*arguments))
        return made[-1]

    def gone(party: bytes, checkpoint: Checkpoint) -> None:
        with pytest.raises(RuntimeError, match="used"):
            made[[A, B].index(party)].take()

    monkeypatch.setattr(signing.Nonces, "fresh", watched)
    network = Network(on_checkpoint=gone)
    assert type(run_frost(key("ABC", 2, scheme), PARTIES[:2], request(), network)[A]) is bytes
    assert len(made) == 2


def start(share: Share, what: FrostRequest, rng: Rng | None = None) -> None:
    next(frost_sign(identity("A"), share, what, rng or SystemRng()))


def test_randomness_is_the_operating_systems() -> None:
    with pytest.raises(ValueError, match="operating system"):
        start(key("ABC", 2, "ed25519")[identity("A").public].share, request(), SeededRng(bytes(32)))


@pytest.mark.parametrize(
    ("owner", "scheme", "what", "reason"),
    [
        ("A", "ecdsa", {}, "not a FROST share"),
        ("B", "bip340", {}, "not a share of this party"),
        ("A", "bip340", {"size": 1}, "2 to 3 signers"),
        ("A", "ed25519", {"size": 4}, "2 to 3 signers"),
        ("A", "ed25519", {"tweak": b""}, "only BIP340"),
        ("A", "bip340", {"tweak": bytes(31)}, "32-byte root"),
        ("A", "ed25519", {"path": (2**31,)}, "hardened"),
        ("A", "ed25519", {"index": -1}, "index"),
        ("A", "ed25519", {"index": 2**31}, "index"),
    ],
)
def test_impossible_requests(owner: str, scheme: str, what: dict[str, Any], reason: str) -> None:
    share = key("ABC", 2, scheme)[identity(owner).public].share
    with pytest.raises(ValueError, match=reason):
        start(share, request(**what))


def test_a_frost_share_does_not_sign_ecdsa() -> None:
    from mpc.sign import SignRequest

    with pytest.raises(ValueError, match="not an ECDSA share"):
        run_sign(key("ABC", 2, "bip340"), PARTIES[:2], SignRequest(room="room", size=2, digest=bytes(32)))


def test_the_second_library_can_refuse() -> None:
    """Else the tables above show nothing."""
    for scheme in SCHEMES:
        results = key("ABC", 2, scheme)
        signature = signs(results, "AB", request())
        public_key = results[A].share.public_key
        assert not is_valid(scheme, public_key, MESSAGE + b"!", signature)
        assert not is_valid(scheme, public_key, MESSAGE, signature[:32] + signature[:32])
