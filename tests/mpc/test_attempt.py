"""The hello round of a reshare, clause by clause: who is heard, what the hellos prove, whom a joiner believes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mpc.attempt import HelloComplete, check_expectations, complete_hellos, rid_of
from mpc.envelope import make_body, make_header, open_body, pack_bodies, unpack_bodies
from mpc.errors import Abort, Malformed, ParameterMismatch
from mpc.hello import greet, hello_session
from mpc.identity import Identity
from mpc.protocol import BROADCAST, Frame, SystemRng
from mpc.quorums import DEALS, ReshareConfig, admits, described, description_in
from mpc.wire import Description, Hello, ReshareExtra, ReshareFields, decode, encode
from tests.mpc.simulator import Network, flipped, identities, identity, key, reshare_config, reshare_parties

PARTIES = {one.public: one for one in identities("ABCDZ")}
OLD = key("ABC", 2)
A, B, C, D, Z = (identity(name).public for name in "ABCDZ")
PUBLIC_KEY = OLD[A].share.public_key


def made() -> tuple[HelloComplete, dict[bytes, Hello]]:
    """The attempt in which A and B stay, C leaves and D joins, and its hellos."""
    network = Network()
    network.run(reshare_parties(OLD, "ABCD", "ABD", 2))
    complete = next(item for item in network.checkpoints[A] if isinstance(item, HelloComplete))
    hellos = {body[35:67]: decode(Hello, body[99:-64]) for body in unpack_bodies(complete.hellos)}
    return complete, hellos


COMPLETE, HELLOS = made()
ROOM = hello_session("reshare", 0)


def altered(hello: Hello, **fields: Any) -> Hello:
    """The hello with other fields, or another role, protocol or extra."""
    own = {name: fields.pop(name) for name in ("role", "protocol", "extra") if name in fields}
    parsed = decode(ReshareFields, hello.fields)
    for name, value in fields.items():
        setattr(parsed, name, value)
    stated = {name: getattr(hello, name) for name in hello.__struct_fields__}
    return Hello(**{**stated, "fields": encode(parsed), **own})


def unsigned(hello: Hello) -> Hello:
    """With a description that its sender did not sign."""
    extra = decode(ReshareExtra, hello.extra)
    extra.description = flipped(extra.description)
    return altered(hello, extra=encode(extra))


# --- whom a joiner believes ---


def expects(**more: Any) -> ReshareConfig:
    return reshare_config("ABD", 2, "joining", 4, **more)


def test_a_joiner_believes_every_remaining_partys_signature() -> None:
    check_expectations(expects(), COMPLETE, HELLOS)
    check_expectations(expects(), COMPLETE, HELLOS | {C: unsigned(HELLOS[C])})  # C leaves: its word is not asked


@pytest.mark.parametrize("liars", [(A,), (B,), (A, B)], ids=["A", "B", "both"])
def test_a_joiner_does_not_believe_some_of_them(liars: tuple[bytes, ...]) -> None:
    with pytest.raises(Abort, match="vouches"):
        check_expectations(expects(), COMPLETE, HELLOS | {one: unsigned(HELLOS[one]) for one in liars})
    told = expects(expected_pubkey=PUBLIC_KEY)
    check_expectations(told, COMPLETE, HELLOS | {one: unsigned(HELLOS[one]) for one in liars})


def test_a_joiner_believes_nobody_where_nobody_remains() -> None:
    alone = ReshareConfig(
        **{name: getattr(expects(), name) for name in expects().__dataclass_fields__} | {"new_identities": (D, Z)}
    )
    with pytest.raises(Abort, match="vouches"):
        check_expectations(alone, COMPLETE, HELLOS)


def test_an_old_party_needs_no_voucher() -> None:
    check_expectations(
        reshare_config("ABD", 2, "existing", 4), COMPLETE, {one: unsigned(HELLOS[one]) for one in (A, B)}
    )


# --- what the hellos fix ---


@pytest.mark.parametrize("d", [0, 1, 4])
def test_deletions_out_of_range(d: int) -> None:
    with pytest.raises(Abort, match="out of range"):
        complete_hellos({party: altered(hello, d=d) for party, hello in HELLOS.items()}, ())


@pytest.mark.parametrize(
    ("party", "role"),
    [(A, "joining"), (A, "departing" + DEALS), (C, "existing"), (D, "joining" + DEALS), (D, "existing"), (D, "none")],
)
def test_a_role_that_is_not_the_partys(party: bytes, role: str) -> None:
    with pytest.raises(ParameterMismatch) as caught:
        complete_hellos(HELLOS | {party: altered(HELLOS[party], role=role)}, ())
    assert caught.value.field == "role"


def test_fewer_dealers_than_promises_are_needed() -> None:
    silent = {one: altered(HELLOS[one], role=HELLOS[one].role.removesuffix(DEALS)) for one in (A, B)}
    with pytest.raises(Abort, match="1 old parties deal, 2 are needed"):
        complete_hellos(HELLOS | silent, ())


# --- what signed hellos prove to others ---


def bodies(changed: dict[bytes, Hello] | None = None, session: bytes = ROOM) -> dict[bytes, bytes]:
    """The signed hellos, some of them others."""
    stated = HELLOS | (changed or {})
    headers = {party: make_header("hello", 0, session, party, BROADCAST) for party in stated}
    return {party: make_body(PARTIES[party], headers[party], encode(hello)) for party, hello in stated.items()}


def packed(signed: dict[bytes, bytes]) -> bytes:
    return pack_bodies(tuple(signed[party] for party in sorted(signed)))


def placed(party: bytes, **place: Any) -> dict[bytes, bytes]:
    """The party's hello, validly signed, but for another place."""
    where = {"kind": "hello", "number": 0, "session": ROOM, "receiver": BROADCAST, **place}
    header = make_header(where["kind"], where["number"], where["session"], party, where["receiver"])
    return bodies() | {party: make_body(PARTIES[party], header, encode(HELLOS[party]))}


