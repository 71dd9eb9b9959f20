"""Durable by replay: the same inbound messages give the same bytes, others give independent draws."""

from collections.abc import Callable
from typing import Any

import pytest

from mpc.hashing import TH
from mpc.identity import Identity
from mpc.keygen import KeygenConfig, keygen
from mpc.protocol import BROADCAST, Checkpoint, Protocol, Rng, SeededRng, Step, SystemRng, scoped
from mpc.wire import Commitment, KeygenDeal
from tests.mpc.simulator import (
    Lie,
    Network,
    approve,
    change,
    edit,
    flipped,
    identities,
    key,
    reshare_parties,
    telling,
)

PARTIES = identities("ABC")
ME, PEER, OTHER = PARTIES


class Recording:
    """A SeededRng that remembers what it gave."""

    def __init__(self, seed: bytes) -> None:
        self.inner = SeededRng(seed)
        self.drawn: dict[str, bytes] = {}

    def draw(self, label: str, size: int) -> bytes:
        self.drawn[label] = self.inner.draw(label, size)
        return self.drawn[label]

    def absorb(self, *parts: bytes) -> None:
        self.inner.absorb(*parts)


def seed(one: Identity, attempt: str = "") -> bytes:
    return TH("test/seed", one.public, attempt.encode())


def keygens(rngs: dict[bytes, Rng]) -> dict[bytes, Protocol[Any]]:
    config = KeygenConfig(room="replay", scheme="ecdsa", t=2, identities=tuple(one.public for one in PARTIES))
    return {one.public: keygen(one, config, rngs[one.public]) for one in PARTIES}


def reshares(rngs: dict[bytes, Rng]) -> dict[bytes, Protocol[Any]]:
    return reshare_parties(key("ABC", 2), "ABC", "ABC", 2, rngs=rngs)


def seeded(attempts: dict[bytes, str] | None = None) -> dict[bytes, Rng]:
    attempts = attempts or {}
    return {one.public: Recording(seed(one, attempts.get(one.public, ""))) for one in PARTIES}


def drawn(rngs: dict[bytes, Rng], one: Identity) -> dict[str, bytes]:
    rng = rngs[one.public]
    assert isinstance(rng, Recording)
    return rng.drawn


def replay(protocol: Protocol[Any], network: Network) -> tuple[list[Any], Any]:
    """Runs ME's protocol again, alone, over the stored messages: (frames in order, result)."""
    frames, item, inbound = [], next(protocol), (BROADCAST, ME.public)
    try:
        while True:
            if isinstance(item, Checkpoint):
                item = protocol.send(approve(ME.public, item))
                continue
            assert isinstance(item, Step)
            frames += item.frames
            stored = [frame for frame in network.sent if frame.sender != ME.public and frame.receiver in inbound]
            item = protocol.send([frame for frame in reversed(stored) if item.accept(frame)])
    except StopIteration as stop:
        return frames, stop.value


@pytest.mark.parametrize("protocols", [keygens, reshares])
def test_a_session_run_again_over_its_inbound_messages_says_the_same(
    protocols: Callable[[dict[bytes, Rng]], dict[bytes, Protocol[Any]]],
) -> None:
    network = Network()
    first = network.run(protocols(seeded()))[ME.public]
    frames, again = replay(protocols(seeded())[ME.public], network)
    assert frames == [frame for frame in network.sent if frame.sender == ME.public]
    assert again.share.encode() == first.share.encode()
    assert {peer: pair.encode() for peer, pair in again.pairs.items()} == {
        peer: pair.encode() for peer, pair in first.pairs.items()
    }


