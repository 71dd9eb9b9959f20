"""Batches: many signatures over one hello; items that differ, cheat or fail; and what is done once for all of them.

What each field's lies lead to: tests/mpc/attacks/table_batch.py.
"""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from mpc import batch, derive, sign
from mpc.batch import NOT_AGREED, BatchRequest, batch_sign
from mpc.channel import Session
from mpc.errors import Abort, Blame, ParameterMismatch
from mpc.frost.keys import signing_key
from mpc.group import SECP256K1 as G
from mpc.hashing import TH
from mpc.protocol import Checkpoint, Release, SeededRng, SystemRng
from mpc.sign import Begin, PairCheck, SignRequest, _Signer
from mpc.signature import Signature
from mpc.wire import (
    BatchOffers,
    Bundle,
    FrostShare,
    SealedBundle,
    SignExtension,
    SignProduct,
    SignShare,
    decode,
    encode,
)
from tests.mpc.simulator import (
    Lie,
    Network,
    Stalled,
    approve,
    batch_item,
    batch_of,
    blames,
    change,
    edit,
    flipped,
    identities,
    identity,
    key,
    run_batch,
    run_sign,
)
from tests.mpc.test_frost import is_valid
from tests.mpc.test_sign import assert_valid

SCHEMES = ("ecdsa", "ed25519", "bip340")
PARTIES = identities("ABC")
CULPRIT, VICTIM, BYSTANDER = (one.public for one in PARTIES)
PAIR = PARTIES[:2]


def message(number: int) -> bytes:
    return TH("test/message", bytes((number,)))


def items_of(scheme: str, count: int, **more: Any) -> list[Any]:
    return [batch_item(scheme, index, message(index), **more) for index in range(count)]


def valid(scheme: str, signature: Any, signed: bytes, path: tuple[int, ...] = ()) -> bool:
    """By a library that knows nothing of the protocol; fails rather than answers for ECDSA."""
    share = key("ABC", 2, scheme)[VICTIM].share
    if scheme == "ecdsa":
        assert_valid(signature, derive.offset(share.public_key, share.chain_code, path)[1], signed)
        return True
    public = signing_key(scheme, share.public_key, share.chain_code, path).public
    return is_valid(scheme, public.to_bytes(), signed, signature)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("signers", ["AB", "ABC"])
@pytest.mark.parametrize("count", [1, 2, 17])
def test_all_have_the_same_valid_signatures(scheme: str, signers: str, count: int) -> None:
    size = len(signers)
    asked = [batch_item(scheme, index, message(index), size, path=(index,)) for index in range(count)]
    outcomes = run_batch(key("ABC", 2, scheme), identities(signers), batch_of(*asked, size=size))
    assert len(set(outcomes.values())) == 1, outcomes
    signatures = outcomes[identities(signers)[0].public]
    assert len(signatures) == count
    for index, signature in enumerate(signatures):
        assert valid(scheme, signature, message(index), (index,))