def everybody(**fields: Any) -> dict[bytes, bytes]:
    return bodies({party: altered(hello, **fields) for party, hello in HELLOS.items()})


PROVE_NOTHING: dict[str, tuple[Callable[[], dict[bytes, bytes]], str]] = {
    "of another round": (lambda: placed(A, number=1), "not a hello"),
    "to one party": (lambda: placed(A, receiver=B), "not a hello"),
    "a message and no hello": (lambda: placed(A, kind="message"), "did not sign"),
    "of another session": (lambda: placed(A, session=bytes(32)), "another protocol or room"),
    "of another protocol": (lambda: everybody(protocol="keygen"), "another protocol or room"),
    "of another room than they are signed for": (lambda: everybody(room="elsewhere"), "another protocol or room"),
    "without a description of its sender": (lambda: bodies({A: unsigned(HELLOS[A])}), "without a valid description"),
    "of an old party that states no quorum": (lambda: bodies({A: altered(HELLOS[A], gid=None)}), "description"),
    "signed by another": (
        lambda: bodies() | {A: make_body(PARTIES[Z], make_header("hello", 0, ROOM, A, BROADCAST), encode(HELLOS[A]))},
        "did not sign",
    ),
    "fewer than the room has places": (lambda: {A: bodies()[A], B: bodies()[B]}, "full room"),
}


@pytest.mark.parametrize(("signed", "reason"), PROVE_NOTHING.values(), ids=PROVE_NOTHING)
def test_hellos_that_prove_nothing(signed: Callable[[], dict[bytes, bytes]], reason: str) -> None:
    assert rid_of(packed(bodies())).rid == COMPLETE.rid
    with pytest.raises(Malformed, match=reason):
        rid_of(packed(signed()))


# --- whose hello counts ---


def test_descriptions() -> None:
    assert described(A, HELLOS[A]) == OLD[A].share.description()
    assert described(D, HELLOS[A]) is None
    assert described(A, unsigned(HELLOS[A])) is None
    assert described(D, HELLOS[D]) is None


