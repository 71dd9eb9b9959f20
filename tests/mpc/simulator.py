"""An in-memory network that runs the parties of one session together, honest or not.

A malicious party is an honest generator whose outgoing messages are changed before they are sealed and signed
(``Lie``); a bad network is a function that says what each receiver gets of each frame (``deliver``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from unittest.mock import patch

from mpc.attempt import HelloComplete
from mpc.batch import BatchRequest, Request, batch_sign
from mpc.channel import Session
from mpc.errors import Blame, ProtocolError
from mpc.export import ExportRequest, export
from mpc.frost.signing import FrostRequest, frost_sign
from mpc.hashing import TH
from mpc.identity import Identity
from mpc.importing import Imported, import_key
from mpc.keygen import KeygenConfig, KeygenResult, keygen
from mpc.protocol import BROADCAST, Checkpoint, Frame, Protocol, Rng, Step, SystemRng
from mpc.quorums import ReshareConfig
from mpc.reshare import ReshareResult, reshare
from mpc.secret import Secret
from mpc.shares import Share
from mpc.sign import PairCheck, SignRequest, sign
from mpc.wire import Message, decode, encode

Deliver = Callable[[Frame, bytes], list[Frame]]
OnCheckpoint = Callable[[bytes, Checkpoint], Any]


def identity(name: str) -> Identity:
    """The identity of a test party."""
    return Identity(TH("test/identity", name.encode()))


def identities(names: str) -> list[Identity]:
    """One for each letter, in order of their public halves: in a quorum of these, x = position + 1."""
    return sorted((identity(name) for name in names), key=lambda one: one.public)


class Stalled(Exception):
    """A party waits for a message that nobody will send."""

    def __init__(self, round: int) -> None:
        super().__init__(f"waits in round {round}")
        self.round = round


def faithfully(frame: Frame, receiver: bytes) -> list[Frame]:
    return [frame]


def approve(party: bytes, checkpoint: Checkpoint) -> Any:
    """A driver that has nothing against anything."""
    if isinstance(checkpoint, PairCheck):
        return checkpoint.verify()
    return b"" if isinstance(checkpoint, HelloComplete) else None


@dataclass
class Network:
    """Runs the protocols to their end. ``sent`` are all frames in order, ``checkpoints`` all checkpoints by party."""

    deliver: Deliver = faithfully
    on_checkpoint: OnCheckpoint = approve
    sent: list[Frame] = field(default_factory=list)
    checkpoints: dict[bytes, list[Checkpoint]] = field(default_factory=dict)

    def run(self, protocols: Mapping[bytes, Protocol[Any]]) -> dict[bytes, Any]:
        """Each party's result, or the ProtocolError or Stalled that ended it."""
        outcomes: dict[bytes, Any] = {}
        waiting = {party: self._advance(party, protocol, None, outcomes) for party, protocol in protocols.items()}
        moved = True
        while moved:
            moved = False
            for party, protocol in protocols.items():
                step = waiting[party]
                if step is None:
                    continue
                frames = self._inbox(party, step)
                if step.complete(frames):
                    waiting[party] = self._advance(party, protocol, frames, outcomes)
                    moved = True
        outcomes.update({party: Stalled(step.round) for party, step in waiting.items() if step is not None})
        return outcomes

    def _inbox(self, party: bytes, step: Step) -> list[Frame]:
        frames = (frame for frame in self.sent if frame.sender != party and frame.receiver in (BROADCAST, party))
        delivered = (copy for frame in frames for copy in self.deliver(frame, party))
        return [frame for frame in delivered if step.accept(frame)]

    def _advance(self, party: bytes, protocol: Protocol[Any], answer: Any, outcomes: dict[bytes, Any]) -> Step | None:
        try:
            item = protocol.send(answer)
            while isinstance(item, Checkpoint):
                self.checkpoints.setdefault(party, []).append(item)
                try:
                    answer = self.on_checkpoint(party, item)
                except ProtocolError as error:
                    item = protocol.throw(error)
                else:
                    item = protocol.send(answer)
        except StopIteration as stop:
            outcomes[party] = stop.value
            return None
        except ProtocolError as error:
            outcomes[party] = error
            return None
        self.sent += item.frames
        return item


