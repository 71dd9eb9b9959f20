"""Channels: what is dropped, what is a named error, and what two signed messages prove."""

from collections.abc import Callable
from typing import Any

import pytest

from mpc.channel import Session, open_session
from mpc.envelope import (
    HEADER_BYTES,
    conflict,
    frame_of,
    make_body,
    make_header,
    open_payload,
    pack_bodies,
    seal_payload,
    unpack_bodies,
)
from mpc.errors import Abort, Malformed, ParameterMismatch
from mpc.hashing import TH
from mpc.hello import greet, hello_session, merge_fields, session_id
from mpc.identity import Identity
from mpc.protocol import BROADCAST, Frame, Protocol, Step, SystemRng
from mpc.wire import Commitment, Hello, KeygenFields, SignShare, decode, encode
from tests.mpc.simulator import Lie, Network, Stalled, blames, edit, flipped, identities, identity, run_keygen

ALICE, BOB = identities("AB")
STRANGER = identity("stranger").public
ROOM = hello_session("room", 0)
CONTENT = Commitment(commitment=bytes(32))


def hello(protocol: str = "talk", fields: bytes = b"") -> Callable[[bytes, bytes], Hello]:
    return lambda nonce, ephemeral: Hello(protocol, nonce, ephemeral, "party", fields, b"")


def talk(me: Identity, peer: Identity, room: bytes = ROOM, protocol: str = "talk") -> Protocol[Any]:
    """A session of two: a broadcast and a private message each."""
    greetings = yield from greet(me, hello(protocol), room, 2, SystemRng(), lambda sender, _: sender == peer.public)
    xs = {party: x for x, party in enumerate(greetings.hellos, 1)}
    session = Session(greetings, session_id(b"cfg", greetings.hellos, xs), xs, SystemRng())
    received = yield from session.exchange(
        1,
        broadcast=CONTENT,
        private={peer.public: Commitment(commitment=TH("secret"))},
        broadcasters=(peer.public,),
        senders=(peer.public,),
    )
    return session, received


def both(network: Network | None = None, **bob: Any) -> tuple[Any, Any, Network]:
    network = network or Network()
    outcomes = network.run({ALICE.public: talk(ALICE, BOB), BOB.public: talk(BOB, ALICE, **bob)})
    return outcomes[ALICE.public], outcomes[BOB.public], network


def test_two_parties_hear_each_other() -> None:
    (session, received), (other, _), network = both()
    assert received.privates(Commitment) == {BOB.public: Commitment(commitment=TH("secret"))}
    assert received.broadcasts(Commitment) == {ALICE.public: CONTENT, BOB.public: CONTENT}
    assert (session.sid, session.echo) == (other.sid, other.echo)
    assert not [frame for frame in network.sent if TH("secret") in frame.body]


def test_each_direction_has_a_key_of_its_own() -> None:
    (session, _), (other, _), _ = both()
    assert session.receive_key(BOB.public) != other.receive_key(ALICE.public)
    again, *_ = both()
    assert again[0].receive_key(BOB.public) != session.receive_key(BOB.public)


class Still(SystemRng):
    """Draws nothing but zeros: what sids differ by is then what was agreed and said."""

    def draw(self, label: str, size: int) -> bytes:
        return bytes(size)


def opened(*extras: bytes) -> Session:
    """Alice's session with Bob, after hellos with these extras."""
    fields, xs = KeygenFields("room", "ecdsa", 2, 2, (ALICE.public, BOB.public)), {ALICE.public: 1, BOB.public: 2}
    sessions = {
        me.public: open_session(
            me, "talk", "party", fields, room="room", size=2, coordinates=xs, rng=Still(), extra=extra
        )
        for me, extra in zip((ALICE, BOB), extras, strict=True)
    }
    session: Session = Network().run(sessions)[ALICE.public]
    return session


def test_extras_may_differ_and_the_sid_binds_everybodys() -> None:
    session = opened(b"mine", b"yours")
    assert session.extras == {ALICE.public: b"mine", BOB.public: b"yours"}
    sids = {opened(*extras).sid for extras in ((b"mine", b"yours"), (b"mine", b"other"), (b"my", b"yours"), (b"", b""))}
    assert len(sids | {session.sid}) == 4
    assert opened(b"", b"").sid == opened(b"", b"unheard").sid, "without any of one's own nobody's counts"


def one_sided(me: Identity, peer: Identity) -> Protocol[Any]:
    """Alice broadcasts and waits for nobody; Bob listens and says nothing; then a round in private only."""
    greetings = yield from greet(me, hello(), ROOM, 2, SystemRng(), lambda sender, _: sender == peer.public)
    xs = {party: x for x, party in enumerate(greetings.hellos, 1)}
    session = Session(greetings, session_id(b"cfg", greetings.hellos, xs), xs, SystemRng())
    speaks = me is ALICE
    heard = yield from session.exchange(
        1, broadcast=CONTENT if speaks else None, broadcasters=() if speaks else (peer.public,)
    )
    echo = session.echo
    private = yield from session.exchange(2, private={peer.public: CONTENT}, senders=(peer.public,))
    return heard.broadcasts(Commitment), private.privates(Commitment), session.sid, echo, session.echo


