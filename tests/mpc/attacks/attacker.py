"""A party that is honest but for one field of one message, and the sessions in which it is.

The culprit speaks last in every round and so knows what the others said. Its lie is consistent: it signs what it says,
and goes on as if it had been the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from unittest.mock import patch

from mpc import keygen, sign
from mpc.batch import batch_sign
from mpc.channel import Session
from mpc.errors import Abort
from mpc.frost.signing import FrostRequest, frost_sign
from mpc.hashing import TH
from mpc.hello import greet
from mpc.ot import base
from mpc.protocol import Frame, Protocol, Rng, SeededRng, SystemRng
from mpc.schemes import group_of, scheme_of
from mpc.wire import Message, decode, encode
from tests.mpc.attacks.manipulations import Known, Manipulation
from tests.mpc.attacks.places import PLACES, Place, Spot
from tests.mpc.simulator import (
    Network,
    batch_item,
    batch_of,
    export_parties,
    identities,
    identity,
    import_parties,
    key,
    reshare_parties,
)

DIGEST = TH("test/message")
# The liar, whom it lies to in private, and a third; a reshare's third party leaves, and D joins.
CULPRIT, VICTIM, BYSTANDER, JOINER = (identity(name).public for name in "ABCD")


@dataclass
class Attacker:
    """The culprit's network card. Without ``spot`` it only listens; ``said`` holds everybody's messages, as sent.

    ``garble`` changes the bytes of the message that the spot is in, in place of a manipulation.
    """

    culprit: bytes = CULPRIT
    victim: bytes = VICTIM
    spot: Spot | None = None
    manipulation: Manipulation | None = None
    earlier: dict[Place, dict[bytes, Message]] = field(default_factory=dict)
    said: dict[Place, dict[bytes, Message]] = field(default_factory=dict)
    garble: Callable[[bytes], bytes] | None = None
    changed: bool = False

    def passes(self, place: Place, sender: bytes, message: Message) -> Message:
        """What really leaves of what ``sender`` wants to say."""
        spot = self.spot
        if spot is None or sender != self.culprit or spot.place != place or self.manipulation is None:
            self.said.setdefault(place, {})[sender] = message
            return message
        own = spot.get(message)
        others = [spot.get(other) for party, other in self.said.get(place, {}).items() if party != self.culprit]
        known = Known(own, next((value for value in others if value is not None), None), self._earlier(spot))
        value = self.manipulation.change(known)
        if value == own:
            return message
        self.changed = True
        spot.put(message, value)
        return message

    def _earlier(self, spot: Spot) -> Any:
        message = self.earlier.get(spot.place, {}).get(self.culprit)
        return None if message is None else spot.get(message)

    @contextmanager
    def at_work(self, world: str) -> Iterator[None]:
        """Every message of the session passes by."""
        places = {(place.round, place.private): place for place in PLACES if place.world == world}
        greets = "mpc.reshare" if places[0, False].protocol == "reshare" else "mpc.channel"
        broadcast_frame, private_frame = Session._broadcast_frame, Session._private_frame

        def altered(number: int, private: bool, sender: bytes, payload: bytes) -> bytes:
            place = places[number, private]
            if self.garble and sender == self.culprit and self.spot and self.spot.place == place:
                return self.garble(payload)
            return encode(self.passes(place, sender, decode(place.kind, payload)))

        def broadcast(session: Session, number: int, payload: bytes) -> Frame:
            return broadcast_frame(session, number, altered(number, False, session.me.public, payload))

        def private(session: Session, number: int, receiver: bytes, payload: bytes) -> Frame:
            if receiver in (self.victim, self.culprit):
                payload = altered(number, True, session.me.public, payload)
            return private_frame(session, number, receiver, payload)

        def lying_greet(me: Any, hello: Callable[[bytes, bytes], Message], *more: Any) -> Protocol[Any]:
            return (yield from greet(me, lambda *own: self.passes(places[0, False], me.public, hello(*own)), *more))

        with (
            patch.object(Session, "_broadcast_frame", broadcast),
            patch.object(Session, "_private_frame", private),
            patch(f"{greets}.greet", lying_greet),
            patch.object(base, "answer", _answer),
            patch.object(base, "pads", _pads),
        ):
            yield


_answers: dict[tuple[bytes, bytes], Any] = {}
_pad_sets: dict[tuple[bytes, int, bytes], Any] = {}
_real_answer, _real_pads = base.answer, base.pads


def _answer(pair: bytes, sender_key: bytes, draw: Any) -> Any:
    """Sessions of equal seeds make equal set-ups, up to the lie: the curve operations are done once for all rows."""
    if (pair, sender_key) not in _answers:
        _answers[pair, sender_key] = _real_answer(pair, sender_key, draw)
    return _answers[pair, sender_key]


def _pads(pair: bytes, a: int, message: bytes) -> Any:
    if (pair, a, message) not in _pad_sets:
        _pad_sets[pair, a, message] = _real_pads(pair, a, message)
    return _pad_sets[pair, a, message]


def _seeds(parties: str, session: str) -> dict[bytes, Rng]:
    return {one.public: SeededRng(TH("test/attack", session.encode(), one.public)) for one in identities(parties)}


def _keygens(session: str, scheme: str) -> dict[bytes, Protocol[Any]]:
    parties = identities("ABC")
    config = keygen.KeygenConfig("keygen", scheme, 2, tuple(one.public for one in parties))
    rngs = _seeds("ABC", session)
    return {one.public: keygen.keygen(one, config, rngs[one.public]) for one in parties}


def _signs(session: str, scheme: str) -> dict[bytes, Protocol[Any]]:
    results = key("ABC", 2, scheme)
    request = sign.SignRequest(room="sign", size=3, digest=DIGEST, path=(0, 7))
    return {
        one.public: sign.sign(one, results[one.public].share, results[one.public].pairs, request, SystemRng())
        for one in identities("ABC")
    }


def _frosts(session: str, scheme: str) -> dict[bytes, Protocol[Any]]:
    results = key("ABC", 2, scheme)
    tweak = DIGEST if scheme_of(scheme).x_only else None
    request = FrostRequest(room="sign", size=3, message=DIGEST, path=(0, 7), tweak=tweak)
    return {one.public: frost_sign(one, results[one.public].share, request, SystemRng()) for one in identities("ABC")}


def _batches(session: str, scheme: str) -> dict[bytes, Protocol[Any]]:
    """Two requests, for one message."""
    results = key("ABC", 2, scheme)
    request = batch_of(*(batch_item(scheme, index, DIGEST, 3, path=(0, 7)) for index in range(2)), size=3)
    return {
        one.public: batch_sign(one, results[one.public].share, results[one.public].pairs, request, SystemRng())
        for one in identities("ABC")
    }


def _reshares(session: str, scheme: str) -> dict[bytes, Protocol[Any]]:
    """2-of-3 of A, B, C to 2-of-3 of A, B, D: all three old parties deal."""
    return reshare_parties(key("ABC", 2, scheme), "ABCD", "ABD", 2, rngs=_seeds("ABCD", session))


def _exports(session: str, scheme: str) -> dict[bytes, Protocol[Any]]:
    """To the victim; nobody else looks at a share."""
    return export_parties(key("ABC", 2, scheme), "AB", VICTIM)


def _imports(session: str, scheme: str) -> dict[bytes, Protocol[Any]]:
    scalar = group_of(scheme).encode_scalar(int.from_bytes(DIGEST[1:], "big"))
    return import_parties("A", "ABC", 2, scalar, scheme, rngs=_seeds("ABC", session))


SESSIONS = {
    "keygen": _keygens,
    "sign": _signs,
    "frost": _frosts,
    "batch": _batches,
    "reshare": _reshares,
    "export": _exports,
    "import": _imports,
}


def attack(world: str, attacker: Attacker, session: str = "this") -> tuple[dict[bytes, Any], Network]:
    """Everybody's outcome and all that was sent, of a session with the attacker in it."""
    protocol, scheme = (*world.split(), "ecdsa")[:2]
    network, parties = Network(), SESSIONS[protocol](session, scheme)
    liar = parties.pop(attacker.culprit)
    with attacker.at_work(world):
        outcomes = network.run({**parties, attacker.culprit: _stumbling(liar)})
    return outcomes, network


def _stumbling(liar: Protocol[Any]) -> Protocol[Any]:
    """What becomes of the liar does not matter: its own code may not bear what it says."""
    try:
        return (yield from liar)
    except (TypeError, AttributeError, ValueError) as error:
        raise Abort("the liar trips over its lie") from error


@cache
def earlier(world: str, victim: bytes) -> dict[Place, dict[bytes, Message]]:
    """What everybody said, in private to the victim, in an honest session before this one."""
    listener = Attacker(victim=victim)
    attack(world, listener, "earlier")
    return listener.said
