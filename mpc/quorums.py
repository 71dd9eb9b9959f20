"""What a reshare is about: what one party was asked for, and what the completed hello round makes of it.

Words (lifecycle.md): O, n, t the old quorum; N, n', t' the new; d = deletions required; f = d − (n − t + 1) lying old
parties are borne; p = t + f old parties must deal; k orders the attempts of one ``gid``; ``rid`` names this attempt.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from mpc.channel import (
    config_hash,
    frame_of,
    hello_session,
    merge_fields,
    open_body,
    pack_bodies,
    session_id,
    unpack_bodies,
)
from mpc.errors import Abort, Malformed, ParameterMismatch
from mpc.group import Group, Point
from mpc.hashing import TH
from mpc.identity import Identity, verify
from mpc.protocol import Checkpoint
from mpc.shares import Share, check_quorum, group_of
from mpc.sharing import interpolate, lagrange, ranks
from mpc.wire import MAX_RECEIPT_BYTES, MAX_RECEIPTS, Description, Hello, ReshareExtra, ReshareFields, decode, encode

Role = Literal["existing", "joining", "departing"]

_DEALS = "+deals"
_MAX_K = 2**31 - 2


def deletions_range(n: int, t: int) -> range:
    """The allowed ``d``: from n − t + 1, the default, to n − t + 1 + min(n − t, t − 1)."""
    least = n - t + 1
    return range(least, least + min(n - t, t - 1) + 1)


@dataclass(frozen=True)
class ReshareConfig:
    """What a party was asked for. ValueError for what can't be.

    ``store_by``, ``vote_by``: seconds.  ``d`` None: whatever the others say, by default n − t + 1.  ``old_quorum``:
    for a party of O whose share is gone, what it knows of its generation; from a share it is taken by itself.
    ``expected_pubkey`` and ``old_threshold`` are a joiner's, checked against the old quorum's word.
    """

    room: str
    size: int
    scheme: str
    new_identities: tuple[bytes, ...]
    new_t: int
    store_by: int
    vote_by: int
    role: Role
    deals: bool
    d: int | None = None
    highest_k: int = 0
    receipts: tuple[bytes, ...] = ()
    expected_pubkey: bytes | None = None
    old_threshold: int | None = None
    old_quorum: Description | None = field(default=None)

    def __post_init__(self) -> None:
        group_of(self.scheme)
        check_quorum(self.new_t, self.new_identities)
        object.__setattr__(self, "new_identities", tuple(sorted(self.new_identities)))
        if self.size < len(self.new_identities):
            raise ValueError("the room is too small for the new quorum")
        if self.role not in ("existing", "joining", "departing") or (self.deals and self.role == "joining"):
            raise ValueError("existing and departing parties deal, joining ones don't")
        if min(self.store_by, self.vote_by) <= 0 or not 0 <= self.highest_k <= _MAX_K:
            raise ValueError("durations are positive, and k is less than 2^31 − 1")
        if len(self.receipts) > MAX_RECEIPTS or any(len(receipt) > MAX_RECEIPT_BYTES for receipt in self.receipts):
            raise ValueError("too many receipts for a hello")

    def description(self, me: bytes, old: Share | None) -> Description | None:
        """The old quorum as this party knows it. ValueError if role, share and identities don't fit together."""
        known = old.description() if old else self.old_quorum
        if self.role == "joining":
            if known or me not in self.new_identities:
                raise ValueError("a joining party is of the new quorum and has no old share")
            return None
        if known is None or me not in known.identities or known.scheme != self.scheme:
            raise ValueError("an old party needs what it knows of its generation")
        if (self.role == "existing") != (me in self.new_identities):
            raise ValueError("existing means in both quorums, departing in the old one only")
        if self.deals and (old is None or old.identity != me):
            raise ValueError("who deals needs its old share")
        if self.d is not None and self.d not in deletions_range(len(known.identities), known.t):
            raise ValueError("deletions_required is out of range for this quorum")
        return known


def make_hello(me: Identity, config: ReshareConfig, known: Description | None, nonce: bytes, ephemeral: bytes) -> Hello:
    """R0: the fields that the sender knows, its role, receipts and highest k; an old party signs its quorum's
    description.
    """
    fields = ReshareFields(
        room=config.room,
        scheme=config.scheme,
        size=config.size,
        new_identities=config.new_identities,
        new_t=config.new_t,
        store_by=config.store_by,
        vote_by=config.vote_by,
        d=config.d,
        gid=known.gid if known else None,
        old_identities=known.identities if known else None,
        old_t=known.t if known else None,
        public_key=known.public_key if known else None,
        public_shares=known.public_shares if known else None,
        chain_code_hash=known.chain_code_hash if known else None,
    )
    extra = ReshareExtra(
        highest_k=config.highest_k,
        receipts=config.receipts,
        description=me.sign("description", encode(known)) if known else b"",
    )
    role = config.role + (_DEALS if config.deals else "")
    return Hello("reshare", nonce, ephemeral, role, encode(fields), encode(extra))