@dataclass(frozen=True)
class Lie:
    """``culprit`` changes the payload of what it sends in ``round`` (to ``receiver``, or as a broadcast)."""

    culprit: bytes
    round: int
    change: Callable[[bytes], bytes]
    private: bool = True
    receiver: bytes | None = None

    @contextmanager
    def told(self) -> Iterator[None]:
        """Makes the culprit's sessions lie."""
        broadcast_frame, private_frame = Session._broadcast_frame, Session._private_frame

        def broadcast(session: Session, number: int, payload: bytes) -> Frame:
            lies = not self.private and session.me.public == self.culprit and number == self.round
            return broadcast_frame(session, number, self.change(payload) if lies else payload)

        def private(session: Session, number: int, receiver: bytes, payload: bytes) -> Frame:
            lies = self.private and session.me.public == self.culprit and number == self.round
            lies = lies and self.receiver in (None, receiver)
            return private_frame(session, number, receiver, self.change(payload) if lies else payload)

        with patch.object(Session, "_broadcast_frame", broadcast), patch.object(Session, "_private_frame", private):
            yield


def edit(kind: type[Message], change: Callable[[Any], None]) -> Callable[[bytes], bytes]:
    """The change of a payload that changes the message in it, without asking whether it is still valid."""

    def edited(payload: bytes) -> bytes:
        message = decode(kind, payload)
        change(message)
        return encode(message)

    return edited


def flipped(data: bytes, at: int = -1) -> bytes:
    """The same bytes with one bit the other way."""
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def change(*path: str, to: Any = flipped) -> Callable[[Any], None]:
    """Sets the field at the path: to a value, or to a function of what it was."""

    def apply(message: Any) -> None:
        for name in path[:-1]:
            message = getattr(message, name)
        setattr(message, path[-1], to(getattr(message, path[-1])) if callable(to) else to)

    return apply


@contextmanager
def telling(*lies: Lie) -> Iterator[None]:
    """Several lies at once."""
    with ExitStack() as stack:
        for lie in lies:
            stack.enter_context(lie.told())
        yield


def run_keygen(
    parties: list[Identity],
    t: int,
    network: Network | None = None,
    rngs: Mapping[bytes, Rng] | None = None,
    scheme: str = "ecdsa",
) -> dict[bytes, Any]:
    config = KeygenConfig(room="keygen", scheme=scheme, t=t, identities=tuple(one.public for one in parties))
    rngs = rngs or {}
    return (network or Network()).run(
        {one.public: keygen(one, config, rngs.get(one.public, SystemRng())) for one in parties}
    )


@cache
def key(names: str, t: int, scheme: str = "ecdsa") -> dict[bytes, KeygenResult]:
    """A key of these parties, made once for all tests. Results are never changed by a protocol."""
    outcomes = run_keygen(identities(names), t, scheme=scheme)
    assert all(isinstance(outcome, KeygenResult) for outcome in outcomes.values()), outcomes
    return outcomes


def run_sign(
    results: Mapping[bytes, Any],
    signers: list[Identity],
    request: SignRequest,
    network: Network | None = None,
) -> dict[bytes, Any]:
    """``results``: what keygen or reshare returned, by party."""
    return (network or Network()).run(
        {
            one.public: sign(one, results[one.public].share, results[one.public].pairs, request, SystemRng())
            for one in signers
        }
    )


def run_frost(
    results: Mapping[bytes, Any],
    signers: list[Identity],
    request: FrostRequest,
    network: Network | None = None,
    others: Mapping[bytes, FrostRequest] | None = None,
) -> dict[bytes, Any]:
    """Like ``run_sign`` for Ed25519 and BIP340; ``others``: what single signers are asked for instead."""
    return (network or Network()).run(
        {
            one.public: frost_sign(one, results[one.public].share, (others or {}).get(one.public, request), SystemRng())
            for one in signers
        }
    )


