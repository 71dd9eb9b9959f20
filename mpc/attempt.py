"""One attempt at a reshare: what the completed hello round makes of everybody's parameters.

Words (lifecycle.md): d = deletions required; f = d − (n − t + 1) lying old parties are borne; p = t + f old parties
must deal; k orders the attempts of one ``gid``; ``rid`` names this one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from mpc.envelope import frame_of, open_body, pack_bodies, unpack_bodies
from mpc.errors import Abort, Malformed, ParameterMismatch
from mpc.group import Group, Point
from mpc.hashing import TH
from mpc.hello import config_hash, hello_session, merge_fields, session_id
from mpc.protocol import Checkpoint
from mpc.quorums import DEALS, ReshareConfig, deletions_range, described, description_in
from mpc.schemes import group_of, scheme_of
from mpc.shares import check_quorum
from mpc.sharing import interpolate, lagrange, ranks
from mpc.wire import MAX_K, MAX_K_STEP, Description, Hello, Participant, ReshareExtra, ReshareFields, decode


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
    fields: ReshareFields

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
        """As the scheme's group encodes it."""
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
    old = description_in(fields)
    if old is None:
        raise Abort("nobody in the room knows the old quorum")
    public_shares = _check_description(old)
    _check_sorted_quorum("new", fields.new_t, fields.new_identities)
    d = len(old.identities) - old.t + 1 if fields.d is None else fields.d
    if d not in deletions_range(len(old.identities), old.t):
        raise Abort("deletions_required is out of range for the old quorum")
    fields.d = d

    if missing := set(fields.new_identities) - set(hellos):
        raise Abort(f"{len(missing)} parties of the new quorum are not in the room")
    dealers = []
    for party, hello in hellos.items():
        role, deals = hello.role.removesuffix(DEALS), hello.role.endswith(DEALS)
        if role != _role(party, old.identities, fields.new_identities) or (deals and role == "joining"):
            raise ParameterMismatch("role")
        dealers += [party] if deals else []
    extras = {party: decode(ReshareExtra, hello.extra) for party, hello in hellos.items()}
    # A joiner has seen no attempt of this sharing: its word could only use up the numbers that are left.
    k = _next_k([extra.highest_k for party, extra in extras.items() if party in old.identities])
    sid = attempt_sid(fields, k, hellos)
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
        fields=fields,
    )
    if len(dealers) < complete.p:
        raise Abort(f"{len(dealers)} old parties deal, {complete.p} are needed")
    old_xs = ranks(old.identities)
    group = complete.group
    dealing = {old_xs[dealer]: public_shares[dealer] for dealer in dealers}
    if interpolate(group, dealing) != group.decode(old.public_key):
        raise Abort("the old quorum's public shares do not belong to its public key")
    return complete


def attempt_sid(fields: ReshareFields, k: int, hellos: Mapping[bytes, Hello | Participant]) -> bytes:
    """The ``sid`` of the attempt ``k`` with these agreed fields, ``d`` filled in."""
    return session_id(config_hash("reshare", fields, k.to_bytes(4, "big")), hellos, ranks(hellos))


def _next_k(seen: list[int]) -> int:
    """One more than the highest; Abort where somebody has seen what no honest party can have come to."""
    highest, lowest = max(seen, default=0), min(seen, default=0)
    if highest - lowest > MAX_K_STEP or highest >= MAX_K:
        raise Abort(f"an old party says that it has seen attempt {highest}, another has seen {lowest} at most")
    return highest + 1


def _role(party: bytes, old: tuple[bytes, ...], new: tuple[bytes, ...]) -> str:
    if party in new:
        return "existing" if party in old else "joining"
    return "departing" if party in old else "none"


def _check_sorted_quorum(name: str, t: int, identities: tuple[bytes, ...]) -> None:
    try:
        check_quorum(t, identities)
    except ValueError as error:
        raise Abort(f"the {name} quorum: {error}") from error
    if list(identities) != sorted(identities):
        raise Abort(f"the {name} quorum: order of identities")


def _check_description(old: Description) -> dict[bytes, Point]:
    _check_sorted_quorum("old", old.t, old.identities)
    if len(old.public_shares) != len(old.identities):
        raise Abort("the old quorum: number of public shares")
    try:
        group = group_of(old.scheme)
        group.decode(old.public_key)
        return {party: group.decode(point) for party, point in zip(old.identities, old.public_shares, strict=True)}
    except (ValueError, Malformed) as error:
        raise Abort(f"the old quorum: {error}") from error


def check_expectations(config: ReshareConfig, complete: HelloComplete, hellos: Mapping[bytes, Hello]) -> None:
    """A joiner's rule for believing the old quorum: the public key it was told, or every remaining party's
    signature.
    """
    expected = config.expected_pubkey
    if expected is not None and not scheme_of(complete.scheme).is_named(complete.public_key, expected):
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
