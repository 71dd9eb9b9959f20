"""Hellos, session identifiers, sealed channels and signed envelopes (protocols.md, section 2).

Envelope, the ``body`` of a frame: header (99 B) ‖ content ‖ signature (64 B).
Header: version 1 B, kind 1 B (0 hello, 1 message), round 1 B, session 32 B, sender 32 B, receiver 32 B (zeros =
everybody). The content of a private message is nonce (12 B) ‖ ChaCha20-Poly1305 ciphertext, with the header as
associated data.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base

from mpc.errors import Abort, Blame, Malformed, ParameterMismatch
from mpc.hashing import TH
from mpc.identity import PUBLIC_BYTES, SIGNATURE_BYTES, Identity, verify
from mpc.params import VERSION
from mpc.protocol import BROADCAST, Frame, Protocol, Rng, Slot, Step
from mpc.wire import Hello, Message, decode, encode

HEADER_BYTES = 99
NONCE_BYTES = 12
HELLO_ROUND = 0

_EVERYBODY = bytes(PUBLIC_BYTES)
_TAGS = ("hello", "message")

M = TypeVar("M", bound=Message)
F = TypeVar("F", bound=Message)


def make_header(kind: str, number: int, session: bytes, sender: bytes, receiver: bytes) -> bytes:
    """The 99 bytes that bind a message to its place."""
    return bytes((VERSION, _TAGS.index(kind), number)) + session + sender + (receiver or _EVERYBODY)


def make_body(me: Identity, header: bytes, content: bytes) -> bytes:
    """A signed envelope."""
    return header + content + me.sign(_TAGS[header[1]], header, content)


def open_body(frame: Frame, kind: str, session: bytes) -> bytes | None:
    """The content of an authentic envelope whose header says what the frame says, else None."""
    if len(frame.body) < HEADER_BYTES + SIGNATURE_BYTES or len(frame.sender) != PUBLIC_BYTES:
        return None
    if not 0 <= frame.round < 256:
        return None
    header, content = frame.body[:HEADER_BYTES], frame.body[HEADER_BYTES:-SIGNATURE_BYTES]
    if header != make_header(kind, frame.round, session, frame.sender, frame.receiver):
        return None
    return content if verify(frame.sender, kind, (header, content), frame.body[-SIGNATURE_BYTES:]) else None


def frame_of(body: bytes) -> Frame | None:
    """The frame that an envelope claims to be; its signature is not looked at."""
    if len(body) < HEADER_BYTES + SIGNATURE_BYTES:
        return None
    sender, receiver = body[35:67], body[67:99]
    return Frame(body[2], sender, BROADCAST if receiver == _EVERYBODY else receiver, body)


def conflict(first: Frame, second: Frame) -> bool:
    """True if one party signed two different messages for one slot of one session: evidence, keep both."""
    header = first.body[:HEADER_BYTES]
    if first.body == second.body or second.body[:HEADER_BYTES] != header or len(header) < HEADER_BYTES or header[1] > 1:
        return False
    return all(open_body(frame, _TAGS[header[1]], header[3:35]) is not None for frame in (first, second))


def hello_session(room: str, index: int) -> bytes:
    """What stands in the header of a hello, where there is no sid yet: the room and the index in its batch."""
    return TH("hello/room", room.encode(), index.to_bytes(4, "big"))


@dataclass(frozen=True)
class Greetings:
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
        lambda slots: len({sender for sender, _ in slots}) >= size - 1,
    )
    received = step.payloads((yield step))
    if len(received) != size - 1:
        raise Abort("more hellos than the room has places")
    hellos = {sender: theirs for (sender, _), (_, theirs) in received.items()} | {me.public: own}
    bodies = {sender: frame.body for (sender, _), (frame, _) in received.items()} | {me.public: own_body}
    _absorb(rng, HELLO_ROUND, bodies.values())
    if any(theirs.protocol != own.protocol for theirs in hellos.values()):
        raise ParameterMismatch("protocol")
    ordered = sorted(hellos)
    return Greetings(me, {party: hellos[party] for party in ordered}, tuple(bodies[party] for party in ordered), secret)


def merge_fields(hellos: Mapping[bytes, Hello], kind: type[F]) -> F:
    """The union of everybody's fields. ParameterMismatch names the first that two parties state differently."""
    parsed = _decode_all({party: hello.fields for party, hello in hellos.items()}, kind)
    union = {}
    for name in kind.__struct_fields__:
        stated = {value for fields in parsed.values() if (value := getattr(fields, name)) is not None}
        if len(stated) > 1:
            raise ParameterMismatch(name)
        union[name] = stated.pop() if stated else None
    return kind(**union)