def test_a_round_may_have_one_speaker_and_a_private_one_leaves_the_echo() -> None:
    outcomes = Network().run({ALICE.public: one_sided(ALICE, BOB), BOB.public: one_sided(BOB, ALICE)})
    for party, peer in ((ALICE, BOB), (BOB, ALICE)):
        heard, private, sid, echo, last = outcomes[party.public]
        assert heard == {ALICE.public: CONTENT}
        assert private == {peer.public: CONTENT}
        assert last == echo != sid
    assert outcomes[ALICE.public][3] == outcomes[BOB.public][3]


ECHOES = {
    "all the same": ((b"seen", b"seen"), True),
    "the first another": ((b"other", b"seen"), False),
    "the last another": ((b"seen", b"other"), False),
    "cut": ((b"seen", b"see"), False),
    "nobody's": ((), True),
}


@pytest.mark.parametrize(("echoes", "holds"), ECHOES.values(), ids=ECHOES)
def test_an_echo_that_differs_ends_it_without_blame(echoes: tuple[bytes, ...], holds: bool) -> None:
    (session, _), *_ = both()
    told = dict(zip((BOB.public, STRANGER), echoes, strict=False))
    if holds:
        session.check_echo(b"seen", told)
    else:
        with pytest.raises(Abort, match="different broadcasts"):
            session.check_echo(b"seen", told)


def waiting_for_round_1() -> tuple[Step, list[Frame], Network]:
    """Alice's step of round 1 and Bob's frames for it."""
    network = Network()
    alice, bob = talk(ALICE, BOB), talk(BOB, ALICE)
    first, other = next(alice), next(bob)
    step, other = alice.send(list(other.frames)), bob.send(list(first.frames))
    return step, list(other.frames), network


def resigned(frame: Frame, signer: Identity = BOB, **header: Any) -> Frame:
    """Bob's frame with another header, properly signed by ``signer``."""
    values = {"kind": "message", "number": 1, "session": frame.body[3:35], "sender": frame.sender}
    made = make_header(**{**values, "receiver": frame.receiver, **header})
    body = make_body(signer, made, frame.body[HEADER_BYTES:-64])
    return Frame(made[2], made[35:67], b"" if made[67:] == bytes(32) else made[67:], body)


DROPPED: dict[str, Callable[[Frame], Frame]] = {
    "signature": lambda frame: Frame(frame.round, frame.sender, frame.receiver, flipped(frame.body)),
    "content": lambda frame: Frame(frame.round, frame.sender, frame.receiver, flipped(frame.body, HEADER_BYTES + 5)),
    "cut": lambda frame: Frame(frame.round, frame.sender, frame.receiver, frame.body[:-1]),
    "longer": lambda frame: Frame(frame.round, frame.sender, frame.receiver, frame.body + b"\0"),
    "empty": lambda frame: Frame(frame.round, frame.sender, frame.receiver, b""),
    "round of the frame": lambda frame: Frame(2, frame.sender, frame.receiver, frame.body),
    "round of the header": lambda frame: Frame(1, *resigned(frame, number=2).slot, resigned(frame, number=2).body),
    "another session": lambda frame: resigned(frame, session=TH("other")),
    "another kind": lambda frame: resigned(frame, kind="hello"),
    "another sender": lambda frame: resigned(frame, signer=identity("Z"), sender=identity("Z").public),
    "in another's name": lambda frame: resigned(frame, signer=identity("Z")),
    "another receiver": lambda frame: resigned(frame, receiver=identity("Z").public),
}


@pytest.mark.parametrize("change", DROPPED.values(), ids=DROPPED.keys())
@pytest.mark.parametrize("private", [False, True], ids=["broadcast", "private"])
def test_what_is_not_authentic_is_dropped_and_blames_nobody(change: Callable[[Frame], Frame], private: bool) -> None:
    step, frames, _ = waiting_for_round_1()
    good = next(frame for frame in frames if bool(frame.receiver) == private)
    assert step.accept(good)
    assert not step.accept(change(good))
    assert not step.complete([change(good) if frame is good else frame for frame in frames])
    assert step.complete([change(good), *frames])


def test_a_broadcast_is_not_taken_for_a_private_message_nor_the_reverse() -> None:
    step, frames, _ = waiting_for_round_1()
    public, private = sorted(frames, key=lambda frame: frame.receiver)
    assert not step.accept(resigned(public, receiver=ALICE.public))
    turned = resigned(private, receiver=BROADCAST)
    assert step.accept(turned)  # a broadcast that its sender signed: it is heard as what it is, and does not parse
    assert not step.complete([public, turned])


