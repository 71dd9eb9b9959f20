"""Complaints: what they open, what they prove, and whom they can't frame; dealers who deal something else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any
from unittest.mock import patch

import pytest
from nacl.bindings import crypto_scalarmult

from mpc import channel, dealing
from mpc.channel import Session
from mpc.dealing import Complaint, judge
from mpc.envelope import HEADER_BYTES, make_body, open_body, open_payload
from mpc.errors import Abort, Blame, Malformed
from mpc.group import SECP256K1 as G
from mpc.hello import Greetings
from mpc.keygen import KeygenResult
from mpc.protocol import BROADCAST, Frame
from mpc.reshare import ReshareResult
from mpc.secret import Secret
from mpc.shares import Share
from mpc.sharing import lagrange, ranks
from mpc.wire import KeygenDeal, decode, encode
from tests.mpc.simulator import (
    Lie,
    Network,
    blames,
    change,
    edit,
    flipped,
    forged_share,
    identities,
    identity,
    key,
    reshare_parties,
    run_keygen,
    telling,
)

PARTIES = identities("ABC")
CULPRIT, VICTIM, BYSTANDER = (one.public for one in PARTIES)
NAMED = {one.public: one for one in PARTIES}
XS = ranks(NAMED)


@cache
def keygen_with(*lies: Lie) -> tuple[dict[bytes, Any], list[Frame], dict[bytes, Session], dict[bytes, Greetings]]:
    """A key generation: outcomes, frames, everybody's sessions, everybody's own ephemeral secrets."""
    network, sessions, greetings = Network(), {}, {}
    real = channel._direction_keys

    def watched(heard: Greetings, sid: bytes, coordinates: Any) -> Any:
        greetings[heard.me.public] = heard
        return real(heard, sid, coordinates)

    made = Session.__init__

    def remember(session: Session, *more: Any) -> None:
        made(session, *more)
        sessions[session.me.public] = session

    with (
        patch.object(channel, "_direction_keys", watched),
        patch.object(Session, "__init__", remember),
        telling(*lies),
    ):
        outcomes = run_keygen(PARTIES, 2, network)
    return outcomes, network.sent, sessions, greetings


def private_frames(frames: list[Frame]) -> list[Frame]:
    return [frame for frame in frames if frame.receiver]


def opens(frame: Frame, sid: bytes, with_key: bytes) -> bool:
    content = open_body(frame, "message", sid)
    assert content is not None
    return open_payload(with_key, frame.body[:HEADER_BYTES], content) is not None


WRONG_SHARE = Lie(CULPRIT, 2, edit(KeygenDeal, change("deal", "share")), receiver=VICTIM)


def test_a_complaint_opens_the_accuseds_messages_to_the_complainer_and_nothing_else() -> None:
    outcomes, frames, sessions, _ = keygen_with(WRONG_SHARE)
    complaint = decode(Complaint, outcomes[VICTIM].evidence)
    opened = {frame.slot for frame in private_frames(frames) if opens(frame, sessions[VICTIM].sid, complaint.key)}
    assert opened == {(CULPRIT, VICTIM)}


def test_an_ephemeral_secret_in_its_place_would_open_every_dealers_sub_share() -> None:
    """The rule left out: from the victim's secret and the public hellos, every key of its channels."""
    _, frames, sessions, greetings = keygen_with(WRONG_SHARE)
    mine = greetings[VICTIM]
    assert crypto_scalarmult(mine.ephemeral, mine.hellos[BYSTANDER].ephemeral)
    keys = dict(channel._direction_keys(mine, sessions[VICTIM].sid, XS))
    opened = {f.slot for f in private_frames(frames) for k in keys.values() if opens(f, sessions[VICTIM].sid, k)}
    assert opened >= {(CULPRIT, VICTIM), (BYSTANDER, VICTIM)}


def accusation(change_it: Callable[[Complaint, dict[bytes, Session], list[Frame]], None]) -> Blame:
    """The victim complains, of an honest dealer, with what ``change_it`` makes of a complaint; others judge."""
    _, frames, sessions, _ = keygen_with()
    sealed = next(f for f in frames if f.round == 2 and f.slot == (CULPRIT, VICTIM))
    opening = next(f for f in frames if f.round == 2 and f.slot == (CULPRIT, BROADCAST))
    parsed = decode(Complaint, dealing.complaint(NAMED[VICTIM], sealed, opening, sessions[VICTIM].receive_key(CULPRIT)))
    change_it(parsed, sessions, frames)
    parsed.signature = NAMED[VICTIM].sign("complaint", parsed.private, parsed.opening, parsed.key)
    return judge(encode(parsed), G, sessions[VICTIM].sid, XS)


def body(frames: list[Frame], number: int, slot: tuple[bytes, bytes]) -> bytes:
    return next(frame.body for frame in frames if frame.round == number and frame.slot == slot)