def export_parties(
    results: Mapping[bytes, Any], names: str, recipient: bytes, rng: Rng | None = None, **special: ExportRequest
) -> dict[bytes, Protocol[Secret | None]]:
    """The parties ``names`` export the key; ``special``: what single ones are asked for instead."""
    usual = ExportRequest(room="export", size=len(names), recipient=recipient)
    parties = ((name, identity(name)) for name in names)
    return {
        me.public: export(me, results[me.public].share, special.get(name, usual), rng or SystemRng())
        for name, me in parties
    }


def import_parties(
    importer: str,
    names: str,
    t: int,
    key: bytes,
    scheme: str = "ecdsa",
    rngs: Mapping[bytes, Rng] | None = None,
    **special: Any,
) -> dict[bytes, Protocol[KeygenResult]]:
    """``importer`` deals the scalar ``key`` (as its group encodes it) to the parties ``names``; ``special``: what
    recipients expect.
    """
    members = identities(names)
    config = KeygenConfig(room="import", scheme=scheme, t=t, identities=tuple(one.public for one in members))
    dealt = Imported(Secret(key), Secret(TH("test/chain-code")))
    return {
        me.public: import_key(
            me,
            config,
            (rngs or {}).get(me.public, SystemRng()),
            **({"dealt": dealt} if me.public == identity(importer).public else special),
        )
        for me in members
    }


def batch_item(scheme: str, index: int, signed: bytes, size: int = 2, **more: Any) -> Request:
    """A request of a batch: ``signed`` is the digest, or the message of the other schemes."""
    common = {"room": "batch", "size": size, "index": index, **more}
    if scheme == "ecdsa":
        return SignRequest(digest=signed, **common)
    return FrostRequest(message=signed, **common)


def batch_of(*items: Request | None, size: int = 2) -> BatchRequest:
    """All in one room."""
    return BatchRequest(room="batch", size=size, items=items)


def run_batch(
    results: Mapping[bytes, Any],
    signers: list[Identity],
    request: BatchRequest,
    network: Network | None = None,
    others: Mapping[bytes, BatchRequest] | None = None,
) -> dict[bytes, Any]:
    """Like ``run_sign`` for a batch of any scheme; ``others``: what single signers are asked for instead."""
    return (network or Network()).run(
        {
            one.public: batch_sign(
                one,
                results[one.public].share,
                results[one.public].pairs,
                (others or {}).get(one.public, request),
                SystemRng(),
            )
            for one in signers
        }
    )


def reshare_config(new: str, new_t: int, role: Any, size: int, **more: Any) -> ReshareConfig:
    """What the party with that role was asked for; who may deal does, unless told otherwise."""
    more.setdefault("deals", role != "joining")
    return ReshareConfig(
        room="reshare",
        size=size,
        scheme=more.pop("scheme", "ecdsa"),
        new_identities=tuple(one.public for one in identities(new)),
        new_t=new_t,
        store_by=120,
        vote_by=604_800,
        role=role,
        **more,
    )


def reshare_parties(
    old: Mapping[bytes, Any],
    names: str,
    new: str,
    new_t: int,
    rngs: Mapping[bytes, Rng] | None = None,
    special: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[bytes, Protocol[ReshareResult]]:
    """The participants ``names`` of a reshare of the key ``old``; ``special``: what single ones are asked for."""
    protocols, scheme = {}, next(one.share.scheme for one in old.values() if one.share)
    for name in names:
        me = identity(name)
        share = old[me.public].share if me.public in old else None
        role = ("existing" if share else "joining") if name in new else "departing"
        config = reshare_config(
            new, new_t, role, **{"size": len(names), "scheme": scheme, **(special or {}).get(name, {})}
        )
        protocols[me.public] = reshare(me, config, share, (rngs or {}).get(me.public, SystemRng()))
    return protocols


def forged_share(share: Share, **changes: Any) -> Share:
    """A share that no honest party could make: its check is left out."""
    with patch.object(Share, "__post_init__", lambda self: None):
        return dataclasses.replace(share, **changes)


def blames(outcome: Any) -> tuple[set[bytes], bool]:
    """(culprits, ban) of an outcome that must be a Blame."""
    assert isinstance(outcome, Blame), repr(outcome)
    return set(outcome.culprits), outcome.ban
