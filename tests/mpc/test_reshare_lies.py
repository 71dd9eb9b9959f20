"""Resharing: every check of section 10 failing once, with the right culprit; and what a voter can recompute."""

import dataclasses
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest

from mpc import dealing
from mpc.dealing import Dealing, judge
from mpc.envelope import make_body
from mpc.errors import Abort, Blame, Malformed
from mpc.group import SECP256K1 as G
from mpc.hashing import TH
from mpc.protocol import BROADCAST, Frame
from mpc.reshare import verify_preimage
from mpc.secret import Secret
from mpc.sharing import ranks
from mpc.statements import ReshareRecord
from mpc.wire import (
    Deal,
    Opening,
    Promise,
    ReshareDeal,
    ReshareOpening,
    decode,
    encode,
)
from tests.mpc.simulator import (
    Lie,
    Network,
    Stalled,
    blames,
    change,
    edit,
    flipped,
    forged_share,
    identities,
    identity,
    key,
    reshare_parties,
    telling,
)

OLD = key("ABC", 2)
NAMES, NEW = "ABCD", "ABD"  # C leaves and deals; D joins
CULPRIT, VICTIM, LEAVER, JOINER = (identity(name).public for name in "ABCD")
HONEST = (VICTIM, LEAVER, JOINER)


def run(network: Network | None = None, old: Any = OLD, **special: Any) -> dict[bytes, Any]:
    return (network or Network()).run(reshare_parties(old, NAMES, NEW, 2, special=special))


GOOD = run()


def lying_dealing(alter: Callable[[Opening], None], t_more: int = 0) -> Any:
    class Lying(Dealing):
        def __init__(self, group: Any, sid: bytes, dealer: bytes, t: int, draw: Any, **more: Any) -> None:
            lies = dealer == CULPRIT
            super().__init__(group, sid, dealer, t + t_more * lies, draw, **more)
            if lies:
                alter(self.opening)
                self.commitment = dealing._commit(sid, dealer, self.opening, b"")

    return Lying


COMMITTED_LIES = {
    "a polynomial of higher degree": lying_dealing(lambda opening: None, t_more=1),
    "a polynomial of lower degree": lying_dealing(lambda opening: None, t_more=-1),
    "one proof too few": lying_dealing(change("proofs", to=lambda proofs: proofs[:-1])),
    "a wrong proof": lying_dealing(change("proofs", to=lambda proofs: (flipped(proofs[0]), *proofs[1:]))),
    "a point off the curve": lying_dealing(change("points", to=lambda points: (points[0], b"\x02" + b"\xff" * 32))),
}


@pytest.mark.parametrize("lying", COMMITTED_LIES.values(), ids=COMMITTED_LIES.keys())
def test_a_wrong_polynomial_is_blamed_by_all(lying: Any) -> None:
    with patch("mpc.reshare.Dealing", lying):
        outcomes = run()
    for party in HONEST:
        assert blames(outcomes[party]) == ({CULPRIT}, False)


def test_a_dealer_of_another_share_is_named() -> None:
    """Only F_{i,0} = λ_i·X_i says who: every other check passes."""
    share = OLD[CULPRIT].share
    wrong = forged_share(share, secret=Secret(G.encode_scalar(share.scalar + 1)))
    outcomes = run(old={**OLD, CULPRIT: dataclasses.replace(OLD[CULPRIT], share=wrong)})
    for party in HONEST:
        assert blames(outcomes[party]) == ({CULPRIT}, False)
        assert "constant term" in str(outcomes[party])


def private(number: int, kind: Any, alter: Callable[[Any], None]) -> Lie:
    return Lie(CULPRIT, number, edit(kind, alter), receiver=JOINER)


# What each field's lies lead to: tests/mpc/attacks/table_reshare.py.
def test_a_commitment_from_who_does_not_deal_is_blamed() -> None:
    lie = Lie(CULPRIT, 1, edit(Promise, change("commitment", to=bytes(32))), private=False)
    network = Network()
    with telling(lie):
        outcomes = run(network, A={"deals": False})
    assert blames(outcomes[VICTIM]) == ({CULPRIT}, False)
    assert max(frame.round for frame in network.sent if frame.sender == VICTIM) == 1, "dealt after a lie in R1"


