"""What a reshare was, in public: the preimage of its digest, from which a voter who took no part recomputes
everything.

Anybody can bring a preimage, so nothing in it is believed that its parties have not signed: the parameters and the
hellos' keys make the ``sid``, and R1 and R2 are there in their signed envelopes, which bind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from msgspec import Meta

from mpc.attempt import HelloComplete, attempt_sid, dealt_points
from mpc.channel import echo_of
from mpc.dealing import check_openings
from mpc.envelope import open_body
from mpc.errors import Abort, Blame, Malformed
from mpc.findings import Findings
from mpc.group import Group
from mpc.group import Point as GroupPoint
from mpc.hashing import TH
from mpc.outcome import check_feldman
from mpc.params import VERSION
from mpc.protocol import BROADCAST, Frame
from mpc.quorums import deletions_range, description_in
from mpc.schemes import group_of
from mpc.shares import check_quorum
from mpc.sharing import add_commitments, evaluate, ranks
from mpc.wire import (
    MAX_PARTIES,
    MAX_RECEIPT_BYTES,
    Count,
    Description,
    Hello,
    IdentityKey,
    Message,
    Opening,
    Participant,
    Promise,
    ReshareFields,
    ReshareOpening,
    decode,
    encode,
)

M = TypeVar("M", bound=Message)
_Envelopes = Annotated[
    tuple[Annotated[bytes, Meta(max_length=2 * MAX_RECEIPT_BYTES)], ...], Meta(max_length=2 * MAX_PARTIES)
]


class ReshareRecord(Message):
    """The preimage: the attempt's parameters, who took part, and the broadcast envelopes of R1 and R2, all in order of
    identity.
    """

    version: Count
    k: Count
    fields: ReshareFields
    participants: Annotated[tuple[tuple[IdentityKey, Participant], ...], Meta(max_length=2 * MAX_PARTIES)]
    round_1: _Envelopes
    round_2: _Envelopes


@dataclass(frozen=True)
class ReshareStatement:
    """A verified preimage. ``receipts``: each dealer's opaque PROMISED; ``public_shares``: of the new quorum, by x."""

    rid: bytes
    k: int
    d: int
    digest: bytes
    old: Description
    gid_new: bytes
    new_identities: tuple[bytes, ...]
    new_t: int
    dealers: tuple[bytes, ...]
    receipts: dict[bytes, bytes]
    feldman: tuple[GroupPoint, ...]
    public_shares: tuple[GroupPoint, ...]

    @property
    def public_key(self) -> bytes:
        """Unchanged by the reshare."""
        return self.old.public_key

    @property
    def description(self) -> Description:
        """The new quorum, as its parties will describe it to joiners."""
        return Description(
            scheme=self.old.scheme,
            gid=self.gid_new,
            t=self.new_t,
            identities=self.new_identities,
            public_key=self.public_key,
            public_shares=tuple(point.to_bytes() for point in self.public_shares),
            chain_code_hash=self.old.chain_code_hash,
        )


def make_preimage(
    complete: HelloComplete, hellos: Mapping[bytes, Hello], round_1: tuple[bytes, ...], round_2: tuple[bytes, ...]
) -> bytes:
    """The bytes that everybody who took part hashes to the same digest. ``round_1``, ``round_2``: signed envelopes."""
    participants = tuple(
        (party, Participant(role=hello.role, nonce=hello.nonce, ephemeral=hello.ephemeral))
        for party, hello in sorted(hellos.items())
    )
    return encode(
        ReshareRecord(
            version=VERSION,
            k=complete.k,
            fields=complete.fields,
            participants=participants,
            round_1=round_1,
            round_2=round_2,
        )
    )


def verify_preimage(preimage: bytes, known: Description | None = None) -> ReshareStatement:
    """Recomputes all that a digest claims: dealers, proofs, constant terms, exactly t' points, A'_0 = public key, X'_j.

    ``known``: the voter's own knowledge of the old quorum, which must be the preimage's.  Raises Malformed.
    """
    record = decode(ReshareRecord, preimage)
    try:
        return _verify(record, TH("digest/reshare", preimage), known)
    except (ValueError, Blame, Abort) as error:
        raise Malformed(f"reshare statement: {error}") from error