def described(sender: bytes, hello: Hello) -> Description | None:
    """The old quorum that an old party's hello describes, validly signed by a party of it; else None. Raises
    Malformed.
    """
    fields, extra = decode(ReshareFields, hello.fields), decode(ReshareExtra, hello.extra)
    stated = _description(fields)
    if stated is None or sender not in stated.identities:
        return None
    return stated if verify(sender, "description", (encode(stated),), extra.description) else None


def _description(fields: ReshareFields) -> Description | None:
    parts = (
        fields.gid,
        fields.old_t,
        fields.old_identities,
        fields.public_key,
        fields.public_shares,
        fields.chain_code_hash,
    )
    gid, t, identities, public_key, public_shares, chain_code_hash = parts
    if gid is None or t is None or identities is None or public_key is None:
        return None
    if public_shares is None or chain_code_hash is None:
        return None
    return Description(fields.scheme, gid, t, identities, public_key, public_shares, chain_code_hash)


def admits(config: ReshareConfig, known: Description | None, sender: bytes, hello: Hello) -> bool:
    """Whose hello counts: parties of the quorums that I know, old ones with a valid description. Others are dropped."""
    try:
        stated = described(sender, hello)
    except Malformed:
        return False
    if hello.role == "joining":
        return sender in config.new_identities
    return stated is not None and (known is None or sender in known.identities or sender in config.new_identities)


@dataclass(frozen=True)
class HelloComplete(Checkpoint):
    """The attempt, from the moment it has a name. Yielded by ``reshare``; also what signed hellos prove to others.

    The driver writes its promise durably and answers with its signed PROMISED receipt if it deals (else ``b""``), or
    throws. ``hellos``: the signed envelopes, for an ABORTED before there is a digest (see ``rid_of``).
    """

    rid: bytes
    k: int
    sid: bytes
    d: int
    store_by: int
    vote_by: int
    new_identities: tuple[bytes, ...]
    new_t: int
    participants: tuple[bytes, ...]
    dealers: tuple[bytes, ...]
    receipts: dict[bytes, tuple[bytes, ...]]
    hellos: bytes
    old: Description

    @property
    def gid(self) -> bytes:
        """The old generation."""
        return self.old.gid

    @property
    def scheme(self) -> str:
        return self.old.scheme

    @property
    def old_identities(self) -> tuple[bytes, ...]:
        """O, sorted."""
        return self.old.identities

    @property
    def old_t(self) -> int:
        return self.old.t

    @property
    def public_key(self) -> bytes:
        """33 B."""
        return self.old.public_key

    @property
    def public_shares(self) -> tuple[bytes, ...]:
        """X_i of O, in order of x."""
        return self.old.public_shares

    @property
    def chain_code_hash(self) -> bytes:
        return self.old.chain_code_hash

    @property
    def f(self) -> int:
        """How many lying old parties are borne."""
        return self.d - (len(self.old_identities) - self.old_t + 1)

    @property
    def p(self) -> int:
        """How many old parties must promise."""
        return self.old_t + self.f

    @property
    def group(self) -> Group:
        return group_of(self.scheme)


def dealt_points(
    group: Group, old_identities: tuple[bytes, ...], public_shares: tuple[bytes, ...], dealers: Collection[bytes]
) -> dict[bytes, Point]:
    """λ_i·X_i by dealer: what each dealer's constant term must be. Raises Malformed."""
    xs, shares = ranks(old_identities), dict(zip(old_identities, public_shares, strict=True))
    dealing = [xs[dealer] for dealer in dealers]
    return {
        dealer: group.mul_public(group.decode(shares[dealer]), lagrange(group, xs[dealer], dealing))
        for dealer in dealers
    }