@pytest.mark.parametrize("name", ["gid", "old_identities", "old_t", "public_key", "public_shares", "chain_code_hash"])
def test_a_description_is_whole_or_none(name: str) -> None:
    fields = decode(ReshareFields, HELLOS[A].fields)
    assert description_in(fields) == OLD[A].share.description()
    setattr(fields, name, None)
    assert description_in(fields) is None


KNOWN = OLD[A].share.description()
NONE: Description | None = None
JOINER_OF_OTHERS = Hello("reshare", bytes(32), bytes(32), "joining", HELLOS[D].fields, HELLOS[D].extra)
ADMITTED = {
    "an old party, to an old one": (KNOWN, A, HELLOS[A], True),
    "an old party, to a joiner": (NONE, C, HELLOS[C], True),
    "a joiner of the new quorum": (KNOWN, D, HELLOS[D], True),
    "a joiner that nobody asked for": (KNOWN, Z, JOINER_OF_OTHERS, False),
    "an old party without its signature": (KNOWN, A, unsigned(HELLOS[A]), False),
    "an old party without its signature, to a joiner": (NONE, A, unsigned(HELLOS[A]), False),
    "an old party that states no quorum": (NONE, A, altered(HELLOS[A], gid=None), False),
    "fields that are none": (
        KNOWN,
        A,
        Hello("reshare", bytes(32), bytes(32), "existing", b"", HELLOS[A].extra),
        False,
    ),
}


@pytest.mark.parametrize(("known", "sender", "hello", "expected"), ADMITTED.values(), ids=ADMITTED)
def test_admits(known: Description | None, sender: bytes, hello: Hello, expected: bool) -> None:
    assert admits(reshare_config("ABD", 2, "existing", 4), known, sender, hello) is expected


def describing(one: Identity, description: Description) -> Hello:
    """An old party's hello with this quorum, signed by it."""
    extra = ReshareExtra(highest_k=0, receipts=(), description=one.sign("description", encode(description)))
    changed = {"gid": description.gid, "old_identities": description.identities}
    return altered(HELLOS[A], extra=encode(extra), **changed)


def test_who_claims_a_quorum_of_its_own_is_heard_only_if_it_is_asked_for() -> None:
    """A stranger signs any description; of the new quorum's parties a named error must be heard."""
    own = OLD[A].share.description()
    own.identities = tuple(sorted((Z, D, A)))
    config = reshare_config("ABD", 2, "existing", 4)
    assert not admits(config, KNOWN, Z, describing(PARTIES[Z], own))
    assert admits(config, KNOWN, D, describing(PARTIES[D], own))
    assert admits(config, None, Z, describing(PARTIES[Z], own))


def test_a_strangers_word_about_a_quorum_describes_nothing() -> None:
    assert described(Z, describing(PARTIES[Z], OLD[A].share.description())) is None
    assert described(A, describing(PARTIES[A], OLD[A].share.description())) == OLD[A].share.description()


def test_hellos_that_are_not_for_everybody_or_are_ones_own_are_dropped() -> None:
    me, other = PARTIES[A], PARTIES[B]

    def hello(nonce: bytes, ephemeral: bytes) -> Hello:
        return Hello("keygen", nonce, ephemeral, "party", b"", b"")

    def frame(sender: Identity, to: bytes, content: bytes | None = None) -> Frame:
        header = make_header("hello", 0, ROOM, sender.public, to)
        body = make_body(sender, header, encode(hello(bytes(32), bytes(32))) if content is None else content)
        assert open_body(Frame(0, sender.public, to, body), "hello", ROOM) is not None
        return Frame(0, sender.public, to, body)

    step: Any = next(greet(me, hello, ROOM, 2, SystemRng(), lambda sender, heard: bool(heard.role) and sender != Z))
    assert step.accept(frame(other, BROADCAST))
    assert not step.accept(frame(other, A))
    assert not step.accept(frame(me, BROADCAST))
    assert not step.accept(frame(PARTIES[Z], BROADCAST))
    assert not step.accept(frame(other, BROADCAST, b"no hello"))
    forged = frame(other, BROADCAST)
    assert not step.accept(Frame(0, other.public, BROADCAST, flipped(forged.body)))
