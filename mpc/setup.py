"""The set-up of one pair of parties: base OTs and PPRF in both directions, and a seed for zero shares.

Key generation (K2–K4) and resharing (R2–R4) run it with every counterparty, in three private messages each way:
``SetupKey`` (65 B of payload), ``SetupAnswer`` (8,480 B), the PPRF message (6,144 B).  Old state is never carried over.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from mpc.channel import Session
from mpc.errors import Malformed
from mpc.findings import blaming
from mpc.group import Draw
from mpc.hashing import TH
from mpc.ot import base, pprf
from mpc.ot.state import AliceState, BobState
from mpc.protocol import Protocol
from mpc.secret import Confidential, Secret
from mpc.shares import PairState
from mpc.wire import EchoedAnswer, Puncturing, SetupAnswer, SetupKey


class PairSetup(Confidential):
    """One party's side. Call ``answer``, ``puncturing``, ``finish`` in this order, each with the peer's message."""

    def __init__(self, sid: bytes, x: int, peer: bytes, peer_x: int, draw: Draw) -> None:
        self._sid = sid
        self._x = x
        self._peer = peer
        self._peer_x = peer_x
        self._draw = draw
        self._secret, self._key = base.start(draw)
        self._half = draw("zero", 32)
        self.key = SetupKey(key=self._key, zero_commitment=self._commit(x, peer_x, self._half))

    def answer(self, theirs: SetupKey) -> SetupAnswer:
        """As Alice. Blames the peer for a key that is no point."""
        self._peer_commitment = theirs.zero_commitment
        self._alice_pair = self._pair(self._x, self._peer_x, theirs.key)
        with blaming(self._peer):
            self._choices, message, self._alice_pads = base.answer(self._alice_pair, theirs.key, self._draw)
        return SetupAnswer(answer=message, zero_half=self._half)

    def puncturing(self, theirs: SetupAnswer) -> Puncturing:
        """As Bob. Blames the peer for invalid points and for a zero-seed half other than it committed to."""
        self._bob_pair = self._pair(self._peer_x, self._x, self._key)
        with blaming(self._peer):
            if not hmac.compare_digest(self._commit(self._peer_x, self._x, theirs.zero_half), self._peer_commitment):
                raise Malformed("the zero-seed half is not the committed one")
            self._leaves, message = pprf.expand(self._bob_pair, base.pads(self._bob_pair, self._secret, theirs.answer))
        halves = sorted(((self._x, self._half), (self._peer_x, theirs.zero_half)))
        self._zero_seed = TH("zero-seed", self._sid, *(half for _, half in halves))
        return Puncturing(message=message)

    def finish(self, gid: bytes, theirs: Puncturing) -> PairState:
        """As Alice. Bans the peer when its leaves are inconsistent: the whole set-up is thrown away then."""
        with blaming(self._peer):
            delta, leaves = pprf.puncture(self._alice_pair, self._choices, self._alice_pads, theirs.message)
        return PairState(
            gid,
            self._peer,
            self._alice_pair,
            self._bob_pair,
            AliceState(delta, leaves),
            BobState(self._leaves),
            Secret(self._zero_seed),
        )

    def _pair(self, x_alice: int, x_bob: int, key: bytes) -> bytes:
        return TH("pair/ot", self._sid, x_alice.to_bytes(4, "big"), x_bob.to_bytes(4, "big"), key)

    def _commit(self, sender_x: int, receiver_x: int, half: bytes) -> bytes:
        return TH("zero-com", self._sid, sender_x.to_bytes(4, "big"), receiver_x.to_bytes(4, "big"), half)


def answer_setups(
    session: Session, setups: Mapping[bytes, PairSetup], keys: Mapping[bytes, SetupKey]
) -> Protocol[dict[bytes, Puncturing]]:
    """K3 and R3 with every counterparty; returns what K4 and R4 send in private. Aborts if echoes differ."""
    echo = session.echo
    answers = {peer: EchoedAnswer(echo=echo, answer=setup.answer(keys[peer])) for peer, setup in setups.items()}
    round_3 = yield from session.exchange(3, private=answers, senders=tuple(setups))
    answered = round_3.privates(EchoedAnswer)
    session.check_echo(echo, {peer: message.echo for peer, message in answered.items()})
    return {peer: setups[peer].puncturing(message.answer) for peer, message in answered.items()}


def finish_setups(
    setups: Mapping[bytes, PairSetup], gid: bytes, puncturings: Mapping[bytes, Puncturing]
) -> dict[bytes, PairState]:
    """The pairs' states, by counterparty. Bans whose PPRF is inconsistent."""
    return {peer: setup.finish(gid, puncturings[peer]) for peer, setup in setups.items()}