def complete_hellos(hellos: Mapping[bytes, Hello], bodies: tuple[bytes, ...]) -> HelloComplete:
    """Everything that the hellos fix, the same at every party.

    ParameterMismatch for unequal fields or a role that the quorums contradict; Abort, with its reason, if nobody knows
    the old quorum, if a new party is missing, if fewer than p deal, or if the old quorum's description is not
    consistent.
    """
    fields = merge_fields(hellos, ReshareFields)
    old = _description(fields)
    if old is None:
        raise Abort("nobody in the room knows the old quorum")
    public_shares = _check_description(old)
    d = len(old.identities) - old.t + 1 if fields.d is None else fields.d
    if d not in deletions_range(len(old.identities), old.t):
        raise Abort("deletions_required is out of range for the old quorum")
    fields.d = d

    if missing := set(fields.new_identities) - set(hellos):
        raise Abort(f"{len(missing)} parties of the new quorum are not in the room")
    dealers = []
    for party, hello in hellos.items():
        role, deals = hello.role.removesuffix(_DEALS), hello.role.endswith(_DEALS)
        if role != _role(party, old.identities, fields.new_identities) or (deals and role == "joining"):
            raise ParameterMismatch("role")
        dealers += [party] if deals else []
    extras = {party: decode(ReshareExtra, hello.extra) for party, hello in hellos.items()}
    k = 1 + max(extra.highest_k for extra in extras.values())
    sid = session_id(config_hash("reshare", fields, k.to_bytes(4, "big")), hellos, ranks(hellos))
    complete = HelloComplete(
        rid=TH("rid", sid),
        k=k,
        sid=sid,
        d=d,
        store_by=fields.store_by,
        vote_by=fields.vote_by,
        new_identities=fields.new_identities,
        new_t=fields.new_t,
        participants=tuple(sorted(hellos)),
        dealers=tuple(sorted(dealers)),
        receipts={party: extra.receipts for party, extra in extras.items()},
        hellos=pack_bodies(bodies),
        old=old,
    )
    if len(dealers) < complete.p:
        raise Abort(f"{len(dealers)} old parties deal, {complete.p} are needed")
    old_xs = ranks(old.identities)
    group = complete.group
    dealing = {old_xs[dealer]: public_shares[dealer] for dealer in dealers}
    if interpolate(group, dealing) != group.decode(old.public_key):
        raise Abort("the old quorum's public shares do not belong to its public key")
    return complete


def _role(party: bytes, old: tuple[bytes, ...], new: tuple[bytes, ...]) -> str:
    if party in new:
        return "existing" if party in old else "joining"
    return "departing" if party in old else "none"


def _check_description(old: Description) -> dict[bytes, Point]:
    try:
        check_quorum(old.t, old.identities)
        group = group_of(old.scheme)
    except ValueError as error:
        raise Abort(f"the old quorum: {error}") from error
    if list(old.identities) != sorted(old.identities) or len(old.public_shares) != len(old.identities):
        raise Abort("the old quorum: order of identities or number of public shares")
    try:
        group.decode(old.public_key)
        return {party: group.decode(point) for party, point in zip(old.identities, old.public_shares, strict=True)}
    except Malformed as error:
        raise Abort("the old quorum: not a point") from error


def check_expectations(config: ReshareConfig, complete: HelloComplete, hellos: Mapping[bytes, Hello]) -> None:
    """A joiner's rule for believing the old quorum: the public key it was told, or every remaining party's
    signature.
    """
    if config.expected_pubkey is not None and config.expected_pubkey != complete.public_key:
        raise ParameterMismatch("expected_pubkey")
    if config.old_threshold is not None and config.old_threshold != complete.old_t:
        raise ParameterMismatch("old_threshold")
    if config.role != "joining" or config.expected_pubkey is not None:
        return
    remaining = set(complete.old_identities) & set(config.new_identities)
    if not remaining or not all(described(party, hellos[party]) for party in remaining):
        raise Abort("no remaining party vouches for the old quorum, and no public key was expected")


def rid_of(hellos: bytes) -> HelloComplete:
    """The attempt that a list of signed hellos proves: every signature and description is checked, the rid recomputed.

    For an old party that gets an ABORTED with hellos.  Raises Malformed, or what the hello round itself would have
    raised.
    """
    bodies = unpack_bodies(hellos)
    parsed: dict[bytes, Hello] = {}
    for body in bodies:
        frame = frame_of(body)
        if frame is None or frame.receiver or frame.round != 0 or frame.sender in parsed:
            raise Malformed("not a hello, or two of one party")
        content = open_body(frame, "hello", body[3:35])
        if content is None:
            raise Malformed("a hello that its sender did not sign")
        hello = decode(Hello, content)
        fields = decode(ReshareFields, hello.fields)
        if hello.protocol != "reshare" or body[3:35] != hello_session(fields.room, 0):
            raise Malformed("a hello of another protocol or room")
        if hello.role != "joining" and described(frame.sender, hello) is None:
            raise Malformed("an old party's hello without a valid description")
        parsed[frame.sender] = hello
        size = fields.size
    if not parsed or len(parsed) != size or list(parsed) != sorted(parsed):
        raise Malformed("not the hellos of a full room, in order")
    return complete_hellos(parsed, bodies)
