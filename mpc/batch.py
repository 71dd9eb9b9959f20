"""Signing a batch: many requests in one session, with one hello, one channel, one exchange a round (cryptography.md,
section 8).

    0   hello: which requests this party was asked for; signed are those that all signers were asked for alike
    n   round n of the scheme's own protocol, for all of these at once: their messages in one bundle for each receiver

Each item is a run of that protocol under a ``sid`` of its own: no nonce, pad, OT or mask is shared with another item.
What is done once is what the driver makes durable, and everything that a party learns of others' checks: a lie in one
item ends the batch. A batch is never resumed and never replayed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mpc.channel import Received, Session
from mpc.errors import Abort, Blame, CheckFailed, Malformed
from mpc.findings import Findings, decode_all
from mpc.frost.signing import FrostRequest, frost_fields, frost_in
from mpc.hashing import TH
from mpc.identity import Identity
from mpc.protocol import Checkpoint, Protocol, Release, Rng
from mpc.schemes import scheme_of
from mpc.secret import Confidential
from mpc.shares import PairState, Share
from mpc.sign import EXTENSION_FAILED, Begin, PairCheck, SignRequest, check_pairs, sign_fields, sign_in
from mpc.signature import Signature
from mpc.signers import check_signer, open_signing, quorum_fields
from mpc.wire import MAX_BATCH, BatchFields, BatchOffers, Bundle, Message, SealedBundle, encode

Request = SignRequest | FrostRequest
Result = Signature | bytes | Abort
NOT_AGREED = "another signer was not asked for this, or refused it"


@dataclass(frozen=True)
class BatchRequest:
    """What to sign, with how many signers, in which room; None stands for a request that this party refused.

    ValueError for an empty or too long batch, and for a request of another room, size or index.
    """

    room: str
    size: int
    items: tuple[Request | None, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.items) <= MAX_BATCH:
            raise ValueError(f"a batch has 1 to {MAX_BATCH} requests")
        for index, item in enumerate(self.items):
            if item and (item.room, item.size, item.index) != (self.room, self.size, index):
                raise ValueError("a request of another batch")


def batch_sign(
    me: Identity, share: Share, pairs: Mapping[bytes, PairState], request: BatchRequest, rng: Rng
) -> Protocol[tuple[Result, ...]]:
    """A signature or an Abort for each request. ``pairs``: empty for a scheme without set-ups.

    Raises what `sign` and `frost_sign` raise for one request: then there is no result for any.
    """
    check_signer(me, share, request.size, rng)
    pairwise = scheme_of(share.scheme).pairwise
    if any(isinstance(item, FrostRequest if pairwise else SignRequest) for item in request.items):
        raise ValueError("a request of another scheme")
    hashes = tuple(b"" if item is None else _hash(share, item) for item in request.items)
    fields = BatchFields(**quorum_fields(share, request.room, request.size), count=len(request.items))
    session = yield from open_signing(me, "batch", fields, rng, extra=encode(BatchOffers(offers=hashes)))
    agreed = _agreed(session, hashes)
    if pairwise:
        check_pairs(session, share, pairs)
    results: dict[int, Result] = {}
    if agreed:
        yield Begin(session.sid)
        items = {
            index: _item(_ItemChannel(session, index, hashes[index]), share, pairs, item, rng)
            for index, item in enumerate(request.items)
            if item and index in agreed
        }
        results = yield from _together(session, items)
    return tuple(results.get(index, Abort(NOT_AGREED)) for index in range(len(hashes)))


def _hash(share: Share, item: Request) -> bytes:
    """Of everything that the signers of a single request must agree on (32 B)."""
    fields = sign_fields(share, item) if isinstance(item, SignRequest) else frost_fields(share, item)
    return TH("batch/request", encode(fields))


def _agreed(session: Session, own: Sequence[bytes]) -> list[int]:
    """The indices at which everybody offers the same. Blames for offers of another number than the agreed one."""
    offers = decode_all(session.extras, BatchOffers)
    findings = Findings()
    for party, theirs in offers.items():
        with findings.about(party):
            if len(theirs.offers) != len(own):
                raise Malformed("offers of another number")
    findings.conclude()
    return [
        index
        for index, offer in enumerate(own)
        if offer and all(theirs.offers[index] == offer for theirs in offers.values())
    ]


def _item(
    channel: _ItemChannel, share: Share, pairs: Mapping[bytes, PairState], item: Request, rng: Rng
) -> Protocol[Signature] | Protocol[bytes]:
    own = _ItemRng(rng, channel.index)
    if isinstance(item, SignRequest):
        return sign_in(channel, share, pairs, item, own)
    return frost_in(channel, share, item, own)


class _ItemRng(Confidential):
    """The session's randomness, under an item's own labels."""

    def __init__(self, rng: Rng, index: int) -> None:
        self._rng, self._index = rng, index

    def draw(self, label: str, size: int) -> bytes:
        return self._rng.draw(f"item/{self._index}/{label}", size)

    def absorb(self, *parts: bytes) -> None:
        raise RuntimeError("an item has no messages of its own")


@dataclass(frozen=True, eq=False)
class _Round(Confidential, Checkpoint):
    """An item's part of a round; the batch sends it with the others' and gives back what came for it."""

    number: int
    broadcast: Message | None
    private: Mapping[bytes, Message]
    broadcasters: Collection[bytes]
    senders: Collection[bytes]


class _ItemChannel(Confidential):
    """An item's part of the session. ``sid`` = TH("batch/item", the batch's sid, index, hash of the request)."""

    def __init__(self, session: Session, index: int, request: bytes) -> None:
        self.index = index
        self.sid = TH("batch/item", session.sid, index.to_bytes(4, "big"), request)
        self.me, self.parties, self.others = session.me, session.parties, session.others
        self._session = session

    @property
    def echo(self) -> bytes:
        """Of the whole bundles."""
        return self._session.echo

    def check_echo(self, own: bytes, echoes: Mapping[bytes, bytes]) -> None:
        self._session.check_echo(own, echoes)

    def exchange(
        self,
        number: int,
        *,
        broadcast: Message | None = None,
        private: Mapping[bytes, Message] | None = None,
        broadcasters: Collection[bytes] = (),
        senders: Collection[bytes] = (),
    ) -> Protocol[Received]:
        received: Received = yield _Round(number, broadcast, private or {}, broadcasters, senders)
        return received


def _together(session: Session, items: Mapping[int, Protocol[Any]]) -> Protocol[dict[int, Result]]:
    """Runs the items in step: all are at the same place of the same protocol."""
    results: dict[int, Result] = {}
    answers: dict[int, Any] = dict.fromkeys(items)
    released = False
    while True:
        asked, aborted = _advance(items, answers, results)
        if aborted and not released:
            raise next(iter(aborted.values()))  # the others wait for whole bundles
        results |= aborted
        if not asked:
            return results
        match next(iter(asked.values())):
            case _Round():
                answers = yield from _exchange(session, asked)
            case PairCheck():
                answers = yield from _check_pair(asked)
            case Release():
                yield Release(session.others, tuple(asked))
                answers, released = dict.fromkeys(asked), True


def _advance(
    items: Mapping[int, Protocol[Any]], answers: Mapping[int, Any], results: dict[int, Result]
) -> tuple[dict[int, Any], dict[int, Abort]]:
    """What each item asks for next, and those that aborted; ``results`` gets those that ended.

    Blames only after every item's checks: the bans if there are any, without saying in which item.
    """
    asked: dict[int, Any] = {}
    aborted: dict[int, Abort] = {}
    blames: list[Blame] = []
    for index, answer in answers.items():
        try:
            asked[index] = items[index].send(answer)
        except StopIteration as done:
            results[index] = done.value
        except Blame as blame:
            blames.append(blame)
        except Abort as abort:
            aborted[index] = abort
    if blames:
        worst = [blame for blame in blames if blame.ban] or blames
        culprits = frozenset[bytes]().union(*(blame.culprits for blame in worst))
        raise Blame(culprits, worst[0].reason, ban=worst[0].ban)
    return asked, aborted


def _exchange(session: Session, asked: Mapping[int, _Round]) -> Protocol[dict[int, Received]]:
    """One round of the session for one of all items."""
    first = next(iter(asked.values()))
    broadcast = None
    if first.broadcast is not None:
        broadcast = Bundle(items=tuple(encode(each.broadcast) for each in asked.values() if each.broadcast))
    private = {
        peer: SealedBundle(items=tuple(encode(each.private[peer]) for each in asked.values())) for peer in first.private
    }
    received = yield from session.exchange(
        first.number, broadcast=broadcast, private=private, broadcasters=first.broadcasters, senders=first.senders
    )
    public, secret = _unbundled(received.broadcasts(Bundle), asked), _unbundled(received.privates(SealedBundle), asked)
    return {index: Received(public[index], received.signed, secret[index], received.frames) for index in asked}


def _unbundled(
    bundles: Mapping[bytes, Bundle] | Mapping[bytes, SealedBundle], asked: Collection[int]
) -> dict[int, dict[bytes, bytes]]:
    """What each item gets, by sender. Blames for a bundle of another number of items."""
    findings = Findings()
    for party, bundle in bundles.items():
        with findings.about(party):
            if len(bundle.items) != len(asked):
                raise Malformed("a bundle of another number of items")
    findings.conclude()
    return {index: {party: bundle.items[at] for party, bundle in bundles.items()} for at, index in enumerate(asked)}


def _check_pair(asked: Mapping[int, PairCheck]) -> Protocol[dict[int, Any]]:
    """The extension checks of all items with one peer in one critical section; the first failure ends it."""
    first = next(iter(asked.values()))
    try:
        made = yield PairCheck(first.peer, first.psid, lambda: [each.verify() for each in asked.values()])
    except CheckFailed as error:
        raise Blame({first.peer}, EXTENSION_FAILED, ban=True) from error
    return dict(zip(asked, made, strict=True))
