"""Dealing a polynomial, verifiably: what key generation (K1, K2) and resharing (R1, R2) have in common.

A dealer commits, then opens its Feldman points with a proof for each, and sends every receiver its sub-share in
private. A receiver with a wrong sub-share can prove it to others: ``complaint`` opens that one message, ``judge`` says
who lied.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from mpc import proofs
from mpc.channel import Session
from mpc.envelope import HEADER_BYTES, frame_of, open_body, open_payload
from mpc.errors import Blame, Malformed
from mpc.findings import Findings
from mpc.group import Draw, Group, Point
from mpc.hashing import TH
from mpc.identity import Identity, verify
from mpc.protocol import BROADCAST, Frame
from mpc.secret import Confidential
from mpc.sharing import Polynomial, evaluate
from mpc.wire import (
    Deal,
    Hash,
    KeygenDeal,
    KeygenOpening,
    Message,
    Opening,
    ReshareDeal,
    ReshareOpening,
    Signature,
    decode,
    encode,
)

DEAL_ROUND = 2


class Dealing(Confidential):
    """One dealer's polynomial of degree t − 1. ``attached`` (32 B or empty) is bound by the commitment too."""

    def __init__(
        self,
        group: Group,
        sid: bytes,
        dealer: bytes,
        t: int,
        draw: Draw,
        *,
        constant: int | None = None,
        attached: bytes = b"",
    ) -> None:
        self._polynomial = Polynomial.random(group, t, draw, constant)
        self._group = group
        self._attached = attached
        self.points = self._polynomial.commit()
        self.opening = Opening(
            points=tuple(point.to_bytes() for point in self.points),
            proofs=tuple(
                proofs.prove(group, secret, point, _proof_context(sid, dealer, k), draw, f"proof/{k}")
                for k, (secret, point) in enumerate(zip(self._polynomial.coefficients, self.points, strict=True))
            ),
            blind=draw("blind", 32),
        )
        self.commitment = _commit(sid, dealer, self.opening, attached)

    def deal(self, x: int, chain_code: bytes) -> Deal:
        """What the receiver with coordinate x gets."""
        return Deal(share=self._group.encode_scalar(self._polynomial.at(x)), chain_code=chain_code)


def _commit(sid: bytes, dealer: bytes, opening: Opening, attached: bytes) -> bytes:
    return TH("com", sid, dealer, encode(opening), attached)


def _proof_context(sid: bytes, dealer: bytes, k: int) -> tuple[bytes, ...]:
    return sid, dealer, b"coefficient", bytes((k,))


def check_opening(
    group: Group, sid: bytes, dealer: bytes, t: int, commitment: bytes, opening: Opening, attached: bytes = b""
) -> tuple[Point, ...]:
    """The dealer's t Feldman points. Raises Malformed, for which the caller blames the dealer.

    Exactly t points and t proofs: a longer vector would silently raise the threshold, a shorter one skip proofs.
    """
    if len(opening.points) != t or len(opening.proofs) != t:
        raise Malformed("not exactly t points and t proofs")
    if not hmac.compare_digest(_commit(sid, dealer, opening, attached), commitment):
        raise Malformed("the opening is not what was committed to")
    points = tuple(group.decode(point) for point in opening.points)
    valid = [
        proofs.verify(group, point, _proof_context(sid, dealer, k), proof)
        for k, (point, proof) in enumerate(zip(points, opening.proofs, strict=True))
    ]
    if not all(valid):
        raise Malformed("a proof of a coefficient is wrong")
    return points


def check_openings(
    group: Group,
    sid: bytes,
    t: int,
    commitments: Mapping[bytes, bytes],
    openings: Mapping[bytes, Opening],
    attached: Mapping[bytes, bytes],
) -> dict[bytes, tuple[Point, ...]]:
    """``check_opening`` for every dealer; blames all whose opening is wrong."""
    findings, points = Findings(), {}
    for dealer, opening in openings.items():
        with findings.about(dealer):
            bound = attached.get(dealer, b"")
            points[dealer] = check_opening(group, sid, dealer, t, commitments[dealer], opening, bound)
    findings.conclude()
    return points