def session_id(cfg: bytes, hellos: Mapping[bytes, Hello], coordinates: Mapping[bytes, int]) -> bytes:
    """``sid`` = TH("sid", cfg, [(x, identity, role, nonce, ephemeral key)] sorted)."""
    parts: list[bytes] = []
    for party in sorted(hellos):
        hello = hellos[party]
        parts += [coordinates[party].to_bytes(4, "big"), party, hello.role.encode(), hello.nonce, hello.ephemeral]
    return TH("sid", cfg, *parts)


def config_hash(protocol: str, fields: Message, *more: bytes) -> bytes:
    """``cfg``: protocol, version and all agreed fields. It holds nothing that differs between parties."""
    return TH("cfg", protocol.encode(), bytes((VERSION,)), encode(fields), *more)


@dataclass(frozen=True)
class Received:
    """A completed round, the own broadcast included, in order of sender."""

    broadcast: dict[bytes, bytes]
    private: dict[bytes, bytes]
    frames: dict[Slot, Frame]

    def __repr__(self) -> str:
        return f"Received({len(self.broadcast)} broadcast, {len(self.private)} private, <redacted>)"

    def broadcasts(self, kind: type[M]) -> dict[bytes, M]:
        """The broadcasts as messages. Blames everybody whose does not parse: its signature is theirs."""
        return _decode_all(self.broadcast, kind)

    def privates(self, kind: type[M]) -> dict[bytes, M]:
        """The private messages to this party, likewise."""
        return _decode_all(self.private, kind)


class Session:
    """The sealed, signed channels of one session after its hello round. Holds keys: never stored, never printed."""

    def __init__(self, greetings: Greetings, sid: bytes, coordinates: Mapping[bytes, int], rng: Rng) -> None:
        self.me = greetings.me
        self.sid = sid
        self.parties = tuple(greetings.hellos)
        self.echo = sid
        self._rng = rng
        self._keys = dict(_direction_keys(greetings, sid, coordinates))

    def __repr__(self) -> str:
        return f"Session({self.sid.hex()[:16]}…, <redacted>)"

    @property
    def others(self) -> tuple[bytes, ...]:
        """Everybody else, in order of identity."""
        return tuple(party for party in self.parties if party != self.me.public)

    def receive_key(self, sender: bytes) -> bytes:
        """The key of the direction from ``sender`` to here. A complaint reveals this one and nothing else."""
        return self._keys[sender, self.me.public]

    def check_echo(self, own: bytes, echoes: Mapping[bytes, bytes]) -> None:
        """Abort without blame if anybody saw other broadcasts than this party, whose echo of that round is ``own``."""
        equal = [hmac.compare_digest(echo, own) for echo in echoes.values()]
        if not all(equal):
            raise Abort("parties saw different broadcasts")

    def exchange(
        self,
        number: int,
        *,
        broadcast: Message | None = None,
        private: Mapping[bytes, Message] | None = None,
        broadcasters: Collection[bytes] = (),
        senders: Collection[bytes] = (),
    ) -> Protocol[Received]:
        """One round: send, wait for ``broadcasters`` and the private messages of ``senders``.

        A broadcast round replaces ``echo`` by the hash of all its envelopes, the own one included.
        """
        mine = [] if broadcast is None else [self._broadcast_frame(number, encode(broadcast))]
        sealed = [self._private_frame(number, peer, encode(message)) for peer, message in (private or {}).items()]
        expected = {(peer, BROADCAST) for peer in broadcasters if peer != self.me.public}
        expected |= {(peer, self.me.public) for peer in senders if peer != self.me.public}
        step = Step(
            number,
            (*mine, *sealed),
            lambda frame: self._open(frame) if frame.slot in expected else None,
            lambda slots: slots >= expected,
        )
        payloads = step.payloads((yield step)) if expected or step.frames else {}
        return self._finish_round(number, mine, broadcast, payloads)

    def _finish_round(
        self, number: int, mine: list[Frame], broadcast: Message | None, payloads: dict[Slot, tuple[Frame, bytes]]
    ) -> Received:
        frames = {slot: frame for slot, (frame, _) in payloads.items()}
        _absorb(self._rng, number, (frame.body for frame in frames.values()))
        contents = {sender: content for (sender, to), (_, content) in payloads.items() if to == BROADCAST}
        if broadcast is not None:
            contents[self.me.public] = encode(broadcast)
        everyone = {frame.sender: frame.body for frame in (*frames.values(), *mine) if frame.receiver == BROADCAST}
        if everyone:
            self.echo = TH("echo", self.sid, bytes((number,)), *(everyone[party] for party in sorted(everyone)))
        return Received(
            {party: contents[party] for party in sorted(contents)},
            {sender: content for (sender, to), (_, content) in payloads.items() if to != BROADCAST},
            frames,
        )

    def _broadcast_frame(self, number: int, payload: bytes) -> Frame:
        header = make_header("message", number, self.sid, self.me.public, BROADCAST)
        return Frame(number, self.me.public, BROADCAST, make_body(self.me, header, payload))

    def _private_frame(self, number: int, receiver: bytes, payload: bytes) -> Frame:
        header = make_header("message", number, self.sid, self.me.public, receiver)
        content = seal_payload(self._keys[self.me.public, receiver], header, payload)
        return Frame(number, self.me.public, receiver, make_body(self.me, header, content))

    def _open(self, frame: Frame) -> bytes | None:
        content = open_body(frame, "message", self.sid)
        if content is None or frame.receiver == BROADCAST:
            return content
        return open_payload(self._keys[frame.sender, self.me.public], frame.body[:HEADER_BYTES], content)


