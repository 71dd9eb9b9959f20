"""Distributed key generation: PedPop with committed polynomials, and the pairwise set-ups (cryptography.md, section 7).

    0   hello
    1   broadcast  commitment to polynomial, proofs and chain-code part
    2   broadcast  Feldman points, proofs, blind, echo;   private  sub-share, chain-code part, set-up key
    3   private    base-OT answer, zero-seed half, echo
    4   broadcast  digest, proof of the share;            private  PPRF message

For Ed25519 and BIP340 there are no set-ups: no round 3, nothing private in round 4, whose broadcast carries the echo.

The chain-code part goes in private (the commitment binds it all the same): the relay reads broadcasts, and a chain
code with the public key shows every derived key.  What this returns is not a usable key: it is one after ``STORED`` of
all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mpc.channel import Received, Session, open_session
from mpc.dealing import Dealing, check_deals, check_openings
from mpc.errors import Malformed
from mpc.findings import Findings
from mpc.group import Point as GroupPoint
from mpc.hashing import TH
from mpc.identity import Identity
from mpc.outcome import check_feldman, check_outcomes, make_outcome, own_share
from mpc.params import VERSION
from mpc.protocol import Protocol, Rng, scoped
from mpc.schemes import group_of, scheme_of
from mpc.secret import Confidential, Secret
from mpc.setup import PairSetup, answer_setups, finish_setups
from mpc.shares import PairState, Share, chain_code_hash, check_quorum
from mpc.sharing import add_commitments, evaluate, ranks
from mpc.wire import (
    Commitment,
    Count,
    Description,
    EchoedOutcome,
    Hash,
    Identities,
    KeygenDeal,
    KeygenFields,
    KeygenOpening,
    Message,
    Outcome,
    Point,
    Points,
    Puncturing,
    SetupKey,
    Text,
    decode,
    encode,
)


@dataclass(frozen=True)
class KeygenConfig:
    """What a party was asked for. ValueError unless 2 ≤ t ≤ n ≤ 32, identities distinct and the scheme known."""

    room: str
    scheme: str
    t: int
    identities: tuple[bytes, ...]

    def __post_init__(self) -> None:
        group_of(self.scheme)
        check_quorum(self.t, self.identities)
        object.__setattr__(self, "identities", tuple(sorted(self.identities)))

    def fields(self) -> KeygenFields:
        """As they travel in the hello."""
        return KeygenFields(
            room=self.room, scheme=self.scheme, t=self.t, n=len(self.identities), identities=self.identities
        )


class KeygenStatement(Message):
    """The public result; the digest is the hash of its encoding, the preimage."""

    version: Count
    room: Text
    scheme: Text
    t: Count
    identities: Identities
    sid: Hash
    feldman: Points
    public_shares: Points
    public_key: Point
    chain_code_hash: Hash

    @property
    def gid(self) -> bytes:
        return TH("gid", self.sid)

    @property
    def digest(self) -> bytes:
        """What ``STORED`` signs."""
        return TH("digest/keygen", encode(self))

    @property
    def description(self) -> Description:
        """The quorum that this made, as its parties describe it to joiners."""
        return Description(
            scheme=self.scheme,
            gid=self.gid,
            t=self.t,
            identities=self.identities,
            public_key=self.public_key,
            public_shares=self.public_shares,
            chain_code_hash=self.chain_code_hash,
        )


@dataclass(frozen=True, eq=False)
class KeygenResult(Confidential):
    """``preimage`` is public; share and pairs are to be sealed."""

    sid: bytes
    gid: bytes
    share: Share
    pairs: dict[bytes, PairState]
    digest: bytes
    preimage: bytes


def keygen(me: Identity, config: KeygenConfig, rng: Rng) -> Protocol[KeygenResult]:
    """Runs a key generation. ValueError if ``me`` is not among the identities.

    Raises ParameterMismatch before anything private is sent, Abort, and Blame: with evidence for a wrong sub-share,
    with ``ban`` for an inconsistent PPRF.
    """
    if me.public not in config.identities:
        raise ValueError("this party is not among the identities")
    group, t, xs = group_of(config.scheme), config.t, ranks(config.identities)
    pairwise = scheme_of(config.scheme).pairwise
    x = xs[me.public]
    session = yield from open_session(
        me, "keygen", "party", config.fields(), room=config.room, size=len(xs), coordinates=xs, rng=rng
    )
    others = session.others

    chain_part = rng.draw("chain-code", 32)
    dealing = Dealing(group, session.sid, me.public, t, scoped(rng, "dealing"), attached=chain_part)
    round_1 = yield from session.exchange(1, broadcast=Commitment(dealing.commitment), broadcasters=others)
    commitments = {party: message.commitment for party, message in round_1.broadcasts(Commitment).items()}

    peers = others if pairwise else ()
    setups = {peer: PairSetup(session.sid, x, peer, xs[peer], scoped(rng, f"pair/{peer.hex()}")) for peer in peers}
    echo = session.echo
    round_2 = yield from session.exchange(
        2,
        broadcast=KeygenOpening(echo=echo, opening=dealing.opening),
        private={
            peer: KeygenDeal(deal=dealing.deal(xs[peer], chain_part), setup=setups[peer].key if pairwise else None)
            for peer in others
        },
        broadcasters=others,
        senders=others,
    )
    opened, private = round_2.broadcasts(KeygenOpening), round_2.privates(KeygenDeal)
    keys = _setup_keys(private, pairwise=pairwise)
    deals = {party: message.deal for party, message in private.items()} | {me.public: dealing.deal(x, chain_part)}
    parts = {party: deal.chain_code for party, deal in deals.items()}
    openings = {party: message.opening for party, message in opened.items()}
    points = check_openings(group, session.sid, t, commitments, openings, parts)
    session.check_echo(echo, {party: message.echo for party, message in opened.items()})
    shares = check_deals(session, group, x, points, deals, round_2.frames)
    feldman = add_commitments(group, points.values())
    check_feldman(group, feldman)
    secret = own_share(group, shares.values(), feldman, x)
    chain_code = TH("cc", session.sid, *(parts[party] for party in config.identities))
    return (yield from conclude(config, session, setups, keys, secret, feldman, chain_code, rng))


def conclude(
    config: KeygenConfig,
    session: Session,
    setups: Mapping[bytes, PairSetup],
    keys: Mapping[bytes, SetupKey],
    secret: int,
    feldman: tuple[GroupPoint, ...],
    chain_code: bytes,
    rng: Rng,
) -> Protocol[KeygenResult]:
    """K3 and K4, with which an import ends too: the set-ups, and one digest that everybody proves its share for."""
    group, xs, me, others = group_of(config.scheme), ranks(config.identities), session.me.public, session.others
    pairwise = scheme_of(config.scheme).pairwise
    puncturings = (yield from answer_setups(session, setups, keys)) if pairwise else {}
    public_shares = {party: evaluate(group, feldman, xs[party]) for party in config.identities}
    statement = KeygenStatement(
        version=VERSION,
        room=config.room,
        scheme=config.scheme,
        t=config.t,
        identities=config.identities,
        sid=session.sid,
        feldman=tuple(point.to_bytes() for point in feldman),
        public_shares=tuple(point.to_bytes() for point in public_shares.values()),
        public_key=feldman[0].to_bytes(),
        chain_code_hash=chain_code_hash(chain_code),
    )
    outcome = make_outcome(group, secret, me, statement.digest, rng.draw)
    if pairwise:
        round_4 = yield from session.exchange(
            4, broadcast=outcome, private=puncturings, broadcasters=others, senders=others
        )
        outcomes = round_4.broadcasts(Outcome)
    else:
        outcomes, round_4 = yield from _echoed_outcomes(session, outcome)
    check_outcomes(group, statement.digest, public_shares, outcomes)
    pairs = finish_setups(setups, statement.gid, round_4.privates(Puncturing))
    share = Share(
        config.scheme,
        statement.gid,
        config.t,
        config.identities,
        xs[me],
        Secret(group.encode_scalar(secret)),
        feldman,
        chain_code,
    )
    return KeygenResult(session.sid, statement.gid, share, pairs, statement.digest, encode(statement))


def _setup_keys(private: Mapping[bytes, KeygenDeal], *, pairwise: bool) -> dict[bytes, SetupKey]:
    """The set-up keys of K2, none where there are no set-ups. Blames who sent one too many or too few."""
    findings, keys = Findings(), {}
    for peer, message in private.items():
        with findings.about(peer):
            if (message.setup is not None) != pairwise:
                raise Malformed("a set-up key is missing, or there is one where there are no set-ups")
            if message.setup is not None:
                keys[peer] = message.setup
    findings.conclude()
    return keys


def _echoed_outcomes(session: Session, outcome: Outcome) -> Protocol[tuple[dict[bytes, Outcome], Received]]:
    """K4 where there was no K3: the broadcast carries the echo of K2 too."""
    echo = session.echo
    round_4 = yield from session.exchange(
        4, broadcast=EchoedOutcome(echo=echo, outcome=outcome), broadcasters=session.others
    )
    messages = round_4.broadcasts(EchoedOutcome)
    session.check_echo(echo, {party: message.echo for party, message in messages.items()})
    return {party: message.outcome for party, message in messages.items()}, round_4


def verify_preimage(preimage: bytes) -> KeygenStatement:
    """The statement behind a digest, its points checked. Raises Malformed."""
    statement = decode(KeygenStatement, preimage)
    try:
        group = group_of(statement.scheme)
        check_quorum(statement.t, statement.identities)
    except ValueError as error:
        raise Malformed(f"keygen statement: {error}") from error
    if statement.version != VERSION or list(statement.identities) != sorted(statement.identities):
        raise Malformed("keygen statement: version or order of identities")
    if len(statement.feldman) != statement.t or statement.public_key != statement.feldman[0]:
        raise Malformed("keygen statement: not t points from the public key on")
    feldman = tuple(group.decode(point) for point in statement.feldman)
    expected = [evaluate(group, feldman, x) for x in ranks(statement.identities).values()]
    if [group.decode(point) for point in statement.public_shares] != expected:
        raise Malformed("keygen statement: public shares do not lie on the polynomial")
    return statement