def test_an_incomplete_round_is_not_taken_back() -> None:
    step, frames, _ = waiting_for_round_1()
    with pytest.raises(RuntimeError, match="before it was complete"):
        step.payloads(frames[:1])


def test_the_first_message_of_a_slot_counts() -> None:
    step, frames, _ = waiting_for_round_1()
    public = next(frame for frame in frames if not frame.receiver)
    other = Frame(
        1, BOB.public, BROADCAST, make_body(BOB, public.body[:HEADER_BYTES], encode(SignShare(bytes(32), bytes(32))))
    )
    payloads = step.payloads([*frames, other])
    assert payloads[public.slot][0] == public
    assert conflict(public, other)


CONFLICTS: dict[str, tuple[Callable[[Frame], Frame], bool]] = {
    "other content, signed": (lambda f: Frame(*_place(f), make_body(BOB, f.body[:HEADER_BYTES], b"other")), True),
    "the same": (lambda f: f, False),
    "other content, not signed": (lambda f: Frame(*_place(f), flipped(f.body, HEADER_BYTES)), False),
    "another round": (lambda f: resigned(f, number=2), False),
    "another session": (lambda f: resigned(f, session=TH("other")), False),
    "signed by another": (lambda f: Frame(*_place(f), make_body(ALICE, f.body[:HEADER_BYTES], b"other")), False),
    "too short": (lambda f: Frame(*_place(f), b"x"), False),
}


def _place(frame: Frame) -> tuple[int, bytes, bytes]:
    return frame.round, frame.sender, frame.receiver


@pytest.mark.parametrize(("change", "proves"), CONFLICTS.values(), ids=CONFLICTS.keys())
def test_two_signed_messages_for_one_slot_are_evidence(change: Callable[[Frame], Frame], proves: bool) -> None:
    _, frames, _ = waiting_for_round_1()
    public = next(frame for frame in frames if not frame.receiver)
    assert conflict(public, change(public)) is proves
    assert conflict(change(public), public) is proves


def test_a_frame_is_found_again_from_its_body() -> None:
    _, frames, _ = waiting_for_round_1()
    assert [frame_of(frame.body) for frame in frames] == frames
    assert frame_of(b"short") is None
    assert unpack_bodies(pack_bodies((b"a", b"b"))) == (b"a", b"b")
    with pytest.raises(Malformed):
        unpack_bodies(b"junk")


def test_sealing_commits_to_key_header_and_payload() -> None:
    key, header = TH("key"), bytes(HEADER_BYTES)
    sealed = seal_payload(key, header, b"payload")
    assert sealed == seal_payload(key, header, b"payload")
    assert sealed[:12] != seal_payload(key, header, b"another")[:12]
    assert open_payload(key, header, sealed) == b"payload"
    for wrong in (
        open_payload(TH("other"), header, sealed),
        open_payload(key[:-1], header, sealed),
        open_payload(key, flipped(header), sealed),
        open_payload(key, header, flipped(sealed)),
        open_payload(key, header, flipped(sealed, 0)),
        open_payload(key, header, sealed[:27]),
    ):
        assert wrong is None


def test_a_nonce_other_than_the_payloads_is_refused() -> None:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    key, header = TH("key"), bytes(HEADER_BYTES)
    free = bytes(12) + ChaCha20Poly1305(key).encrypt(bytes(12), b"payload", header)
    assert open_payload(key, header, free) is None


def test_another_protocol_in_the_room_is_named() -> None:
    alice, bob, network = both(protocol="other")
    for outcome in (alice, bob):
        assert isinstance(outcome, ParameterMismatch)
        assert outcome.field == "protocol"
    assert {frame.round for frame in network.sent} == {0}


def test_another_room_or_index_is_not_heard() -> None:
    for room in (hello_session("other", 0), hello_session("room", 1)):
        alice, bob, _ = both(room=room)
        assert isinstance(alice, Stalled)
        assert isinstance(bob, Stalled)


def test_an_ephemeral_key_of_small_order_is_blamed() -> None:
    def small(frame: Frame, receiver: bytes) -> list[Frame]:
        if frame.round or frame.sender != BOB.public:
            return [frame]
        content = edit(Hello, lambda message: setattr(message, "ephemeral", bytes(32)))(frame.body[HEADER_BYTES:-64])
        return [Frame(0, BOB.public, BROADCAST, make_body(BOB, frame.body[:HEADER_BYTES], content))]

    alice, _, _ = both(Network(deliver=small))
    assert blames(alice) == ({BOB.public}, False)