def test_a_deal_from_who_does_not_deal_is_blamed() -> None:
    lie = private(2, ReshareDeal, change("deal", to=Deal(share=bytes(32), chain_code=bytes(32))))
    with telling(lie):
        outcomes = run(A={"deals": False})
    assert blames(outcomes[JOINER]) == ({CULPRIT}, False)


def test_a_wrong_sub_share_is_proved_to_the_others() -> None:
    network = Network()
    with telling(private(2, ReshareDeal, change("deal", "share"))):
        outcomes = run(network)
    blame = outcomes[JOINER]
    assert isinstance(blame, Blame)
    coordinates = ranks(one.public for one in identities(NEW))
    sid = next(frame.body[3:35] for frame in network.sent if frame.round == 1)
    assert judge(blame.evidence, G, sid, coordinates).culprits == {CULPRIT}
    assert isinstance(outcomes[VICTIM], Stalled)
    with pytest.raises(Malformed):
        judge(blame.evidence, G, sid, {CULPRIT: 1})


def test_a_split_view_of_the_promises_aborts_by_the_echo() -> None:
    """The receipts beside the commitments differ, every commitment opens: only the echo can tell."""

    def split(frame: Frame, receiver: bytes) -> list[Frame]:
        if frame.sender != CULPRIT or frame.round != 1 or receiver != VICTIM:
            return [frame]
        content = edit(Promise, change("receipt", to=b"another promise"))(frame.body[99:-64])
        return [Frame(1, CULPRIT, BROADCAST, make_body(identity("A"), frame.body[:99], content))]

    network = Network(deliver=split)
    outcomes = run(network)
    for party in HONEST:
        assert type(outcomes[party]) is Abort
        assert "different broadcasts" in outcomes[party].reason
    assert not [frame for frame in network.sent if frame.round > 2]


def test_a_voter_recomputes_the_reshare() -> None:
    result = GOOD[JOINER]
    statement = verify_preimage(result.preimage, OLD[LEAVER].share.description())
    assert (statement.rid, statement.k, statement.digest) == (result.rid, result.k, result.digest)
    assert statement.gid_new == result.gid_new
    assert statement.public_key == OLD[CULPRIT].share.public_key
    assert set(statement.dealers) == {CULPRIT, VICTIM, LEAVER}
    assert (statement.d, statement.new_t) == (2, 2)
    assert statement.public_shares == result.share.public_shares
    assert statement.description == result.share.description()
    assert OLD[CULPRIT].share.chain_code not in result.preimage


def place_of(bodies: tuple[bytes, ...], sender: bytes) -> int:
    return next(at for at, body in enumerate(bodies) if body[35:67] == sender)


def swapped(bodies: tuple[bytes, ...], sender: bytes, body: bytes) -> tuple[bytes, ...]:
    at = place_of(bodies, sender)
    return (*bodies[:at], body, *bodies[at + 1 :])


def resaid(kind: Any, alter: Callable[[Any], None], name: str = "A") -> Callable[[tuple[bytes, ...]], Any]:
    """The round with A's broadcast changed, and signed by the party with that name."""

    def change_it(bodies: tuple[bytes, ...]) -> tuple[bytes, ...]:
        body = bodies[place_of(bodies, CULPRIT)]
        return swapped(bodies, CULPRIT, make_body(identity(name), body[:99], edit(kind, alter)(body[99:-64])))

    return change_it


def without(bodies: tuple[Any, ...]) -> tuple[Any, ...]:
    return bodies[1:]


def leaver_joins(record: ReshareRecord) -> None:
    record.fields.new_identities = tuple(sorted((*record.fields.new_identities, LEAVER)))


def one_less(record: ReshareRecord) -> None:
    for name in ("participants", "round_1", "round_2"):
        change(name, to=without)(record)