def check_deals(
    session: Session,
    group: Group,
    x: int,
    points: Mapping[bytes, tuple[Point, ...]],
    deals: Mapping[bytes, Deal],
    frames: Mapping[tuple[bytes, bytes], Frame],
) -> dict[bytes, int]:
    """The sub-shares for coordinate x, by dealer. Blames a dealer whose sub-share is wrong, with evidence for the
    others.
    """
    shares: dict[bytes, int] = {}
    for dealer, deal in deals.items():
        try:
            shares[dealer] = _checked_share(group, points[dealer], x, deal)
        except Malformed as error:
            evidence = b""
            if dealer != session.me.public:
                private, opening = frames[dealer, session.me.public], frames[dealer, BROADCAST]
                evidence = complaint(session.me, private, opening, session.receive_key(dealer))
            raise Blame({dealer}, str(error), evidence=evidence) from error
    return shares


def _checked_share(group: Group, points: tuple[Point, ...], x: int, deal: Deal) -> int:
    share = group.decode_scalar(deal.share)
    if group.base_mul(share) != evaluate(group, points, x):
        raise Malformed("a sub-share does not lie on the dealer's polynomial")
    return share


class Complaint(Message):
    """A receiver's: the dealer's two signed messages, and the key of this one direction."""

    private: bytes
    opening: bytes
    key: Hash
    signature: Signature


def complaint(me: Identity, private: Frame, opening: Frame, key: bytes) -> bytes:
    """Evidence that anybody can judge. Reveals the dealer's messages to this receiver, nothing else."""
    signature = me.sign("complaint", private.body, opening.body, key)
    return encode(Complaint(private=private.body, opening=opening.body, key=key, signature=signature))


def judge(evidence: bytes, group: Group, sid: bytes, coordinates: Mapping[bytes, int]) -> Blame:
    """Who lied: the dealer, or, if the opened sub-share is right or does not open, who complained.

    ``coordinates`` are the receiving quorum's in the session ``sid``: in another session a party's coordinate may be
    another, and a right sub-share wrong.  Raises Malformed for evidence that proves nothing about anybody.
    """
    parsed = decode(Complaint, evidence)
    private, opening = frame_of(parsed.private), frame_of(parsed.opening)
    if private is None or opening is None or parsed.private[3:35] != sid or private.receiver not in coordinates:
        raise Malformed("complaint: not about this session and quorum")
    complainer, dealer = private.receiver, private.sender
    if not verify(complainer, "complaint", (parsed.private, parsed.opening, parsed.key), parsed.signature):
        raise Malformed("complaint: signature")
    false_complaint = Blame({complainer}, "a complaint about a right sub-share")
    sealed, published = open_body(private, "message", sid), open_body(opening, "message", sid)
    same_place = opening.sender == dealer and opening.receiver == BROADCAST
    if sealed is None or published is None or not same_place or not private.round == opening.round == DEAL_ROUND:
        return false_complaint
    payload = open_payload(parsed.key, parsed.private[:HEADER_BYTES], sealed)
    if payload is None:
        return false_complaint
    try:
        points = tuple(group.decode(point) for point in _opening_in(published).points)
        _checked_share(group, points, coordinates[complainer], _deal_in(payload))
    except Malformed as error:
        return Blame({dealer}, str(error))
    return false_complaint


def _opening_in(payload: bytes) -> Opening:
    try:
        return decode(KeygenOpening, payload).opening
    except Malformed:
        opening = decode(ReshareOpening, payload).opening
    if opening is None:
        raise Malformed("no opening from a dealer")
    return opening


def _deal_in(payload: bytes) -> Deal:
    try:
        return decode(KeygenDeal, payload).deal
    except Malformed:
        deal = decode(ReshareDeal, payload).deal
    if deal is None:
        raise Malformed("no deal from a dealer")
    return deal