@pytest.mark.parametrize("protocols", [keygens, reshares])
def test_another_peer_nonce_repeats_no_draw(
    protocols: Callable[[dict[bytes, Rng]], dict[bytes, Protocol[Any]]],
) -> None:
    """Rolled back to before the hellos, the party hears a peer that begins anew: only its own hello is the same."""
    one, two = seeded(), seeded({PEER.public: "another"})
    networks = Network(), Network()
    networks[0].run(protocols(one))
    networks[1].run(protocols(two))
    first, second = drawn(one, ME), drawn(two, ME)
    same = {label for label in first if second.get(label) == first[label]}
    assert same == {"hello/ephemeral", "hello/nonce"}
    assert not set(first.values()) & (set(second.values()) - {first[label] for label in same})
    sent = [[frame for frame in network.sent if frame.sender == ME.public] for network in networks]
    assert sent[0][0] == sent[1][0]
    assert not {frame.body for frame in sent[0][1:]} & {frame.body for frame in sent[1][1:]}


DRAWN_BEFORE_K1 = ("hello/", "dealing/", "chain-code")


@pytest.mark.parametrize(
    ("number", "private", "already"),
    [(1, False, DRAWN_BEFORE_K1), (2, True, (*DRAWN_BEFORE_K1, "/ot/a", "/zero"))],
    ids=["K1", "K2"],
)
def test_another_message_of_any_round_repeats_no_later_draw(
    number: int, private: bool, already: tuple[str, ...]
) -> None:
    """Rolled back to a later round: what was drawn before it is the same, what is drawn after it is not."""
    one, two = seeded(), seeded()
    Network().run(keygens(one))
    field = change("commitment") if number == 1 else change("setup", "zero_commitment")
    lie = Lie(PEER.public, number, edit(Commitment if number == 1 else KeygenDeal, field), private=private)
    with telling(lie):
        Network().run(keygens(two))
    first, second = drawn(one, ME), drawn(two, ME)
    for label, value in second.items():
        assert (first.get(label) == value) == any(part in label for part in already), label
    assert any(not any(part in label for part in already) for label in second)


def test_own_parameters_change_every_draw() -> None:
    values = []
    for t in (2, 3):
        rng = Recording(seed(ME))
        config = KeygenConfig(room="replay", scheme="ecdsa", t=t, identities=tuple(one.public for one in PARTIES))
        next(keygen(ME, config, rng))
        values.append(rng.drawn)
    assert set(values[0]) == set(values[1]) == {"hello/ephemeral", "hello/nonce"}
    assert not set(values[0].values()) & set(values[1].values())


def test_the_order_of_arrival_does_not_matter() -> None:
    network = Network()
    network.run(keygens(seeded()))
    again = Network(sent=[])
    again.run(dict(reversed(keygens(seeded()).items())))
    assert sorted(frame.body for frame in network.sent) == sorted(frame.body for frame in again.sent)


def test_a_seeded_label_is_drawn_once() -> None:
    rng = SeededRng(bytes(32))
    rng.draw("label", 32)
    with pytest.raises(RuntimeError, match="drawn before"):
        rng.draw("label", 32)
    assert scoped(rng, "scope")("label", 16) == fresh("scope/label", 16)
    assert "redacted" in repr(rng)
    with pytest.raises(ValueError, match="32 bytes"):
        SeededRng(bytes(31))


def fresh(label: str, size: int) -> bytes:
    return SeededRng(bytes(32)).draw(label, size)


def test_seeds_and_views_are_independent() -> None:
    def draw(seed: bytes, *views: bytes) -> bytes:
        rng = SeededRng(seed)
        for view in views:
            rng.absorb(view)
        return rng.draw("label", 32)

    drawn = [
        draw(bytes(32)),
        draw(flipped(bytes(32))),
        draw(bytes(32), b"a"),
        draw(bytes(32), b"b"),
        draw(bytes(32), b"a", b"b"),
        draw(bytes(32), b"ab"),
    ]
    assert len(set(drawn)) == len(drawn)


def test_the_systems_randomness_does_not_repeat() -> None:
    rng = SystemRng()
    assert rng.draw("label", 32) != rng.draw("label", 32)
    assert len(rng.draw("label", 7)) == 7
