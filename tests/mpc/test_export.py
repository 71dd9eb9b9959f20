"""Export: the whole key, at the recipient only, from any t parties; and who lies about a share."""

import pytest
from coincurve import PublicKey
from nacl.bindings import crypto_scalarmult_ed25519_base_noclamp

from mpc.errors import Abort, ParameterMismatch
from mpc.export import ExportRequest, export
from mpc.protocol import BROADCAST, Release, SeededRng
from mpc.secret import Secret
from mpc.wire import ExportShare
from tests.mpc.simulator import (
    Lie,
    Network,
    blames,
    change,
    edit,
    export_parties,
    identities,
    identity,
    key,
    telling,
)

A, B, C = (identity(name).public for name in "ABC")


def public_of(scheme: str, secret: bytes) -> bytes:
    """By other libraries than the group's own code."""
    if scheme == "ed25519":
        return crypto_scalarmult_ed25519_base_noclamp(secret)
    return PublicKey.from_secret(secret).format()


@pytest.mark.parametrize("scheme", ["ecdsa", "ed25519", "bip340"])
@pytest.mark.parametrize(("names", "t", "taking_part"), [("ABC", 2, "AB"), ("ABC", 2, "BC"), ("ABC", 2, "ABC")])
def test_only_the_recipient_gets_the_key(scheme: str, names: str, t: int, taking_part: str) -> None:
    results, recipient = key(names, t, scheme), identity(taking_part[0]).public
    outcomes = Network().run(export_parties(results, taking_part, recipient))
    secret = outcomes.pop(recipient)
    assert isinstance(secret, Secret)
    assert public_of(scheme, secret.reveal()) == results[recipient].share.public_key
    assert list(outcomes.values()) == [None] * (len(taking_part) - 1)


def test_shares_go_sealed_to_the_recipient_alone_and_only_after_the_mark() -> None:
    network = Network()
    results = key("ABC", 2)
    network.run(export_parties(results, "ABC", B))
    assert {(frame.sender, frame.receiver) for frame in network.sent if frame.round == 2} == {(A, B), (C, B)}
    assert all(frame.receiver == BROADCAST for frame in network.sent if frame.round < 2)
    shares = [result.share.secret.reveal() for result in results.values()]
    assert not [frame for frame in network.sent if any(share in frame.body for share in shares)]
    assert {party: [type(each) for each in seen] for party, seen in network.checkpoints.items()} == {
        party: [Release] for party in (A, B, C)
    }


def test_who_may_not_release_sends_no_share() -> None:
    def refuse(party: bytes, checkpoint: object) -> None:
        if party == A:
            raise Abort("this share is retiring")

    network = Network(on_checkpoint=refuse)
    outcomes = network.run(export_parties(key("ABC", 2), "AB", B))
    assert isinstance(outcomes[A], Abort)
    assert not isinstance(outcomes[B], Secret)
    assert [frame for frame in network.sent if frame.round == 2] == []


def test_all_liars_are_blamed_at_once() -> None:
    lies = [Lie(liar, 2, edit(ExportShare, change("share"))) for liar in (A, C)]
    with telling(*lies):
        outcomes = Network().run(export_parties(key("ABC", 2), "ABC", B))
    assert blames(outcomes[B]) == ({A, C}, False)


def test_another_parties_share_is_no_substitute() -> None:
    share_of_c = key("ABC", 2)[C].share.secret.reveal()
    with telling(Lie(A, 2, edit(ExportShare, change("share", to=share_of_c)))):
        outcomes = Network().run(export_parties(key("ABC", 2), "AB", B))
    assert blames(outcomes[B]) == ({A}, False)


@pytest.mark.parametrize(
    ("other", "field"),
    [
        (ExportRequest(room="export", size=2, recipient=A), "recipient"),
        (ExportRequest(room="export", size=2, recipient=C), "recipient"),
    ],
)
def test_parties_that_were_asked_to_export_to_different_ones_refuse(other: ExportRequest, field: str) -> None:
    network = Network()
    outcomes = network.run(export_parties(key("ABC", 2), "AB", B, A=other))
    assert [type(outcome) for outcome in outcomes.values()] == [ParameterMismatch] * 2
    assert {outcome.field for outcome in outcomes.values()} == {field}
    assert {frame.round for frame in network.sent} == {0}


def test_a_recipient_outside_the_room_gets_nothing() -> None:
    network = Network()
    outcomes = network.run(export_parties(key("ABC", 2), "AB", C))
    assert [type(outcome) for outcome in outcomes.values()] == [Abort] * 2
    assert {frame.round for frame in network.sent} == {0}


@pytest.mark.parametrize(
    ("request_", "rng"),
    [
        (ExportRequest(room="export", size=1, recipient=A), None),
        (ExportRequest(room="export", size=4, recipient=A), None),
        (ExportRequest(room="export", size=2, recipient=identity("D").public), None),
        (ExportRequest(room="export", size=2, recipient=A), SeededRng(bytes(32))),
    ],
    ids=["fewer than t", "more than n", "a stranger", "a seed"],
)
def test_what_a_share_can_not_serve(request_: ExportRequest, rng: SeededRng | None) -> None:
    with pytest.raises(ValueError, match=r"export|recipient"):
        Network().run(export_parties(key("ABC", 2), "A", A, rng, A=request_))


def test_another_parties_identity_is_refused() -> None:
    me, other = identities("AB")
    with pytest.raises(ValueError, match="share"):
        next(export(me, key("AB", 2)[other.public].share, ExportRequest("export", 2, A), None))  # type: ignore[arg-type]
