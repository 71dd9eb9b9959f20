"""Lies about who one is and what one said: replayed hellos, two faces, degenerate keys, a false old quorum."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest

from mpc import dealing, keygen, quorums
from mpc.channel import Session
from mpc.dealing import Dealing
from mpc.envelope import HEADER_BYTES, make_body
from mpc.errors import Abort, Malformed, ParameterMismatch
from mpc.group import SECP256K1 as G
from mpc.hello import session_id
from mpc.identity import Identity, verify
from mpc.protocol import BROADCAST, Frame
from mpc.wire import Commitment, Description, Hello, KeygenOpening, decode, encode
from tests.mpc.simulator import (
    Network,
    Stalled,
    blames,
    edit,
    flipped,
    identities,
    identity,
    key,
    reshare_parties,
    run_keygen,
)

PARTIES = identities("ABC")
CULPRIT, VICTIM, BYSTANDER = (one.public for one in PARTIES)


def resigned(frame: Frame, me: Identity, payload: bytes) -> Frame:
    header = frame.body[:HEADER_BYTES]
    return Frame(frame.round, frame.sender, frame.receiver, make_body(me, header, payload))


def payload_of(frame: Frame) -> bytes:
    return frame.body[HEADER_BYTES:-64]


# Little-endian u-coordinates of order 1, 2, 4 and 8, with their forms that are not reduced (RFC 7748, section 6.1: the
# shared secret is zero for each).
P25519 = 2**255 - 19
SMALL_ORDER = {
    "0": 0,
    "1": 1,
    "order 8": 325606250916557431795983626356110631294008115727848805560023387167927233504,
    "order 8, the other": 39382357235489614581723060781553021112529911719440698176882885853963445705823,
    "p - 1": P25519 - 1,
    "p": P25519,
    "p + 1": P25519 + 1,
}


@pytest.mark.parametrize("value", SMALL_ORDER.values(), ids=SMALL_ORDER.keys())
def test_an_ephemeral_key_whose_shared_secret_is_zero_is_blamed(value: int) -> None:
    def small(frame: Frame, receiver: bytes) -> list[Frame]:
        if frame.round or frame.sender != CULPRIT:
            return [frame]
        change = edit(Hello, lambda hello: setattr(hello, "ephemeral", value.to_bytes(32, "little")))
        return [resigned(frame, PARTIES[0], change(payload_of(frame)))]

    network = Network(deliver=small)
    outcomes = run_keygen(PARTIES, 2, network)
    for party in (VICTIM, BYSTANDER):
        assert blames(outcomes[party]) == ({CULPRIT}, False)
        assert not [frame for frame in network.sent if frame.sender == party and frame.round]


@pytest.mark.parametrize("public", [b"\x01" + bytes(31), bytes(32), (P25519 - 1).to_bytes(32, "little")])
def test_an_identity_of_small_order_signs_nothing(public: bytes) -> None:
    """Under such a key a signature of zeros would hold for every message, where they are not refused."""
    for commitment in (public, b"\x01" + bytes(31), bytes(32)):
        assert not verify(public, "message", (b"anything",), commitment + bytes(32))


def test_a_signature_has_one_form() -> None:
    """S + L verifies too where S is not checked: the relay could make two originals of one, and with them a proof."""
    order = 2**252 + 27742317777372353535851937790883648493
    signature = PARTIES[0].sign("message", b"x")
    other = signature[:32] + (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
    assert verify(CULPRIT, "message", (b"x",), signature)
    assert not verify(CULPRIT, "message", (b"x",), other)


def test_no_encoding_of_a_point_is_the_identity() -> None:
    for data in (
        bytes(33),
        b"\x00",
        b"\x02" + bytes(32),
        b"\x03" + bytes(32),
        b"\x04" + bytes(32),
        b"\x06" + bytes(32),
    ):
        with pytest.raises(Malformed):
            G.decode(data)


@contextmanager
def without_confirmation() -> Iterator[None]:
    """The rule left out: nobody signs the sid, R1's messages come unauthenticated and the round's are taken."""
    real = Session._finish_round

    def blind(session: Session, number: int, mine: Any, broadcast: Any, payloads: Any) -> Any:
        received = real(session, number, mine, broadcast, payloads)
        if number == 1:
            missing = {party: encode(broadcast) for party in session.parties if party not in received.broadcast}
            received.broadcast.update(missing)
        return received

    exchange = Session.exchange

    def impatient(session: Session, number: int, **more: Any) -> Any:
        return exchange(
            session, number, **{**more, "broadcasters": () if number == 1 else more.get("broadcasters", ())}
        )

    with patch.object(Session, "_finish_round", blind), patch.object(Session, "exchange", impatient):
        yield


@pytest.mark.parametrize("confirmed", [True, False], ids=["as it is", "rule left out"])
def test_a_replayed_hello_gets_no_sub_share(confirmed: bool) -> None:
    """A's hello of an earlier session in this room, put there by the relay: A is not here."""
    earlier = Network()
    run_keygen(PARTIES, 2, earlier)
    stale = next(frame for frame in earlier.sent if frame.sender == CULPRIT and frame.round == 0)

    def replay(frame: Frame, receiver: bytes) -> list[Frame]:
        return [] if frame.sender == CULPRIT and frame.round else [stale] if frame.sender == CULPRIT else [frame]

    network = Network(deliver=replay)
    if confirmed:
        outcomes = run_keygen(PARTIES, 2, network)
    else:
        with without_confirmation():
            outcomes = run_keygen(PARTIES, 2, network)
    private = [frame for frame in network.sent if frame.receiver == CULPRIT and frame.sender != CULPRIT]
    assert bool(private) is not confirmed
    assert all(isinstance(outcomes[party], Stalled) for party in (VICTIM, BYSTANDER))


