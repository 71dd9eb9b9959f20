"""FROST: several liars, split views, old messages and old nonces. One lie at a time: tests/mpc/attacks."""

import dataclasses
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest

from mpc.envelope import make_body
from mpc.errors import Abort
from mpc.frost.core import Nonces
from mpc.frost.signing import FrostRequest
from mpc.frost.suites import SUITES
from mpc.hashing import TH
from mpc.protocol import Frame
from mpc.schemes import group_of
from mpc.secret import Secret
from mpc.wire import FrostCommitment, FrostShare, encode
from tests.mpc.simulator import (
    Lie,
    Network,
    blames,
    change,
    edit,
    forged_share,
    identities,
    key,
    run_frost,
    telling,
)

PARTIES = identities("ABC")
CULPRIT, VICTIM, BYSTANDER = (one.public for one in PARTIES)
SCHEMES = ("ed25519", "bip340")
KEYS = {scheme: key("ABC", 2, scheme) for scheme in SCHEMES}  # made before anybody lies
REQUEST = FrostRequest(room="room", size=3, message=b"message")


def said(culprit: bytes, z: Any) -> Lie:
    """Another signature share."""
    return Lie(culprit, 2, edit(FrostShare, change("z", to=z)), private=False)


def committed(culprit: bytes, hiding: Any) -> Lie:
    """Another commitment."""
    return Lie(culprit, 1, edit(FrostCommitment, change("hiding", to=hiding)), private=False)


LIES = {
    "no points": (committed, lambda data: b"\xff" * len(data)),
    "no scalars": (said, b"\xff" * 32),
    "wrong shares": (said, bytes(32)),
}


@pytest.mark.parametrize(("lie", "to"), LIES.values(), ids=LIES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_all_liars_are_named(scheme: str, lie: Callable[[bytes, Any], Lie], to: Any) -> None:
    with telling(*(lie(party, to) for party in (CULPRIT, BYSTANDER))):
        outcome = run_frost(KEYS[scheme], PARTIES, REQUEST)[VICTIM]
    assert blames(outcome) == ({CULPRIT, BYSTANDER}, False)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_does_not_verify_is_no_signature(scheme: str) -> None:
    """Whatever the reason: with all shares right, nobody is blamed and nothing is returned."""
    with patch.object(type(SUITES[scheme]), "verify", lambda *_: False):
        outcomes = run_frost(KEYS[scheme], PARTIES, REQUEST)
    assert {type(outcome) for outcome in outcomes.values()} == {Abort}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_shares_that_are_wrong_by_opposite_errors_still_make_the_signature(scheme: str) -> None:
    """Two liars whose errors cancel harm nobody: the sum is what counts, and it verified."""
    group = group_of(scheme)

    def shifted(by: int) -> Any:
        return lambda data: group.encode_scalar(group.decode_scalar(data) + by)

    both = [said(party, shifted(by)) for party, by in ((CULPRIT, 1), (BYSTANDER, -1))]
    with telling(*both):
        assert type(run_frost(KEYS[scheme], PARTIES, REQUEST)[VICTIM]) is bytes


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_wrong_share_of_the_key_is_its_owners_fault(scheme: str) -> None:
    results, group = dict(KEYS[scheme]), group_of(scheme)
    mine = results[CULPRIT]
    wrong = forged_share(mine.share, secret=Secret(group.encode_scalar(mine.share.scalar + 1)))
    results[CULPRIT] = dataclasses.replace(mine, share=wrong)
    assert blames(run_frost(results, PARTIES, REQUEST)[VICTIM]) == ({CULPRIT}, False)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_split_view_of_the_commitments_blames_nobody(scheme: str) -> None:
    """The culprit shows two commitments: honest shares look wrong to each other, and the echo tells why."""
    group = group_of(scheme)
    other = encode(FrostCommitment(hiding=group.base_mul(5).to_bytes(), binding=group.base_mul(6).to_bytes()))

    def split(frame: Frame, receiver: bytes) -> list[Frame]:
        if frame.sender != CULPRIT or frame.round != 1 or receiver != BYSTANDER:
            return [frame]
        return [Frame(1, CULPRIT, frame.receiver, make_body(PARTIES[0], frame.body[:99], other))]

    outcomes = run_frost(KEYS[scheme], PARTIES, REQUEST, Network(deliver=split))
    assert [type(outcomes[party]) for party in (VICTIM, BYSTANDER)] == [Abort, Abort]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_messages_of_another_session_are_not_heard(scheme: str) -> None:
    """A replayed commitment would have its nonce used twice: it is bound to the sid."""
    results, first = KEYS[scheme], Network()
    run_frost(results, PARTIES, REQUEST, first)
    old = {(frame.round, frame.sender): frame for frame in first.sent}

    def replay(frame: Frame, receiver: bytes) -> list[Frame]:
        replayed = frame.sender == CULPRIT and frame.round in (1, 2)
        return [old[frame.round, CULPRIT]] if replayed else [frame]

    outcomes = run_frost(results, PARTIES, REQUEST, Network(deliver=replay))
    assert {outcomes[party].round for party in (VICTIM, BYSTANDER)} == {1}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_nonce_used_twice_is_refused(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A party that is handed old nonces does not sign with them, whatever session they come to."""
    kept: dict[bytes, Nonces] = {}
    fresh = Nonces.fresh

    def replayed(suite: Any, secret: int, draw: Any) -> Nonces:
        return kept.setdefault(TH("test", secret.to_bytes(32, "big")), fresh(suite, secret, draw))

    monkeypatch.setattr(Nonces, "fresh", replayed)
    results = KEYS[scheme]
    assert type(run_frost(results, PARTIES, REQUEST)[VICTIM]) is bytes
    with pytest.raises(RuntimeError, match="used"):
        run_frost(results, PARTIES, dataclasses.replace(REQUEST, message=b"other"))