def test_more_hellos_than_places_abort() -> None:
    zoe = identity("Z")
    one = greet(ALICE, hello(), ROOM, 2, SystemRng(), lambda sender, _: True)
    others = [greet(who, hello(), ROOM, 2, SystemRng(), lambda sender, _: True) for who in (BOB, zoe)]
    next(one)
    with pytest.raises(Abort, match="more hellos"):
        one.send([frame for other in others for frame in next(other).frames])


def test_a_replayed_hello_hears_nothing_private() -> None:
    """A party's hello of an earlier session of this room: the others broadcast their commitments, and no more."""
    parties, earlier = identities("ABC"), Network()
    run_keygen(parties, 2, earlier)
    replayed = parties[0].public
    stale = next(frame for frame in earlier.sent if frame.sender == replayed and frame.round == 0)
    network = Network(deliver=lambda frame, _: [stale] if frame.slot == stale.slot and frame.round == 0 else [frame])
    outcomes = run_keygen(parties, 2, network)
    assert [outcome.round for outcome in outcomes.values() if isinstance(outcome, Stalled)] == [1, 1, 1]
    assert not [frame for frame in network.sent if frame.receiver != BROADCAST]


def test_frames_of_an_earlier_session_are_dropped() -> None:
    _, frames, _ = waiting_for_round_1()
    step, _, _ = waiting_for_round_1()
    assert not any(step.accept(frame) for frame in frames)


def test_repeated_and_reordered_frames_change_nothing() -> None:
    def twice(frame: Frame, receiver: bytes) -> list[Frame]:
        return [frame, frame]

    class Backwards(Network):
        def _inbox(self, party: bytes, step: Step) -> list[Frame]:
            return super()._inbox(party, step)[::-1]

    outcomes = run_keygen(identities("ABC"), 2, Backwards(deliver=twice))
    assert len({outcome.digest for outcome in outcomes.values()}) == 1


def test_a_dropped_frame_stalls_and_blames_nobody() -> None:
    lost = identities("ABC")[0].public
    network = Network(deliver=lambda frame, receiver: [] if frame.sender == lost and frame.round == 2 else [frame])
    outcomes = run_keygen(identities("ABC"), 2, network)
    assert [type(outcome) for outcome in outcomes.values()] == [Stalled] * 3


def test_fields_that_only_some_know_are_united() -> None:
    def says(**fields: Any) -> Hello:
        known = {"room": "r", "scheme": "ecdsa", "t": 2, "n": 2, "identities": (bytes(32),)}
        return hello(fields=encode(KeygenFields(**{**known, **fields})))(bytes(32), bytes(32))

    hellos = {ALICE.public: says(), BOB.public: says()}
    assert merge_fields(hellos, KeygenFields) == decode(KeygenFields, says().fields)
    for name, value in {"scheme": "other", "t": 3, "n": 3, "identities": (bytes(32), bytes(32))}.items():
        with pytest.raises(ParameterMismatch) as raised:
            merge_fields({**hellos, BOB.public: says(**{name: value})}, KeygenFields)
        assert raised.value.field == name


def test_the_sid_binds_who_how_and_with_which_keys() -> None:
    def of(cfg: bytes = b"cfg", x: int = 1, **fields: Any) -> bytes:
        base = Hello("p", bytes(32), bytes(32), "role", b"", b"")
        for name, value in fields.items():
            setattr(base, name, value)
        return session_id(cfg, {ALICE.public: base}, {ALICE.public: x})

    variants = [of(), of(b"other"), of(x=2), of(nonce=TH("n")), of(ephemeral=TH("e")), of(role="other")]
    assert len(set(variants)) == len(variants)


MALFORMED = {
    "empty": b"",
    "another type": encode(SignShare(w=bytes(32), u=bytes(32))),
    "short": encode(Commitment(commitment=bytes(31))),
    "long": encode(Commitment(commitment=bytes(33))),
    "text": encode(Commitment(commitment="x" * 32)),  # type: ignore[arg-type]
    "trailing": encode(CONTENT) + b"\xc0",
    "cut": encode(CONTENT)[:-1],
    "another encoding": b"\xdc\x00\x01" + encode(CONTENT)[1:],
    "deep": b"\x91" * 100_000,
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_one_message_has_one_encoding(data: bytes) -> None:
    assert decode(Commitment, encode(CONTENT)) == CONTENT
    with pytest.raises(Malformed):
        decode(Commitment, data)


def test_messages_do_not_print_their_content() -> None:
    assert repr(SignShare(w=b"w" * 32, u=b"u" * 32)) == "SignShare(<redacted>)"


def test_a_lie_is_signed_by_its_liar() -> None:
    """The simulator's own honesty: a changed payload still passes every check of the channel."""
    with Lie(BOB.public, 1, lambda payload: b"junk", private=False).told():
        alice, _, _ = both()
    assert alice[1].broadcast[BOB.public] == b"junk"