OTHERS: dict[str, Any] = {
    "refused": lambda scheme: None,
    "another message": lambda scheme: batch_item(scheme, 1, message(99)),
    "another path": lambda scheme: batch_item(scheme, 1, message(1), path=(5,)),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_one_signer_was_not_asked_for_is_not_signed_and_the_rest_is(scheme: str, other: Any) -> None:
    asked = items_of(scheme, 3)
    theirs = [asked[0], other(scheme), asked[2]]
    outcomes = run_batch(key("ABC", 2, scheme), PAIR, batch_of(*asked), others={CULPRIT: batch_of(*theirs)})
    for first, second, third in outcomes.values():
        assert valid(scheme, first, message(0))
        assert type(second) is Abort
        assert second.reason == NOT_AGREED
        assert valid(scheme, third, message(2))
    assert outcomes[CULPRIT][::2] == outcomes[VICTIM][::2]


def test_a_taproot_output_key_is_another_request() -> None:
    asked = batch_item("bip340", 0, message(0), tweak=b"")
    outcomes = run_batch(
        key("ABC", 2, "bip340"), PAIR, batch_of(asked), others={CULPRIT: batch_of(batch_item("bip340", 0, message(0)))}
    )
    assert {str(outcome) for [outcome] in outcomes.values()} == {NOT_AGREED}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_nothing_is_begun_where_nothing_is_agreed(scheme: str) -> None:
    network, asked = Network(), items_of(scheme, 2)
    others = {CULPRIT: batch_of(asked[0], None), VICTIM: batch_of(None, asked[1])}
    outcomes = run_batch(key("ABC", 2, scheme), PAIR, batch_of(*asked), network, others)
    assert [[str(each) for each in outcome] for outcome in outcomes.values()] == [[NOT_AGREED] * 2] * 2
    assert {frame.round for frame in network.sent} == {0}
    assert network.checkpoints == {}


def offered(*offers: bytes) -> bytes:
    return encode(BatchOffers(offers=offers))


def test_signed_is_what_everybody_offers_and_nothing_else() -> None:
    mine = (b"1" * 32, b"", b"3" * 32, b"4" * 32)
    session = SimpleNamespace(
        extras={b"a": offered(*mine), b"b": offered(*mine[:2], b"", mine[3]), b"c": offered(*mine)}
    )
    assert batch._agreed(session, mine) == [0, 3]  # type: ignore[arg-type]


@pytest.mark.parametrize("theirs", [(), (b"1" * 32,), (b"1" * 32,) * 3], ids=len)
def test_who_offers_another_number_is_blamed(theirs: tuple[bytes, ...]) -> None:
    mine = (b"1" * 32,) * 2
    session = SimpleNamespace(extras={b"a": offered(*mine), b"b": offered(*theirs)})
    with pytest.raises(Blame) as blamed:
        batch._agreed(session, mine)  # type: ignore[arg-type]
    assert (blamed.value.culprits, blamed.value.ban) == ({b"b"}, False)


def test_batches_of_another_number_and_single_requests_are_named() -> None:
    results, asked = key("ABC", 2, "ecdsa"), items_of("ecdsa", 2)
    outcomes = run_batch(results, PAIR, batch_of(*asked), others={CULPRIT: batch_of(asked[0])})
    assert {outcome.field for outcome in outcomes.values()} == {"count"}
    single = SignRequest(room="batch", size=2, digest=message(0))
    mine = results[CULPRIT]
    protocols = {
        CULPRIT: sign.sign(PAIR[0], mine.share, mine.pairs, single, SystemRng()),
        VICTIM: batch_sign(PAIR[1], results[VICTIM].share, results[VICTIM].pairs, batch_of(asked[0]), SystemRng()),
    }
    outcomes = Network().run(protocols)
    assert {type(outcome) for outcome in outcomes.values()} == {ParameterMismatch}
    assert {outcome.field for outcome in outcomes.values()} == {"protocol"}


def test_equal_requests_share_nothing() -> None:
    """Every psid, mask, nonce and commitment of one message asked for three times is another."""
    psids: Counter[bytes] = Counter()
    network = Network()
    real = sign._psid

    def noted(sid: bytes, pair: bytes) -> bytes:
        psids[real(sid, pair)] += 1
        return real(sid, pair)

    asked = [batch_item("ecdsa", index, message(0)) for index in range(3)]
    with patch.object(sign, "_psid", noted):
        outcomes = run_batch(key("ABC", 2, "ecdsa"), PAIR, batch_of(*asked), network)
    # Two ordered pairs, of which each party asks once as Bob and once as Alice, in each of three items.
    assert set(psids.values()) == {2}
    assert len(psids) == 2 * 3
    signatures = outcomes[VICTIM]
    assert len({signature.r for signature in signatures}) == 3
    bundles = [decode(Bundle, frame.body[99:-64]) for frame in network.sent if frame.round and not frame.receiver]
    messages = [item for bundle in bundles for item in bundle.items]
    assert len(set(messages)) == len(messages) == 2 * 2 * 3


@pytest.mark.parametrize("scheme", ["ed25519", "bip340"])
def test_equal_messages_have_nonces_of_their_own(scheme: str) -> None:
    asked = [batch_item(scheme, index, message(0)) for index in range(3)]
    outcomes = run_batch(key("ABC", 2, scheme), PAIR, batch_of(*asked))
    assert len({signature[:32] for signature in outcomes[VICTIM]}) == 3


def test_an_items_sid_is_bound_to_batch_index_and_request() -> None:
    places = [("one", 0, "a"), ("one", 1, "a"), ("one", 0, "b"), ("two", 0, "a")]
    made = [
        batch._ItemChannel(
            SimpleNamespace(sid=TH(session), me=None, parties=(), others=()),  # type: ignore[arg-type]
            index,
            TH(request),
        )
        for session, index, request in places
    ]
    assert len({channel.sid for channel in made}) == len(made)


def test_draws_have_labels_of_their_own() -> None:
    """Of a source that draws by label, as a recorded session does, no two items get the same bytes."""
    labels: Counter[str] = Counter()

    class Noting(SystemRng):
        def draw(self, label: str, size: int) -> bytes:
            labels[label] += 1
            return super().draw(label, size)

    results = key("ABC", 2, "ecdsa")
    protocols = {
        one.public: batch_sign(
            one,
            results[one.public].share,
            results[one.public].pairs,
            batch_of(*items_of("ecdsa", 2)),
            Noting() if one.public == VICTIM else SystemRng(),
        )
        for one in PAIR
    }
    Network().run(protocols)
    assert set(labels.values()) == {1}
    assert {"item/0/nonce", "item/1/nonce"} <= set(labels)


# --- what is done once --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES)
def test_checkpoints_are_the_batchs(scheme: str) -> None:
    network, asked = Network(), items_of(scheme, 3, size=3)
    theirs = batch_of(asked[0], None, asked[2], size=3)
    run_batch(key("ABC", 2, scheme), PARTIES, batch_of(*asked, size=3), network, {BYSTANDER: theirs})
    sids = set()
    for one in PARTIES:
        begin, *pairs, release = network.checkpoints[one.public]
        others = tuple(other.public for other in PARTIES if other != one)
        assert isinstance(begin, Begin)
        sids.add(begin.sid)
        assert [pair.peer for pair in pairs if isinstance(pair, PairCheck)] == (
            list(others) if scheme == "ecdsa" else []
        )
        assert len(pairs) == (2 if scheme == "ecdsa" else 0)
        assert release == Release(others, (0, 2))
    assert len(sids) == 1


@pytest.mark.parametrize(("kind", "last_round"), [(Begin, 0), (PairCheck, 1), (Release, 2)])
def test_nothing_leaves_after_a_refused_checkpoint(kind: type[Checkpoint], last_round: int) -> None:
    def refuse(party: bytes, checkpoint: Checkpoint) -> Any:
        if party == VICTIM and isinstance(checkpoint, kind):
            raise Abort("refused")
        return approve(party, checkpoint)

    network = Network(on_checkpoint=refuse)
    outcomes = run_batch(key("ABC", 2, "ecdsa"), PAIR, batch_of(*items_of("ecdsa", 2)), network)
    assert str(outcomes[VICTIM]) == "refused"
    assert isinstance(outcomes[CULPRIT], Stalled)
    assert max(frame.round for frame in network.sent if frame.sender == VICTIM) == last_round


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_round_is_one_message_to_each(scheme: str) -> None:
    network = Network()
    run_batch(key("ABC", 2, scheme), PARTIES, batch_of(*items_of(scheme, 5, size=3), size=3), network)
    slots = [(frame.round, *frame.slot) for frame in network.sent]
    assert len(slots) == len(set(slots)) == (3 * (3 + 2 * 2) if scheme == "ecdsa" else 3 * 3)


# --- cheating -----------------------------------------------------------------------------------------------------


def lie_about(index: int, number: int, kind: Any, *path: str, private: bool = True, to: Any = flipped) -> Lie:
    """A field of one item's message, changed in the bundle."""

    def edited(bundle: Any) -> None:
        items = list(bundle.items)
        items[index] = edit(kind, change(*path, to=to))(items[index])
        bundle.items = tuple(items)

    receiver = VICTIM if private else None
    return Lie(CULPRIT, number, edit(SealedBundle if private else Bundle, edited), private, receiver)


CHEATING: dict[str, tuple[str, Any, bool]] = {
    "an extension": ("ecdsa", lambda at: lie_about(at, 1, SignExtension, "extension"), True),
    "a product": ("ecdsa", lambda at: lie_about(at, 2, SignProduct, "product"), True),
    "a nonce": ("ecdsa", lambda at: lie_about(at, 2, SignProduct, "blind"), False),
    "a share": ("ed25519", lambda at: lie_about(at, 2, FrostShare, "z", private=False, to=bytes(32)), False),
}


@pytest.mark.parametrize(("scheme", "lie", "ban"), CHEATING.values(), ids=CHEATING.keys())
@pytest.mark.parametrize("at", [0, 2], ids=["first item", "last item"])
def test_who_cheats_in_one_item_is_blamed_and_ends_the_batch(scheme: str, lie: Any, ban: bool, at: int) -> None:
    network = Network()
    with lie(at).told():
        outcomes = run_batch(key("ABC", 2, scheme), PARTIES, batch_of(*items_of(scheme, 3, size=3), size=3), network)
    assert blames(outcomes[VICTIM]) == ({CULPRIT}, ban)
    if scheme == "ecdsa":
        assert max(frame.round for frame in network.sent if frame.sender == VICTIM) < 3, "it gave a share away"
        assert isinstance(outcomes[BYSTANDER], Stalled)


@pytest.mark.parametrize("private", [False, True], ids=["broadcast", "private"])
@pytest.mark.parametrize("items", [lambda own: own[:-1], lambda own: (*own, own[-1])], ids=["one less", "one more"])
def test_a_bundle_of_another_number_of_items_is_blamed(private: bool, items: Any) -> None:
    kind = SealedBundle if private else Bundle
    lie = Lie(CULPRIT, 1, edit(kind, change("items", to=items)), private, VICTIM if private else None)
    network = Network()
    with lie.told():
        outcomes = run_batch(key("ABC", 2, "ecdsa"), PAIR, batch_of(*items_of("ecdsa", 2)), network)
    assert blames(outcomes[VICTIM]) == ({CULPRIT}, False)
    assert max(frame.round for frame in network.sent if frame.sender == VICTIM) == 1


def test_extensions_are_checked_one_after_the_other_up_to_the_first_that_fails() -> None:
    verified: list[bytes] = []
    real = sign.verify_extension

    def counted(state: Any, psid: bytes, message: bytes) -> Any:
        verified.append(psid)
        return real(state, psid, message)

    def one_party(party: bytes, checkpoint: Checkpoint) -> Any:
        if party != VICTIM and isinstance(checkpoint, PairCheck):
            raise Abort("only the victim checks")
        return approve(party, checkpoint)

    with lie_about(1, 1, SignExtension, "extension").told(), patch.object(sign, "verify_extension", counted):
        outcomes = run_batch(
            key("ABC", 2, "ecdsa"), PAIR, batch_of(*items_of("ecdsa", 4)), Network(on_checkpoint=one_party)
        )
    assert blames(outcomes[VICTIM]) == ({CULPRIT}, True)
    assert len(verified) == len(set(verified)) == 2


def test_every_items_checks_are_made_before_anybody_is_blamed() -> None:
    """So the moment of a blame does not say in which item a guess was wrong."""
    checked: list[bytes] = []
    real = _Signer._take_product

    def counted(signer: _Signer, peer: bytes, product: SignProduct) -> Any:
        if peer == CULPRIT:
            checked.append(signer.sid)
        return real(signer, peer, product)

    with lie_about(0, 2, SignProduct, "product").told(), patch.object(_Signer, "_take_product", counted):
        outcomes = run_batch(key("ABC", 2, "ecdsa"), PAIR, batch_of(*items_of("ecdsa", 3)))
    assert blames(outcomes[VICTIM]) == ({CULPRIT}, True)
    assert outcomes[VICTIM].reason == "the checks of round 2 failed"
    assert len(set(checked)) == 3


def ending(error: Exception) -> Any:
    """An item that ends so."""
    raise error
    yield


def test_a_ban_comes_before_a_strike_and_both_before_an_abort() -> None:
    strike, bans = Blame({b"a"}, "a strike"), [Blame({name}, "a ban", ban=True) for name in (b"b", b"c")]
    for errors, culprits, ban in (
        ([Abort("nobody"), strike, *bans], {b"b", b"c"}, True),
        ([Abort("nobody"), strike], {b"a"}, False),
    ):
        items = dict(enumerate(map(ending, errors)))
        with pytest.raises(Blame) as blamed:
            batch._advance(items, dict.fromkeys(items), {})
        assert (blamed.value.culprits, blamed.value.ban) == (culprits, ban)


def test_a_signature_that_does_not_verify_costs_its_item_alone() -> None:
    one_more = lambda w: G.encode_scalar(G.decode_scalar(w) + 1)  # noqa: E731
    with lie_about(1, 3, SignShare, "w", private=False, to=one_more).told():
        first, second, third = run_batch(key("ABC", 2, "ecdsa"), PAIR, batch_of(*items_of("ecdsa", 3)))[VICTIM]
    assert type(second) is Abort
    assert "not valid" in second.reason
    assert valid("ecdsa", first, message(0))
    assert valid("ecdsa", third, message(2))


def test_an_item_that_aborts_before_the_shares_leave_ends_the_batch() -> None:
    """The others wait for whole bundles."""
    real, made = sign._signing_key, []

    def zero_once(*arguments: Any) -> int:
        made.append(1)
        return 0 if len(made) == 2 else real(*arguments)

    network = Network()
    with patch.object(sign, "_signing_key", zero_once):
        outcomes = run_batch(key("ABC", 2, "ecdsa"), PAIR, batch_of(*items_of("ecdsa", 3)), network)
    assert str(outcomes[PAIR[0].public]) == "the additive key share is zero"
    assert isinstance(outcomes[PAIR[1].public], Stalled)


def test_who_shows_different_bundles_to_different_parties_ends_the_batch_unblamed() -> None:
    real = Session._broadcast_frame
    shown: dict[bytes, Any] = {}

    def two_faced(session: Session, number: int, payload: bytes) -> Any:
        frame = real(session, number, payload)
        if session.me.public == CULPRIT and number == 1:
            bundle = decode(Bundle, payload)
            bundle.items = bundle.items[::-1]
            shown[frame.body] = real(session, number, encode(bundle))
        return frame

    def deliver(frame: Any, receiver: bytes) -> list[Any]:
        return [shown[frame.body]] if frame.body in shown and receiver == VICTIM else [frame]

    with patch.object(Session, "_broadcast_frame", two_faced):
        outcomes = run_batch(
            key("ABC", 2, "ed25519"),
            PARTIES,
            batch_of(*items_of("ed25519", 2, size=3), size=3),
            Network(deliver=deliver),
        )
    for each in outcomes[BYSTANDER]:
        assert type(each) is Abort
        assert "different broadcasts" in each.reason


# --- requests -----------------------------------------------------------------------------------------------------


IMPOSSIBLE: dict[str, tuple[Any, str]] = {
    "empty": (lambda: batch_of(), "1 to 1000 requests"),
    "too long": (lambda: batch_of(*[None] * 1_001), "1 to 1000 requests"),
    "another room": (lambda: BatchRequest("other", 2, (batch_item("ecdsa", 0, message(0)),)), "another batch"),
    "another size": (lambda: batch_of(batch_item("ecdsa", 0, message(0), 3)), "another batch"),
    "another index": (lambda: batch_of(batch_item("ecdsa", 1, message(0))), "another batch"),
}


def test_the_longest_batch() -> None:
    assert len(batch_of(*[None] * 1_000).items) == 1_000


@pytest.mark.parametrize(("make", "reason"), IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_impossible_batches(make: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        make()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_who_may_not_sign_does_not(scheme: str) -> None:
    mine, asked = key("ABC", 2, scheme)[CULPRIT], batch_of(*items_of(scheme, 1))
    with pytest.raises(ValueError, match="operating system"):
        next(batch_sign(PARTIES[0], mine.share, mine.pairs, asked, SeededRng(bytes(32))))
    with pytest.raises(ValueError, match="of this party"):
        next(batch_sign(identity("Z"), mine.share, mine.pairs, asked, SystemRng()))
    with pytest.raises(ValueError, match="2 to 3 signers"):
        next(batch_sign(PARTIES[0], mine.share, mine.pairs, batch_of(None, size=4), SystemRng()))
    other = "ecdsa" if scheme != "ecdsa" else "bip340"
    mixed = batch_of(items_of(scheme, 1)[0], items_of(other, 2)[1])
    with pytest.raises(ValueError, match="another scheme"):
        next(batch_sign(PARTIES[0], mine.share, mine.pairs, mixed, SystemRng()))


def test_a_signer_without_set_up_aborts_before_anything_leaves() -> None:
    results = dict(key("ABC", 2, "ecdsa"))
    results[VICTIM] = type(results[VICTIM])(**{**vars(results[VICTIM]), "pairs": {}})
    network = Network()
    outcome = run_batch(results, PAIR, batch_of(*items_of("ecdsa", 2)), network)[VICTIM]
    assert type(outcome) is Abort
    assert "no set-up" in outcome.reason
    assert max(frame.round for frame in network.sent if frame.sender == VICTIM) == 0


def test_what_a_batch_says_is_not_heard_in_another_and_the_other_way_round() -> None:
    asked = batch_of(*items_of("ecdsa", 2))
    old = Network()
    run_batch(key("ABC", 2, "ecdsa"), PAIR, asked, old)

    def flooded(frame: Any, receiver: bytes) -> list[Any]:
        stale = [each for each in old.sent if each.round and (each.slot, each.round) == (frame.slot, frame.round)]
        return [*stale, frame]

    outcomes = run_batch(key("ABC", 2, "ecdsa"), PAIR, asked, Network(deliver=flooded))
    assert all(isinstance(each, Signature) for outcome in outcomes.values() for each in outcome)
    single = run_sign(key("ABC", 2, "ecdsa"), PAIR, SignRequest("batch", 2, message(0)), Network(deliver=flooded))
    assert all(isinstance(each, Signature) for each in single.values())


# --- sizes --------------------------------------------------------------------------------------------------------

ENVELOPE, SEAL = 163, 28


@pytest.mark.parametrize("count", [1, 15, 16, 40])
def test_a_bundle_is_as_long_as_its_items_and_little_more(count: int) -> None:
    """docs/cryptography.md, section 14: k·(L + 2 or 3) + 2 or 4."""
    network = Network()
    run_batch(key("ABC", 2, "ecdsa"), PAIR, batch_of(*items_of("ecdsa", count)), network)
    lengths = {
        (frame.round, bool(frame.receiver)): len(frame.body) - ENVELOPE - SEAL * bool(frame.receiver)
        for frame in network.sent
    }
    head = 2 if count < 16 else 4
    samples = {
        (1, False): 32 + 3,  # a field of up to 255 B takes 2 bytes more, the message 1
        (1, True): 4_400 + 4,
        (2, True): 40_228 + 3 + 7 * 2 + 1,
        (3, False): 64 + 2 * 2 + 1,
    }
    for place, length in samples.items():
        assert lengths[place] == count * (length + (2 if length < 256 else 3)) + head, place
