"""What a reshare was, in public: the preimage of its digest, from which a voter who took no part recomputes
everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from mpc.attempt import HelloComplete, dealt_points
from mpc.dealing import check_openings
from mpc.errors import Abort, Blame, Malformed
from mpc.findings import Findings
from mpc.group import Group
from mpc.group import Point as GroupPoint
from mpc.hashing import TH
from mpc.outcome import check_feldman
from mpc.params import VERSION
from mpc.quorums import deletions_range
from mpc.shares import check_quorum, group_of
from mpc.sharing import add_commitments, evaluate, ranks
from mpc.wire import (
    MAX_PARTIES,
    MAX_RECEIPT_BYTES,
    Count,
    Description,
    Hash,
    Identities,
    IdentityKey,
    Message,
    Opening,
    Promise,
    ReshareOpening,
    decode,
    encode,
)

_Payload = Annotated[bytes, Meta(max_length=2 * MAX_RECEIPT_BYTES)]
_Payloads = Annotated[tuple[tuple[IdentityKey, _Payload], ...], Meta(max_length=2 * MAX_PARTIES)]


class ReshareRecord(Message):
    """The preimage: the attempt, both quorums, and the broadcast payloads of R1 and R2 in order of sender."""

    version: Count
    sid: Hash
    k: Count
    d: Count
    old: Description
    new_identities: Identities
    new_t: Count
    round_1: _Payloads
    round_2: _Payloads


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
        """33 B, unchanged by the reshare."""
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


def make_preimage(complete: HelloComplete, round_1: Mapping[bytes, bytes], round_2: Mapping[bytes, bytes]) -> bytes:
    """The bytes that everybody who took part hashes to the same digest."""
    return encode(
        ReshareRecord(
            version=VERSION,
            sid=complete.sid,
            k=complete.k,
            d=complete.d,
            old=complete.old,
            new_identities=complete.new_identities,
            new_t=complete.new_t,
            round_1=tuple(sorted(round_1.items())),
            round_2=tuple(sorted(round_2.items())),
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
    old = record.old
    if record.version != VERSION or (known is not None and known != old):
        raise ValueError("version, or not the old quorum that is known here")
    group = group_of(old.scheme)
    for t, identities in ((old.t, old.identities), (record.new_t, record.new_identities)):
        check_quorum(t, identities)
        if list(identities) != sorted(identities):
            raise ValueError("order of identities")
    n = len(old.identities)
    if record.d not in deletions_range(n, old.t) or len(old.public_shares) != n or record.k < 1:
        raise ValueError("d, k or the number of public shares")
    promises, openings = _payloads(record)
    dealers = tuple(party for party, promise in promises.items() if promise.commitment)
    if not set(dealers) <= set(old.identities) or len(dealers) < record.d - (n - old.t + 1) + old.t:
        raise ValueError("too few dealers of the old quorum")
    expected = dealt_points(group, old.identities, old.public_shares, dealers)
    commitments = {dealer: promises[dealer].commitment for dealer in dealers}
    public_key = group.decode(old.public_key)
    _, feldman = joint_polynomial(group, record.sid, record.new_t, expected, public_key, commitments, openings)
    return ReshareStatement(
        rid=TH("rid", record.sid),
        k=record.k,
        d=record.d,
        digest=digest,
        old=old,
        gid_new=TH("gid", digest),
        new_identities=record.new_identities,
        new_t=record.new_t,
        dealers=dealers,
        receipts={dealer: promises[dealer].receipt for dealer in dealers},
        feldman=feldman,
        public_shares=tuple(evaluate(group, feldman, x) for x in ranks(record.new_identities).values()),
    )


def _payloads(record: ReshareRecord) -> tuple[dict[bytes, Promise], dict[bytes, Opening]]:
    promises = {party: decode(Promise, payload) for party, payload in record.round_1}
    published = {party: decode(ReshareOpening, payload).opening for party, payload in record.round_2}
    senders = [party for party, _ in record.round_1]
    if senders != sorted(set(senders)) or senders != [party for party, _ in record.round_2]:
        raise ValueError("order of senders")
    if not set(record.new_identities) <= set(senders) <= set(record.new_identities) | set(record.old.identities):
        raise ValueError("senders of neither quorum, or a new party missing")
    return promises, dealt_openings(promises, published)


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