def seal_payload(key: bytes, header: bytes, payload: bytes) -> bytes:
    """nonce (12 B) ‖ ciphertext (payload + 16 B). Equal bytes seal equally, different ones under different nonces."""
    nonce = _payload_nonce(key, header, payload)
    return nonce + ChaCha20Poly1305(key).encrypt(nonce, payload, header)


def open_payload(key: bytes, header: bytes, content: bytes) -> bytes | None:
    """The payload, or None if tag or nonce are not those of ``seal_payload`` (so one content has one key)."""
    if len(key) != 32 or len(content) < NONCE_BYTES + 16:
        return None
    nonce = content[:NONCE_BYTES]
    try:
        payload = ChaCha20Poly1305(key).decrypt(nonce, content[NONCE_BYTES:], header)
    except InvalidTag:
        return None
    return payload if hmac.compare_digest(nonce, _payload_nonce(key, header, payload)) else None


def _payload_nonce(key: bytes, header: bytes, payload: bytes) -> bytes:
    return TH("nonce", key, header, payload)[:NONCE_BYTES]


def _direction_keys(
    greetings: Greetings, sid: bytes, coordinates: Mapping[bytes, int]
) -> Iterator[tuple[tuple[bytes, bytes], bytes]]:
    """K_{i→j} = HKDF(X25519(e_i, E_j), salt sid, info ("chan", x_i, x_j, E_i, E_j)), both directions of every peer."""
    me = greetings.me.public
    for peer, hello in greetings.hellos.items():
        if peer == me:
            continue
        try:
            shared = crypto_scalarmult(greetings.ephemeral, hello.ephemeral)
        except RuntimeError as error:
            raise Blame({peer}, "an ephemeral key of small order") from error
        for sender, receiver in ((me, peer), (peer, me)):
            ends = [coordinates[party].to_bytes(4, "big") for party in (sender, receiver)]
            keys = [greetings.hellos[party].ephemeral for party in (sender, receiver)]
            info = b"".join((b"chan", *ends, *keys))
            yield (sender, receiver), HKDF(SHA256(), 32, sid, info).derive(shared)


def _decode_all(payloads: Mapping[bytes, bytes], kind: type[M]) -> dict[bytes, M]:
    messages: dict[bytes, M] = {}
    malformed: set[bytes] = set()
    for sender, payload in payloads.items():
        try:
            messages[sender] = decode(kind, payload)
        except Malformed:
            malformed.add(sender)
    if malformed:
        raise Blame(malformed, f"a malformed {kind.__name__}")
    return messages


def _absorb(rng: Rng, number: int, bodies: Collection[bytes] | Iterator[bytes]) -> None:
    rng.absorb(bytes((number,)), *sorted(bodies))


def pack_bodies(bodies: tuple[bytes, ...]) -> bytes:
    """Several envelopes as one byte string, for example the signed hellos."""
    return msgspec.msgpack.encode(bodies)


def unpack_bodies(data: bytes) -> tuple[bytes, ...]:
    """The inverse. Raises Malformed."""
    try:
        return msgspec.msgpack.decode(data, type=tuple[bytes, ...])
    except msgspec.MsgspecError as error:
        raise Malformed("not a list of envelopes") from error