RECORDS: dict[str, Callable[[ReshareRecord], None]] = {
    "version": change("version", to=2),
    "d too low": change("fields", "d", to=1),
    "no d": change("fields", "d", to=None),
    "d that asks for more dealers": change("fields", "d", to=4),
    "d that is as possible": change("fields", "d", to=3),
    "no k": change("k", to=0),
    "another k": change("k", to=2),
    "another room": change("fields", "room", to="another"),
    "more time to vote": change("fields", "vote_by", to=1),
    "another key of a hello": lambda record: change("nonce")(record.participants[0][1]),
    "another role": lambda record: change("role", to="existing")(record.participants[0][1]),
    "new threshold": change("fields", "new_t", to=3),
    "new quorum out of order": change("fields", "new_identities", to=lambda parties: parties[::-1]),
    "new quorum of others": change(
        "fields", "new_identities", to=tuple(sorted(identity(name).public for name in "XYZ"))
    ),
    "new quorum of fewer": change("fields", "new_identities", to=tuple(sorted((CULPRIT, JOINER)))),
    "new quorum of more": leaver_joins,
    "no old quorum": change("fields", "gid", to=None),
    "old threshold": change("fields", "old_t", to=3),
    "old public key": change("fields", "public_key", to=G.generator.to_bytes()),
    "old public shares": change("fields", "public_shares", to=lambda points: points[::-1]),
    "too few public shares": change("fields", "public_shares", to=lambda points: points[:2]),
    "old quorum out of order": change("fields", "old_identities", to=lambda parties: parties[::-1]),
    "a participant missing": one_less,
    "participants out of order": change("participants", to=lambda parties: parties[::-1]),
    "R1 of one party missing": change("round_1", to=without),
    "R2 in another order": change("round_2", to=lambda bodies: bodies[::-1]),
    "R1 in place of R2": lambda record: setattr(record, "round_2", record.round_1),
    "another commitment": change("round_1", to=resaid(Promise, change("commitment"))),
    "another promise": change("round_1", to=resaid(Promise, change("receipt", to=b"another"))),
    "another promise, signed by another": change("round_1", to=resaid(Promise, change("receipt", to=b"x"), "B")),
    "an opening missing": change("round_2", to=resaid(ReshareOpening, change("opening", to=None))),
    "another blind": change("round_2", to=resaid(ReshareOpening, change("opening", "blind"))),
    "another signature": change("round_2", to=lambda bodies: (flipped(bodies[0]), *bodies[1:])),
    "not a message": change("round_2", to=lambda bodies: tuple(b"junk" for _ in bodies)),
}


@pytest.mark.parametrize("alter", RECORDS.values(), ids=RECORDS.keys())
def test_a_statement_that_does_not_hold_is_none(alter: Callable[[ReshareRecord], None]) -> None:
    record = decode(ReshareRecord, GOOD[JOINER].preimage)
    alter(record)
    with pytest.raises(Malformed):
        verify_preimage(encode(record))


def test_a_statement_with_too_few_dealers_for_its_d_is_refused() -> None:
    network = Network()
    record = decode(ReshareRecord, run(network, C={"deals": False})[JOINER].preimage)
    sid = next(frame.body[3:35] for frame in network.sent if frame.round == 1)
    assert verify_preimage(encode(record)).d == 2
    record.fields.d = 3
    with patch("mpc.statements.attempt_sid", lambda *_: sid), pytest.raises(Malformed, match="too few dealers"):
        verify_preimage(encode(record))


def test_a_statement_about_another_old_quorum_is_refused() -> None:
    known = OLD[LEAVER].share.description()
    known.gid = TH("another generation")
    with pytest.raises(Malformed, match="known here"):
        verify_preimage(GOOD[JOINER].preimage, known)


def test_the_digest_is_of_the_whole_preimage() -> None:
    statement = verify_preimage(GOOD[JOINER].preimage)
    assert statement.digest == GOOD[JOINER].digest == TH("digest/reshare", GOOD[JOINER].preimage)
    assert statement.gid_new == TH("gid", statement.digest)
