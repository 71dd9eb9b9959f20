"""What was said elsewhere: in another session, direction, place of a batch, generation; and randomness said twice."""

from __future__ import annotations

from typing import Any

import pytest

from mpc.hashing import TH
from mpc.keygen import KeygenConfig, keygen
from mpc.mul import MulReceiver, verify_extension
from mpc.params import Q
from mpc.protocol import BROADCAST, Frame, SeededRng
from mpc.sign import Signature, SignRequest
from tests.mpc.pairs import Draws, set_up
from tests.mpc.simulator import Network, identities, key, reshare_parties, run_sign

DIGEST = TH("test/message")
PAIR = identities("AB")


def said(results: Any, **more: Any) -> list[Frame]:
    """All that two signers say after their hellos."""
    network = Network()
    outcomes = run_sign(results, PAIR, SignRequest(**{"room": "room", "size": 2, "digest": DIGEST, **more}), network)
    assert all(isinstance(outcome, Signature) for outcome in outcomes.values())
    return [frame for frame in network.sent if frame.round]


def turned(frame: Frame) -> Frame:
    """The same bytes, said to be from their receiver to their sender."""
    return Frame(frame.round, frame.receiver or frame.sender, frame.sender if frame.receiver else BROADCAST, frame.body)


KEY = key("ABC", 2)
ELSEWHERE = {
    "another session": lambda: said(KEY),
    "another place of the batch": lambda: said(KEY, index=1),
    "another room": lambda: said(KEY, room="another"),
    "another key of the same parties": lambda: said(key("AB", 2)),
    "another generation": lambda: said(Network().run(reshare_parties(KEY, "ABC", "ABC", 2))),
}


@pytest.mark.parametrize("elsewhere", ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_what_was_said_elsewhere_is_not_heard(elsewhere: Any) -> None:
    """The relay puts it before what belongs here: it is dropped, nobody is blamed, the signature comes out."""
    old = elsewhere()

    def flooded(frame: Frame, receiver: bytes) -> list[Frame]:
        return [*(stale for stale in old if stale.slot == frame.slot and stale.round == frame.round), frame]

    outcomes = run_sign(KEY, PAIR, SignRequest("room", 2, DIGEST), Network(deliver=flooded))
    assert all(isinstance(outcome, Signature) for outcome in outcomes.values())


def test_a_message_is_not_heard_in_the_other_direction_or_round() -> None:
    class Reflecting(Network):
        def _inbox(self, party: bytes, step: Any) -> list[Frame]:
            for frame in self.sent:
                other_round = Frame(frame.round + 1, frame.sender, frame.receiver, frame.body)
                reflected = turned(frame)
                if reflected != frame:
                    assert not step.accept(reflected)
                if frame.round:
                    assert not step.accept(other_round)
            return super()._inbox(party, step)

    outcomes = run_sign(KEY, PAIR, SignRequest("room", 2, DIGEST), Reflecting())
    assert all(isinstance(outcome, Signature) for outcome in outcomes.values())


def test_two_multiplications_under_one_psid_give_the_difference_of_the_inputs() -> None:
    """Why every request of a batch is a session of its own: with one sid for two, Bob reads a − a' off the wire."""
    pair = set_up("mul")

    def corrections(psid: bytes, a: int) -> int:
        first = MulReceiver.start(pair.bob, psid, Draws("bob"))[1]
        _, message = verify_extension(pair.alice, psid, first).multiply(a, a, Draws("alice"))
        return int.from_bytes(message[:32], "big")

    one, two = TH("test/psid", b"one"), TH("test/psid", b"two")
    assert (corrections(one, 1_000) - corrections(one, 1)) % Q == 999
    assert (corrections(one, 1_000) - corrections(two, 1)) % Q != 999


class Forgetful(SeededRng):
    """The rule left out: draws do not depend on what was heard."""

    def absorb(self, *parts: bytes) -> None:
        return None


@pytest.mark.parametrize(("rng", "same"), [(SeededRng, False), (Forgetful, True)], ids=["as it is", "rule left out"])
def test_a_rolled_back_session_deals_another_polynomial(rng: type[SeededRng], same: bool) -> None:
    """A is restored to before the hellos and hears others begin anew: with equal draws, two challenges of one Schnorr
    nonce, and the same polynomial dealt to another quorum.
    """
    parties = identities("ABC")
    config = KeygenConfig("room", "ecdsa", 2, tuple(one.public for one in parties))
    dealt = []
    for attempt in (b"one", b"two"):
        drawn: dict[str, bytes] = {}

        class Watched(rng):  # type: ignore[valid-type,misc]
            def draw(self, label: str, size: int, drawn: dict[str, bytes] = drawn) -> bytes:
                drawn[label] = super().draw(label, size)
                return drawn[label]

        rngs = {one.public: SeededRng(TH("test/seed", one.public, attempt)) for one in parties}
        rngs[parties[0].public] = Watched(TH("test/seed", b"restored"))
        protocols = {one.public: keygen(one, config, rngs[one.public]) for one in parties}
        outcomes = Network().run(protocols)
        assert len({outcome.digest for outcome in outcomes.values()}) == 1
        dealt.append({label: value for label, value in drawn.items() if label.startswith("dealing/")})
    assert dealt[0].keys() == dealt[1].keys()
    assert [dealt[0][label] == dealt[1][label] for label in dealt[0]] == [same] * len(dealt[0])