def _verify(record: ReshareRecord, digest: bytes, known: Description | None) -> ReshareStatement:
    fields, old = record.fields, description_in(record.fields)
    if record.version != VERSION or old is None or (known is not None and known != old):
        raise ValueError("version, or not the old quorum that is known here")
    group = group_of(old.scheme)
    new_t, new_identities, d = fields.new_t, fields.new_identities, fields.d
    for t, identities in ((old.t, old.identities), (new_t, new_identities)):
        check_quorum(t, identities)
        if list(identities) != sorted(identities):
            raise ValueError("order of identities")
    n = len(old.identities)
    if d is None or d not in deletions_range(n, old.t) or len(old.public_shares) != n or record.k < 1:
        raise ValueError("d, k or the number of public shares")
    participants = dict(record.participants)
    if [party for party, _ in record.participants] != sorted(participants):
        raise ValueError("order of participants")
    if not set(new_identities) <= set(participants) <= set(new_identities) | set(old.identities):
        raise ValueError("participants of neither quorum, or a new party missing")
    sid = attempt_sid(fields, record.k, participants)
    promises, openings = _broadcasts(record, sid)
    dealers = tuple(party for party, promise in promises.items() if promise.commitment)
    if not set(dealers) <= set(old.identities) or len(dealers) < d - (n - old.t + 1) + old.t:
        raise ValueError("too few dealers of the old quorum")
    expected = dealt_points(group, old.identities, old.public_shares, dealers)
    commitments = {dealer: promises[dealer].commitment for dealer in dealers}
    public_key = group.decode(old.public_key)
    _, feldman = joint_polynomial(group, sid, new_t, expected, public_key, commitments, openings)
    return ReshareStatement(
        rid=TH("rid", sid),
        k=record.k,
        d=d,
        digest=digest,
        old=old,
        gid_new=TH("gid", digest),
        new_identities=new_identities,
        new_t=new_t,
        dealers=dealers,
        receipts={dealer: promises[dealer].receipt for dealer in dealers},
        feldman=feldman,
        public_shares=tuple(evaluate(group, feldman, x) for x in ranks(new_identities).values()),
    )


def _broadcasts(record: ReshareRecord, sid: bytes) -> tuple[dict[bytes, Promise], dict[bytes, Opening]]:
    senders = [party for party, _ in record.participants]
    promises = _opened(record.round_1, 1, sid, senders, Promise)
    published = _opened(record.round_2, 2, sid, senders, ReshareOpening)
    # A participant could sign another R1 when all is over; what the others saw of it stands in their R2.
    echo = echo_of(sid, 1, record.round_1)
    if any(message.echo != echo for message in published.values()):
        raise ValueError("R2 does not echo this R1")
    return promises, dealt_openings(promises, {party: message.opening for party, message in published.items()})


def _opened(
    envelopes: tuple[bytes, ...], number: int, sid: bytes, senders: Sequence[bytes], kind: type[M]
) -> dict[bytes, M]:
    """The broadcasts of one round, one of each sender, in their order."""
    messages = {}
    for sender, body in zip(senders, envelopes, strict=True):
        payload = open_body(Frame(number, sender, BROADCAST, body), "message", sid)
        if payload is None:
            raise ValueError(f"a broadcast of round {number} that its sender did not sign in this attempt")
        messages[sender] = decode(kind, payload)
    return messages


def dealt_openings(
    promises: Mapping[bytes, Promise], published: Mapping[bytes, Opening | None]
) -> dict[bytes, Opening]:
    """The dealers' openings. Blames who committed without opening, opened without committing, or a commitment's
    length.
    """
    findings, openings = Findings(), {}
    for party, promise in promises.items():
        opening = published[party]
        with findings.about(party):
            if len(promise.commitment) != (32 if opening else 0):
                raise Malformed("a commitment without opening, or an opening without commitment")
            if opening:
                openings[party] = opening
    findings.conclude()
    return openings


def joint_polynomial(
    group: Group,
    sid: bytes,
    new_t: int,
    expected: Mapping[bytes, GroupPoint],
    public_key: GroupPoint,
    commitments: Mapping[bytes, bytes],
    openings: Mapping[bytes, Opening],
) -> tuple[dict[bytes, tuple[GroupPoint, ...]], tuple[GroupPoint, ...]]:
    """(each dealer's points, A'). ``expected``: λ_i·X_i by dealer.

    Blames dealers with a wrong opening or a constant term other than expected; Abort if the sum is degenerate or of
    another key.
    """
    points = check_openings(group, sid, new_t, commitments, openings, {})
    findings = Findings()
    for dealer, dealt in points.items():
        with findings.about(dealer):
            if dealt[0] != expected[dealer]:
                raise Malformed("the constant term is not the dealer's share")
    findings.conclude()
    feldman = add_commitments(group, points.values())
    check_feldman(group, feldman)
    if feldman[0] != public_key:
        raise Abort("the dealt shares do not add up to the public key")
    return points, feldman
