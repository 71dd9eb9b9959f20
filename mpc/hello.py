"""The hello round: who takes part, under which parameters, with which fresh keys (cryptography.md, section 2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from nacl.bindings import crypto_scalarmult_base

from mpc.envelope import make_body, make_header, open_body
from mpc.errors import Abort, Malformed, ParameterMismatch
from mpc.findings import decode_all
from mpc.hashing import TH
from mpc.identity import Identity
from mpc.params import VERSION
from mpc.protocol import BROADCAST, Frame, Protocol, Rng, Step
from mpc.secret import Confidential
from mpc.wire import Hello, Message, Participant, decode, encode

HELLO_ROUND = 0

F = TypeVar("F", bound=Message)


def hello_session(room: str, index: int) -> bytes:
    """What stands in the header of a hello, where there is no sid yet: the room and the index in its batch."""
    return TH("hello/room", room.encode(), index.to_bytes(4, "big"))


@dataclass(frozen=True, eq=False)
class Greetings(Confidential):
    """The completed hello round: every participant's hello, the bodies as they were signed, the own ephemeral
    secret.
    """

    me: Identity
    hellos: dict[bytes, Hello]
    bodies: tuple[bytes, ...]
    ephemeral: bytes

    def __repr__(self) -> str:
        return f"Greetings({len(self.hellos)} hellos, <redacted>)"


def greet(
    me: Identity,
    hello: Callable[[bytes, bytes], Hello],
    session: bytes,
    size: int,
    rng: Rng,
    admits: Callable[[bytes, Hello], bool],
) -> Protocol[Greetings]:
    """The hello round: ``size`` participants, each with a fresh nonce and an ephemeral X25519 key.

    ``hello(nonce, ephemeral key)`` makes the own one.  Nonce and key are the only draws that depend on nothing but the
    own fields.  ``admits`` says whose hello counts; others are dropped.  An unequal protocol is a ParameterMismatch.
    """
    unsent = hello(bytes(32), bytes(32))
    rng.absorb(me.public, session, encode(unsent))
    secret = rng.draw("hello/ephemeral", 32)
    own = hello(rng.draw("hello/nonce", 32), crypto_scalarmult_base(secret))
    own_body = make_body(me, make_header("hello", HELLO_ROUND, session, me.public, BROADCAST), encode(own))

    def open_hello(frame: Frame) -> Hello | None:
        if frame.receiver != BROADCAST or frame.sender == me.public:
            return None
        content = open_body(frame, "hello", session)
        try:
            theirs = None if content is None else decode(Hello, content)
        except Malformed:
            return None
        return theirs if theirs is not None and admits(frame.sender, theirs) else None

    step = Step(
        HELLO_ROUND,
        (Frame(HELLO_ROUND, me.public, BROADCAST, own_body),),
        open_hello,
        lambda slots: max(0, size - 1 - len({sender for sender, _ in slots})),
    )
    received = step.payloads((yield step))
    if len(received) != size - 1:
        raise Abort("more hellos than the room has places")
    hellos = {sender: theirs for (sender, _), (_, theirs) in received.items()} | {me.public: own}
    bodies = {sender: frame.body for (sender, _), (frame, _) in received.items()} | {me.public: own_body}
    rng.absorb(bytes((HELLO_ROUND,)), *sorted(bodies.values()))
    if any(theirs.protocol != own.protocol for theirs in hellos.values()):
        raise ParameterMismatch("protocol")
    ordered = sorted(hellos)
    return Greetings(me, {party: hellos[party] for party in ordered}, tuple(bodies[party] for party in ordered), secret)


def merge_fields(hellos: Mapping[bytes, Hello], kind: type[F]) -> F:
    """The union of everybody's fields. ParameterMismatch names the first that two parties state differently."""
    parsed = decode_all({party: hello.fields for party, hello in hellos.items()}, kind)
    union = {}
    for name in kind.__struct_fields__:
        stated = {value for fields in parsed.values() if (value := getattr(fields, name)) is not None}
        if len(stated) > 1:
            raise ParameterMismatch(name)
        union[name] = stated.pop() if stated else None
    return kind(**union)


def session_id(cfg: bytes, hellos: Mapping[bytes, Hello | Participant], coordinates: Mapping[bytes, int]) -> bytes:
    """``sid`` = TH("sid", cfg, [(x, identity, role, nonce, ephemeral key)] sorted)."""
    parts: list[bytes] = []
    for party in sorted(hellos):
        hello = hellos[party]
        parts += [coordinates[party].to_bytes(4, "big"), party, hello.role.encode(), hello.nonce, hello.ephemeral]
    return TH("sid", cfg, *parts)


def config_hash(protocol: str, fields: Message, *more: bytes) -> bytes:
    """``cfg``: protocol, version and all agreed fields. It holds nothing that differs between parties."""
    return TH("cfg", protocol.encode(), bytes((VERSION,)), encode(fields), *more)
