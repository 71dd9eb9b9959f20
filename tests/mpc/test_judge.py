"""Complaints: whoever judges one finds the liar, whatever the evidence was made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mpc.dealing import Complaint, Dealing, complaint, judge
from mpc.envelope import make_body, make_header, seal_payload
from mpc.errors import Malformed
from mpc.group import SECP256K1 as G
from mpc.hashing import TH
from mpc.identity import Identity
from mpc.protocol import BROADCAST, Frame
from mpc.wire import (
    Deal,
    KeygenDeal,
    KeygenOpening,
    Message,
    ReshareDeal,
    ReshareOpening,
    SetupKey,
    decode,
    encode,
)
from tests.mpc.pairs import Draws
from tests.mpc.simulator import flipped, identities

DEALER, RECEIVER, OTHER = identities("ABC")
SID, KEY, X = TH("test/sid"), TH("test/key"), 2
DEALING = Dealing(G, SID, DEALER.public, 2, Draws("judge"))
SETUP = SetupKey(key=G.generator.to_bytes(), zero_commitment=bytes(32))
RIGHT = DEALING.deal(X, bytes(32))
WRONG = Deal(share=flipped(RIGHT.share), chain_code=bytes(32))
OPENED = KeygenOpening(echo=bytes(32), opening=DEALING.opening)


def private(deal: Message, number: int = 2, sender: Identity = DEALER, sid: bytes = SID) -> Frame:
    header = make_header("message", number, sid, sender.public, RECEIVER.public)
    return Frame(
        number, sender.public, RECEIVER.public, make_body(sender, header, seal_payload(KEY, header, encode(deal)))
    )


def opening(
    message: Message = OPENED, number: int = 2, sender: Identity = DEALER, sid: bytes = SID, to: bytes = BROADCAST
) -> Frame:
    header = make_header("message", number, sid, sender.public, to)
    return Frame(number, sender.public, to, make_body(sender, header, encode(message)))


def unsigned(frame: Frame) -> Frame:
    """With another signature: signed by nobody."""
    return Frame(frame.round, frame.sender, frame.receiver, flipped(frame.body))


def judged(sealed: Frame, published: Frame, **other: Any) -> frozenset[bytes]:
    return judge(complaint(RECEIVER, sealed, published, KEY), G, SID, {RECEIVER.public: X, **other}).culprits


LIAR, FALSE = frozenset({DEALER.public}), frozenset({RECEIVER.public})
KEYGEN_LIE = KeygenDeal(deal=WRONG, setup=SETUP)
VERDICTS: dict[str, tuple[Frame, Frame, frozenset[bytes]]] = {
    "a wrong sub-share": (private(KEYGEN_LIE), opening(), LIAR),
    "a right one": (private(KeygenDeal(deal=RIGHT, setup=SETUP)), opening(), FALSE),
    "a wrong one of a reshare": (
        private(ReshareDeal(deal=WRONG, setup=None)),
        opening(ReshareOpening(echo=bytes(32), opening=DEALING.opening)),
        LIAR,
    ),
    "a right one of a reshare": (
        private(ReshareDeal(deal=RIGHT, setup=SETUP)),
        opening(ReshareOpening(echo=bytes(32), opening=DEALING.opening)),
        FALSE,
    ),
    "a message without a sub-share": (private(ReshareDeal(deal=None, setup=SETUP)), opening(), LIAR),
    "a message without an opening": (
        private(ReshareDeal(deal=RIGHT, setup=None)),
        opening(ReshareOpening(echo=bytes(32), opening=None)),
        LIAR,
    ),
    "what is no deal at all": (private(SETUP), opening(), LIAR),
    "the opening of another dealer": (private(KEYGEN_LIE), opening(sender=OTHER), FALSE),
    "an opening to one party": (private(KEYGEN_LIE), opening(to=RECEIVER.public), FALSE),
    "a deal of another round": (private(KEYGEN_LIE, number=3), opening(), FALSE),
    "an opening of another round": (private(KEYGEN_LIE), opening(number=1), FALSE),
    "both of another round": (private(KEYGEN_LIE, number=1), opening(number=1), FALSE),
    "an opening of another session": (private(KEYGEN_LIE), opening(sid=bytes(32)), FALSE),
    "a deal that its dealer did not sign": (unsigned(private(KEYGEN_LIE)), opening(), FALSE),
    "an opening that its dealer did not sign": (private(KEYGEN_LIE), unsigned(opening()), FALSE),
}


@pytest.mark.parametrize(("sealed", "published", "culprits"), VERDICTS.values(), ids=VERDICTS)
def test_verdict(sealed: Frame, published: Frame, culprits: frozenset[bytes]) -> None:
    assert judged(sealed, published) == culprits


def shorten(name: str) -> Callable[[Complaint], None]:
    def change(parsed: Complaint) -> None:
        setattr(parsed, name, getattr(parsed, name)[:100])

    return change


@pytest.mark.parametrize("change", [shorten("private"), shorten("opening")], ids=["private", "opening"])
def test_evidence_that_holds_no_envelope_proves_nothing(change: Callable[[Complaint], None]) -> None:
    parsed = decode(Complaint, complaint(RECEIVER, private(KEYGEN_LIE), opening(), KEY))
    change(parsed)
    parsed.signature = RECEIVER.sign("complaint", parsed.private, parsed.opening, parsed.key)
    with pytest.raises(Malformed, match="not about this session"):
        judge(encode(parsed), G, SID, {RECEIVER.public: X})


def test_a_complainer_outside_the_quorum_proves_nothing() -> None:
    with pytest.raises(Malformed, match="not about this session"):
        judge(complaint(RECEIVER, private(KEYGEN_LIE), opening(), KEY), G, SID, {OTHER.public: X})
