"""FROST: each field of each message told wrong once, with the right verdict and the right culprit."""

import dataclasses
from typing import Any

import pytest

from mpc.envelope import make_body
from mpc.errors import Abort
from mpc.frost.core import Nonces
from mpc.frost.signing import FrostRequest
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
    flipped,
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
BLAMED, ABORTED = "blame", "abort"
REQUEST = FrostRequest(room="room", size=3, message=b"message")


def commitment(field: str, to: Any) -> Lie:
    return Lie(CULPRIT, 1, edit(FrostCommitment, change(field, to=to)), private=False)


def answer(field: str, to: Any) -> Lie:
    return Lie(CULPRIT, 2, edit(FrostShare, change(field, to=to)), private=False)


def lies(scheme: str) -> dict[str, tuple[Lie, str]]:
    group = group_of(scheme)
    other = group.base_mul(77).to_bytes()
    no_point = b"\xff" * group.point_length
    another_group = group_of("bip340" if scheme == "ed25519" else "ed25519").generator.to_bytes()
    lowest = 0 if scheme == "ed25519" else -1  # byte of a scalar
    return {
        **{
            f"R1 {field} {name}": (commitment(field, to), BLAMED)
            for field in ("hiding", "binding")
            for name, to in {
                "is no point": no_point,
                "is a point of another group": another_group,
                "is too long": lambda data: data + b"\x00",
                "is too short": lambda data: data[:-2],
                "is empty": b"",
                # The commitments are the culprit's own: with others, its share is wrong.
                "is another": other,
            }.items()
        },
        "R1 not a message": (Lie(CULPRIT, 1, lambda payload: b"junk", private=False), BLAMED),
        "R1 something left over": (Lie(CULPRIT, 1, lambda payload: payload + b"\x00", private=False), BLAMED),
        "R2 z has its lowest bit flipped": (answer("z", lambda data: flipped(data, lowest)), BLAMED),
        "R2 z is zero": (answer("z", bytes(32)), BLAMED),
        "R2 z is not reduced": (answer("z", b"\xff" * 32), BLAMED),
        "R2 z is the order": (answer("z", group.order.to_bytes(32, "big" if lowest else "little")), BLAMED),
        "R2 z is too short": (answer("z", lambda data: data[:-1]), BLAMED),
        "R2 echo": (answer("echo", flipped), ABORTED),
        "R2 echo of a wrong length": (answer("echo", lambda data: data[:-1]), BLAMED),
        "R2 not a message": (Lie(CULPRIT, 2, lambda payload: b"junk", private=False), BLAMED),
    }


@pytest.mark.parametrize("name", lies("ed25519"))
@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_lie_has_its_verdict(scheme: str, name: str) -> None:
    lie, verdict = lies(scheme)[name]
    network = Network()
    with telling(lie):
        outcomes = run_frost(KEYS[scheme], PARTIES, REQUEST, network)
    for honest in (VICTIM, BYSTANDER):
        if verdict == ABORTED:
            assert type(outcomes[honest]) is Abort
        else:
            assert blames(outcomes[honest]) == ({CULPRIT}, False)
        assert max(frame.round for frame in network.sent if frame.sender == honest) == (
            2 if lie.round == 2 or "another" in name.split()[-1] else 1
        ), "an honest party went on after a lie"
    assert not any(isinstance(outcome, bytes) for party, outcome in outcomes.items() if party != CULPRIT)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_all_liars_are_named(scheme: str) -> None:
    wrong = [dataclasses.replace(lies(scheme)["R2 z is zero"][0], culprit=party) for party in (CULPRIT, BYSTANDER)]
    with telling(*wrong):
        outcome = run_frost(KEYS[scheme], PARTIES, REQUEST)[VICTIM]
    assert blames(outcome) == ({CULPRIT, BYSTANDER}, False)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_shares_that_are_wrong_by_opposite_errors_still_make_the_signature(scheme: str) -> None:
    """Two liars whose errors cancel harm nobody: the sum is what counts, and it verified."""
    group = group_of(scheme)

    def shifted(by: int) -> Any:
        return lambda data: group.encode_scalar(group.decode_scalar(data) + by)

    both = [
        Lie(party, 2, edit(FrostShare, change("z", to=shifted(by))), private=False)
        for party, by in ((CULPRIT, 1), (BYSTANDER, -1))
    ]
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