def two_faced(rounds: dict[int, Callable[[bytes], bytes]]) -> Callable[[Frame, bytes], list[Frame]]:
    """The victim gets other signed broadcasts of the culprit's than the bystander."""

    def deliver(frame: Frame, receiver: bytes) -> list[Frame]:
        if frame.sender != CULPRIT or frame.receiver or receiver != VICTIM or frame.round not in rounds:
            return [frame]
        return [resigned(frame, PARTIES[0], rounds[frame.round](payload_of(frame)))]

    return deliver


@pytest.mark.parametrize("echoed", [True, False], ids=["as it is", "rule left out"])
def test_two_commitments_that_both_open_are_seen_by_the_echo_alone(echoed: bool) -> None:
    sid, parts, openings = [], [], []
    made = Dealing.__init__

    def watched(self: Dealing, group: Any, session: bytes, dealer: bytes, *more: Any, **named: Any) -> None:
        made(self, group, session, dealer, *more, **named)
        if dealer == CULPRIT:
            sid.append(session)
            parts.append(named["attached"])
            openings.append(self.opening)

    def other_blind(payload: bytes) -> bytes:
        message = decode(KeygenOpening, payload)
        message.opening.blind = flipped(message.opening.blind)
        return encode(message)

    def other_commitment(payload: bytes) -> bytes:
        opening = decode(type(openings[0]), encode(openings[0]))
        opening.blind = flipped(opening.blind)
        return encode(Commitment(commitment=dealing._commit(sid[0], CULPRIT, opening, parts[0])))

    network = Network(deliver=two_faced({1: other_commitment, 2: other_blind}))
    with patch.object(Dealing, "__init__", watched):
        if echoed:
            outcomes = run_keygen(PARTIES, 2, network)
        else:
            with patch.object(Session, "check_echo", lambda *_: None):
                outcomes = run_keygen(PARTIES, 2, network)
    if echoed:
        for party in (VICTIM, BYSTANDER):
            assert type(outcomes[party]) is Abort
            assert "different broadcasts" in str(outcomes[party])
        assert not [frame for frame in network.sent if frame.round == 3]
    else:
        assert all(isinstance(outcome, keygen.KeygenResult) for outcome in outcomes.values())


def test_swapped_identities_are_another_session() -> None:
    """Who is who is bound by the sid: x, identity, role and keys."""
    hellos = {
        one.public: Hello("p", bytes((i,)) * 32, bytes((i,)) * 32, "r", b"", b"") for i, one in enumerate(PARTIES)
    }
    xs = {one.public: x for x, one in enumerate(PARTIES, 1)}
    swapped_xs = {**xs, CULPRIT: xs[VICTIM], VICTIM: xs[CULPRIT]}
    swapped = {**hellos, CULPRIT: hellos[VICTIM], VICTIM: hellos[CULPRIT]}
    assert len({session_id(b"c", hellos, xs), session_id(b"c", swapped, xs), session_id(b"c", hellos, swapped_xs)}) == 3


FALSE_QUORUMS: dict[str, Callable[[Description], None]] = {
    "public_key": lambda old: setattr(old, "public_key", G.base_mul(9).to_bytes()),
    "public_shares": lambda old: setattr(old, "public_shares", old.public_shares[::-1]),
    "old_t": lambda old: setattr(old, "t", 3),
    "gid": lambda old: setattr(old, "gid", flipped(old.gid)),
    "chain_code_hash": lambda old: setattr(old, "chain_code_hash", flipped(old.chain_code_hash)),
    "old_identities": lambda old: setattr(old, "identities", tuple(sorted(identity(name).public for name in "ABE"))),
}


def run_with_false_quorum(lie: Callable[[Description], None], liars: str, **expected: Any) -> tuple[Any, Network]:
    real = quorums.make_hello
    told = {identity(name).public for name in liars}

    def lying(me: Identity, config: Any, known: Description | None, *keys: bytes) -> Hello:
        if me.public in told and known is not None:
            known = decode(Description, encode(known))
            lie(known)
        return real(me, config, known, *keys)

    network = Network()
    with patch("mpc.reshare.make_hello", lying):
        protocols = reshare_parties(key("ABC", 2), "ABCD", "ABD", 2, special={"D": expected})
        return network.run(protocols)[identity("D").public], network


@pytest.mark.parametrize("name", FALSE_QUORUMS)
def test_a_joiner_is_lied_to_about_the_old_quorum_by_one(name: str) -> None:
    """Signed by the liar itself, so it is heard: the others' word is another, and nothing begins."""
    outcome, network = run_with_false_quorum(FALSE_QUORUMS[name], "A")
    assert isinstance(outcome, ParameterMismatch)
    assert outcome.field == name
    assert {frame.round for frame in network.sent} == {0}


def test_a_joiner_that_was_told_the_key_is_not_deceived_by_all() -> None:
    """All old parties lie alike. Who expects a public key says no; who trusts them has no other word to go by, but
    shares that do not belong to the key are refused all the same.
    """
    expected = key("ABC", 2)[CULPRIT].share.public_key
    outcome, _ = run_with_false_quorum(FALSE_QUORUMS["public_key"], "ABC", expected_pubkey=expected)
    assert isinstance(outcome, Abort)
    outcome, network = run_with_false_quorum(FALSE_QUORUMS["public_key"], "ABC")
    assert type(outcome) is Abort
    assert "do not belong to its public key" in outcome.reason
    assert not [frame for frame in network.sent if frame.receiver != BROADCAST]
