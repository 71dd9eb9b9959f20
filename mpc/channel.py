"""The channels of one session: per-direction keys, rounds of signed messages, the echo (cryptography.md, section 2)."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol as Interface
from typing import TypeVar

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nacl.bindings import crypto_scalarmult

from mpc.envelope import HEADER_BYTES, make_body, make_header, open_body, open_payload, seal_payload
from mpc.errors import Abort, Blame
from mpc.findings import decode_all
from mpc.hashing import TH
from mpc.hello import Greetings, config_hash, greet, hello_session, merge_fields, session_id
from mpc.identity import Identity
from mpc.protocol import BROADCAST, Frame, Protocol, Rng, Slot, Step
from mpc.secret import Confidential
from mpc.wire import Hello, Message, encode

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, eq=False)
class Received(Confidential):
    """A completed round, the own broadcast included, in order of sender. ``signed``: the broadcasts' envelopes."""

    broadcast: dict[bytes, bytes]
    signed: tuple[bytes, ...]
    private: dict[bytes, bytes]
    frames: dict[Slot, Frame]

    def __repr__(self) -> str:
        return f"Received({len(self.broadcast)} broadcast, {len(self.private)} private, <redacted>)"

    def broadcasts(self, kind: type[M]) -> dict[bytes, M]:
        """The broadcasts as messages. Blames everybody whose does not parse: its signature is theirs."""
        return decode_all(self.broadcast, kind)

    def privates(self, kind: type[M]) -> dict[bytes, M]:
        """The private messages to this party, likewise."""
        return decode_all(self.private, kind)


def echo_of(sid: bytes, number: int, signed: Iterable[bytes]) -> bytes:
    """What everybody says that it saw of a round (32 B): the hash of all broadcast envelopes, in order of sender."""
    return TH("echo", sid, bytes((number,)), *signed)


class Channel(Interface):
    """What a protocol speaks through after the hello: a whole session, or the part of one item of a batch."""

    @property
    def me(self) -> Identity: ...
    @property
    def sid(self) -> bytes: ...
    @property
    def parties(self) -> tuple[bytes, ...]: ...
    @property
    def others(self) -> tuple[bytes, ...]: ...
    @property
    def echo(self) -> bytes: ...

    def check_echo(self, own: bytes, echoes: Mapping[bytes, bytes]) -> None: ...

    def exchange(
        self,
        number: int,
        *,
        broadcast: Message | None = None,
        private: Mapping[bytes, Message] | None = None,
        broadcasters: Collection[bytes] = (),
        senders: Collection[bytes] = (),
    ) -> Protocol[Received]: ...


class Session(Confidential):
    """The sealed, signed channels of one session after its hello round. Holds keys: never stored, never printed.

    ``extras``: the part of everybody's hello in which parties may differ.
    """

    def __init__(self, greetings: Greetings, sid: bytes, coordinates: Mapping[bytes, int], rng: Rng) -> None:
        self.me = greetings.me
        self.sid = sid
        self.parties = tuple(greetings.hellos)
        self.roles = {party: hello.role for party, hello in greetings.hellos.items()}
        self.extras = {party: hello.extra for party, hello in greetings.hellos.items()}
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
            lambda slots: len(expected - slots),
        )
        payloads = step.payloads((yield step)) if expected or step.frames else {}
        return self._finish_round(number, mine, broadcast, payloads)

    def _finish_round(
        self, number: int, mine: list[Frame], broadcast: Message | None, payloads: dict[Slot, tuple[Frame, bytes]]
    ) -> Received:
        frames = {slot: frame for slot, (frame, _) in payloads.items()}
        self._rng.absorb(bytes((number,)), *sorted(frame.body for frame in frames.values()))
        contents = {sender: content for (sender, to), (_, content) in payloads.items() if to == BROADCAST}
        if broadcast is not None:
            contents[self.me.public] = encode(broadcast)
        everyone = {frame.sender: frame.body for frame in (*frames.values(), *mine) if frame.receiver == BROADCAST}
        signed = tuple(everyone[party] for party in sorted(everyone))
        if signed:
            self.echo = echo_of(self.sid, number, signed)
        return Received(
            {party: contents[party] for party in sorted(contents)},
            signed,
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


def open_session(
    me: Identity,
    protocol: str,
    role: str,
    fields: Message,
    *,
    room: str,
    size: int,
    coordinates: Mapping[bytes, int],
    rng: Rng,
    index: int = 0,
    extra: bytes = b"",
) -> Protocol[Session]:
    """The hello round among parties that were all asked for the same: ``fields`` are equal everywhere, or a
    ParameterMismatch names the first that is not. Hellos of parties without a coordinate are dropped.

    ``extra``: what may differ; where a protocol has any, the ``sid`` binds everybody's.
    """
    stated = encode(fields)

    def hello(nonce: bytes, ephemeral: bytes) -> Hello:
        return Hello(protocol=protocol, nonce=nonce, ephemeral=ephemeral, role=role, fields=stated, extra=extra)

    place = hello_session(room, index)
    greetings = yield from greet(me, hello, place, size, rng, lambda sender, _: sender in coordinates)
    agreed = merge_fields(greetings.hellos, type(fields))
    extras = [theirs.extra for theirs in greetings.hellos.values()] if extra else []
    sid = session_id(config_hash(protocol, agreed, *extras), greetings.hellos, coordinates)
    return Session(greetings, sid, coordinates, rng)