FRAMES: dict[str, Callable[[Complaint, dict[bytes, Session], list[Frame]], None]] = {
    "as it was": lambda c, s, f: None,
    "a key of the other direction": lambda c, s, f: setattr(c, "key", s[CULPRIT].receive_key(VICTIM)),
    "a key of another dealer": lambda c, s, f: setattr(c, "key", s[VICTIM].receive_key(BYSTANDER)),
    "a key of its own": lambda c, s, f: setattr(c, "key", bytes(32)),
    "another dealer's opening": lambda c, s, f: setattr(c, "opening", body(f, 2, (BYSTANDER, BROADCAST))),
    "another round's broadcast": lambda c, s, f: setattr(c, "opening", body(f, 1, (CULPRIT, BROADCAST))),
    "another round's private message": lambda c, s, f: setattr(c, "private", body(f, 3, (CULPRIT, VICTIM))),
    "an opening with a bit flipped": lambda c, s, f: setattr(c, "opening", flipped(c.opening, 150)),
    "a sealed share with a bit flipped": lambda c, s, f: setattr(c, "private", flipped(c.private, 150)),
    "an opening signed by itself": lambda c, s, f: setattr(
        c, "opening", make_body(NAMED[VICTIM], c.opening[:HEADER_BYTES], c.opening[HEADER_BYTES:-64])
    ),
    "a share resealed by itself": lambda c, s, f: setattr(
        c, "private", make_body(NAMED[VICTIM], c.private[:HEADER_BYTES], c.private[HEADER_BYTES:-64])
    ),
}


@pytest.mark.parametrize("change_it", FRAMES.values(), ids=FRAMES.keys())
def test_an_honest_dealer_can_not_be_framed(change_it: Any) -> None:
    verdict = accusation(change_it)
    assert (verdict.culprits, verdict.ban) == ({VICTIM}, False)


def test_a_complaint_about_somebody_elses_message_proves_nothing() -> None:
    """Its receiver did not sign it."""
    with pytest.raises(Malformed):
        accusation(lambda c, s, f: setattr(c, "private", body(f, 2, (CULPRIT, BYSTANDER))))


OLD = key("ABC", 2)
A, B, C, D = (identity(name).public for name in "ABCD")


def dealers_of(wrong: dict[bytes, int]) -> dict[bytes, Any]:
    """The old key, where some parties' shares are wrong by so much."""
    results = dict(OLD)
    for party, more in wrong.items():
        share = results[party].share
        secret = Secret(G.encode_scalar(share.scalar + more))
        results[party] = dataclasses.replace(results[party], share=forged_share(share, secret=secret))
    return results


class Anything:
    """Equal to every point: the per-dealer check left out."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def reshare_of(results: dict[bytes, Any], *, checked: bool) -> dict[bytes, Any]:
    protocols = reshare_parties(results, "ABCD", "ABD", 2)
    if checked:
        return Network().run(protocols)
    with patch("mpc.reshare.dealt_points", lambda *more: dict.fromkeys(more[-1], Anything())):
        return Network().run(protocols)


def test_a_dealer_of_another_share_is_named_by_its_constant_term_alone() -> None:
    for party, outcome in reshare_of(dealers_of({A: 1}), checked=True).items():
        assert party == A or blames(outcome) == ({A}, False)
    for outcome in reshare_of(dealers_of({A: 1}), checked=False).values():
        assert type(outcome) is Abort, "the sum is wrong, and nobody is named"


def test_two_dealers_whose_lies_cancel_are_both_named() -> None:
    """Without the check per dealer nothing is wrong with the sum."""
    xs = ranks((A, B, C))
    weights = {party: lagrange(G, x, xs.values()) for party, x in xs.items()}
    lies = {A: pow(weights[A], -1, G.order), B: -pow(weights[B], -1, G.order)}
    outcomes = reshare_of(dealers_of(lies), checked=True)
    for party in (C, D):
        assert blames(outcomes[party]) == ({A, B}, False)
    unchecked = reshare_of(dealers_of(lies), checked=False)
    assert all(isinstance(outcome, ReshareResult) for outcome in unchecked.values())


def test_a_longer_vector_would_raise_the_threshold_where_nobody_counts() -> None:
    """The rule left out: 2-of-3 becomes 3-of-3, and all checks of shares and proofs hold."""
    honest = dealing.Dealing.__init__

    def longer(self: Any, group: Any, sid: bytes, dealer: bytes, t: int, *more: Any, **named: Any) -> None:
        honest(self, group, sid, dealer, t + (dealer == CULPRIT), *more, **named)

    with patch.object(dealing.Dealing, "__init__", longer):
        outcomes = run_keygen(PARTIES, 2)
        for party in (VICTIM, BYSTANDER):
            assert blames(outcomes[party]) == ({CULPRIT}, False)

    real, combine = dealing.check_opening, G.combine

    def uncounted(group: Any, sid: bytes, dealer: bytes, t: int, *more: Any) -> Any:
        return real(group, sid, dealer, len(more[1].points), *more)

    def padded(group: Any, commitments: Any) -> Any:
        longest = max(map(len, commitments))
        columns = [[points[k] for points in commitments if k < len(points)] for k in range(longest)]
        return tuple(combine(column) for column in columns)

    with (
        patch.object(dealing.Dealing, "__init__", longer),
        patch.object(dealing, "check_opening", uncounted),
        patch("mpc.keygen.add_commitments", padded),
    ):
        outcomes = run_keygen(PARTIES, 2)
        assert all(isinstance(outcome, Malformed) for outcome in outcomes.values()), "a share counts its points again"
        with patch.object(Share, "__post_init__", lambda self: None):
            outcomes = run_keygen(PARTIES, 2)
    assert all(isinstance(outcome, KeygenResult) for outcome in outcomes.values())
    assert {len(outcome.share.feldman) for outcome in outcomes.values()} == {3}
