"""Import of an existing private key: its holder, the importer, deals it to a quorum (cryptography.md, section 16).

    0   hello      with the roles: exactly one importer
    1   broadcast  the importer's commitment to polynomial, proofs and chain code; empty from the others
    2   broadcast  its Feldman points, proofs, blind; everybody's echo;   private  sub-share, chain code, set-up key
    3, 4           as in key generation: set-ups, and the digest that everybody proves its share for

One dealer, where key generation has n: nothing of the key can be hidden from who brings it.  What the others need, that
all got shares of one polynomial and one chain code, comes from the Feldman points, the echo and the digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from mpc.channel import Received, Session, open_session
from mpc.dealing import Dealing, check_deals, check_openings
from mpc.ed25519 import ED25519
from mpc.errors import Malformed, ParameterMismatch
from mpc.findings import Findings
from mpc.identity import Identity
from mpc.keygen import KeygenConfig, KeygenResult, conclude
from mpc.outcome import check_feldman, own_share
from mpc.protocol import Protocol, Rng, scoped
from mpc.schemes import group_of, scheme_of
from mpc.secret import Confidential, Secret
from mpc.setup import PairSetup
from mpc.sharing import ranks
from mpc.wire import Deal, ImportCommitment, ReshareDeal, ReshareOpening, SetupKey

IMPORTER, RECIPIENT = "importer", "recipient"
KeyFormat = Literal["seed", "scalar"]
KEY_BYTES: Final = 32


@dataclass(frozen=True, eq=False)
class Imported(Confidential):
    """What the importer deals: the key as its group encodes scalars (see ``scalar_of``), and a chain code (32 B)."""

    key: Secret
    chain_code: Secret


@dataclass(frozen=True)
class Expected:
    """What a recipient was told of the import, None where nothing: the importer's identity, the public key as encoded
    or as the scheme's users know it.
    """

    importer: bytes | None = None
    public_key: bytes | None = None


def scalar_of(scheme: str, private_key: bytes, key_format: KeyFormat = "seed") -> Secret:
    """A private key (32 B) as its group encodes scalars.

    secp256k1: 1 < d < q, big-endian; ``key_format`` says nothing there.  Ed25519: a "seed" of RFC 8032, whose clamped
    hash is the scalar, or a "scalar", little-endian; both are reduced modulo the order of the base point, which leaves
    the public key as it is.  Malformed for other lengths and values, and for 0 and 1: everybody knows those keys.
    """
    group = group_of(scheme)
    if len(private_key) != KEY_BYTES:
        raise Malformed("a private key has 32 bytes")
    if group is not ED25519:
        scalar = group.decode_scalar(private_key)
    elif key_format == "seed":
        clamped = bytearray(hashlib.sha512(private_key).digest()[:KEY_BYTES])
        clamped[0] &= 248
        clamped[31] = clamped[31] & 63 | 64
        scalar = int.from_bytes(clamped, "little") % group.order
    else:
        scalar = int.from_bytes(private_key, "little") % group.order
    if scalar in (0, 1):
        raise Malformed("a private key is neither 0 nor 1 modulo the order of the group")
    return Secret(group.encode_scalar(scalar))


def import_key(
    me: Identity, config: KeygenConfig, rng: Rng, *, dealt: Imported | None = None, expected: Expected | None = None
) -> Protocol[KeygenResult]:
    """Runs an import; with ``dealt`` as the importer.  The result is a key generation's, its statement too.

    ValueError if ``me`` is not among the identities.  Raises ParameterMismatch (also for another importer or public key
    than expected, or not exactly one importer), Abort, and Blame as ``keygen`` does.
    """
    if me.public not in config.identities:
        raise ValueError("this party is not among the identities")
    xs, expected = ranks(config.identities), expected or Expected()
    session = yield from open_session(
        me,
        "import",
        IMPORTER if dealt else RECIPIENT,
        config.fields(),
        room=config.room,
        size=len(xs),
        coordinates=xs,
        rng=rng,
    )
    importer = _importer(session.roles, expected)
    group, pairwise, x = group_of(config.scheme), scheme_of(config.scheme).pairwise, xs[me.public]
    others = session.others
    dealing = _dealing(config, session, dealt, rng) if dealt else None
    round_1 = yield from session.exchange(
        1,
        broadcast=ImportCommitment(commitment=dealing.commitment if dealing else b""),
        broadcasters=others,
    )
    commitment = _commitment(round_1, importer)

    peers = others if pairwise else ()
    setups = {peer: PairSetup(session.sid, x, peer, xs[peer], scoped(rng, f"pair/{peer.hex()}")) for peer in peers}
    deals = {party: dealing.deal(xs[party], dealt.chain_code.reveal()) for party in xs} if dealing and dealt else {}
    echo = session.echo
    round_2 = yield from session.exchange(
        2,
        broadcast=ReshareOpening(echo=echo, opening=dealing.opening if dealing else None),
        private={
            peer: ReshareDeal(deal=deals.get(peer), setup=setups[peer].key if pairwise else None)
            for peer in others
            if pairwise or dealing
        },
        broadcasters=others,
        senders=others if pairwise else {importer},
    )
    published = round_2.broadcasts(ReshareOpening)
    findings = Findings()
    for party, message in published.items():
        with findings.about(party):
            if (message.opening is not None) != (party == importer):
                raise Malformed("an opening from who deals nothing, or none from the importer")
    findings.conclude()
    deal, keys = _private(round_2, importer, pairwise=pairwise)
    deal = deal or deals[me.public]
    openings = {party: message.opening for party, message in published.items() if message.opening}
    points = check_openings(group, session.sid, config.t, {importer: commitment}, openings, {importer: deal.chain_code})
    session.check_echo(echo, {party: message.echo for party, message in published.items()})
    shares = check_deals(session, group, x, points, {importer: deal}, round_2.frames)
    feldman = points[importer]
    check_feldman(group, feldman)
    shown = feldman[0].to_bytes()
    if not scheme_of(config.scheme).is_named(shown, shown if expected.public_key is None else expected.public_key):
        raise ParameterMismatch("expected_pubkey")
    secret = own_share(group, shares.values(), feldman, x)
    return (yield from conclude(config, session, setups, keys, secret, feldman, deal.chain_code, rng))


def _importer(roles: Mapping[bytes, str], expected: Expected) -> bytes:
    importers = [party for party, role in roles.items() if role == IMPORTER]
    if len(importers) != 1 or not set(roles.values()) <= {IMPORTER, RECIPIENT}:
        raise ParameterMismatch("role: not exactly one importer, the others recipients")
    if expected.importer not in (None, importers[0]):
        raise ParameterMismatch("importer_keygen_id")
    return importers[0]


def _dealing(config: KeygenConfig, session: Session, dealt: Imported, rng: Rng) -> Dealing:
    """A polynomial of degree t − 1 with f(0) = the key. What is dealt goes into the view too: a session that was given
    another key repeats no draw.
    """
    group = group_of(config.scheme)
    rng.absorb(dealt.key.reveal(), dealt.chain_code.reveal())
    return Dealing(
        group,
        session.sid,
        session.me.public,
        config.t,
        scoped(rng, "dealing"),
        constant=group.decode_scalar(dealt.key.reveal()),
        attached=dealt.chain_code.reveal(),
    )


def _commitment(round_1: Received, importer: bytes) -> bytes:
    findings, commitment = Findings(), b""
    for party, message in round_1.broadcasts(ImportCommitment).items():
        with findings.about(party):
            if len(message.commitment) != (32 if party == importer else 0):
                raise Malformed("a commitment from who deals nothing, or none from the importer")
        commitment = commitment or message.commitment
    findings.conclude()
    return commitment


def _private(round_2: Received, importer: bytes, *, pairwise: bool) -> tuple[Deal | None, dict[bytes, SetupKey]]:
    """The importer's deal (None where that is this party) and everybody's set-up key. Blames for what is missing or one
    too many.
    """
    findings, deal, keys = Findings(), None, {}
    for peer, message in round_2.privates(ReshareDeal).items():
        with findings.about(peer):
            if (message.deal is not None) != (peer == importer) or (message.setup is not None) != pairwise:
                raise Malformed("not the parts that the sender's role asks for")
            deal = message.deal or deal
            if message.setup is not None:
                keys[peer] = message.setup
    findings.conclude()
    return deal, keys
