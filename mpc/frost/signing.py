"""Signing with FROST: two rounds after the hello (cryptography.md, section 11).

    0   hello
    1   broadcast  D_i, E_i: commitments to two nonces
    2   broadcast  z_i, echo of round 1

A session is never resumed and never replayed, and its randomness is the operating system's: a nonce used twice is the
share.  The nonces are gone before z_i exists outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mpc import derive
from mpc.channel import Channel
from mpc.errors import Abort, Malformed
from mpc.findings import Findings
from mpc.frost.core import NonceCommitment, Nonces, Signing
from mpc.frost.keys import SigningKey, signing_key
from mpc.frost.suites import SUITES
from mpc.group import Group
from mpc.hashing import TH
from mpc.identity import Identity
from mpc.protocol import Protocol, Release, Rng
from mpc.shares import Share
from mpc.sharing import ranks
from mpc.signers import check_signer, open_signing, quorum_fields
from mpc.wire import FrostCommitment, FrostFields, FrostShare


@dataclass(frozen=True)
class FrostRequest:
    """What to sign, with how many signers, in which room. ``tweak`` (BIP340): see ``signing_key``.

    ``index`` is the request's place in its batch: each request is a session of its own. ValueError for a bad path,
    index or length of the tweak.
    """

    room: str
    size: int
    message: bytes
    path: tuple[int, ...] = ()
    tweak: bytes | None = None
    index: int = 0

    def __post_init__(self) -> None:
        derive.parse_path(self.path)
        if self.tweak is not None and len(self.tweak) not in (0, 32):
            raise ValueError("a tweak is the 32-byte root of a script tree, or empty")
        if not 0 <= self.index < 2**31:
            raise ValueError("an index of a batch is 0 … 2^31 − 1")


def frost_sign(me: Identity, share: Share, request: FrostRequest, rng: Rng) -> Protocol[bytes]:
    """Signs ``request.message`` under the share's key, its child or the tweaked one: 64 bytes, verified.

    ValueError for a request that this share can't serve.  Raises ParameterMismatch before any nonce is made, Abort, and
    Blame for a commitment that is no point and for a wrong signature share.
    """
    if share.scheme not in SUITES:
        raise ValueError("not a FROST share of this party")
    check_signer(me, share, request.size, rng)

    session = yield from open_signing(me, "frost", frost_fields(share, request), rng, index=request.index)
    return (yield from frost_in(session, share, request, rng))


def frost_in(session: Channel, share: Share, request: FrostRequest, rng: Rng) -> Protocol[bytes]:
    """F1 and F2; what `frost_sign` checks was checked, and the session's ``sid`` is for this request alone."""
    suite, xs, key = SUITES[share.scheme], ranks(share.identities), _key(share, request)
    nonces = Nonces.fresh(suite, share.scalar, rng.draw)
    own = FrostCommitment(hiding=nonces.commitment.hiding.to_bytes(), binding=nonces.commitment.binding.to_bytes())
    round_1 = yield from session.exchange(1, broadcast=own, broadcasters=session.others)
    commitments = _commitments(suite.group, round_1.broadcasts(FrostCommitment))
    signing = Signing(suite, key, request.message, {xs[party]: one for party, one in commitments.items()})

    z = signing.share(share.x, nonces, share.scalar)
    echo = session.echo
    yield Release(session.others)
    answer = FrostShare(echo=echo, z=suite.group.encode_scalar(z))
    round_2 = yield from session.exchange(2, broadcast=answer, broadcasters=session.others)
    messages = round_2.broadcasts(FrostShare)
    # Other commitments there make a right share look wrong here: nobody is blamed before they are known to be the same.
    session.check_echo(echo, {party: message.echo for party, message in messages.items()})
    shares = _signature_shares(suite.group, messages)
    signature = signing.signature({xs[party]: value for party, value in shares.items()})
    if signature is None:
        _blame(signing, share, xs, shares)
        raise Abort("the signature is not valid")
    return signature


def _key(share: Share, request: FrostRequest) -> SigningKey:
    return signing_key(share.scheme, share.public_key, share.chain_code, request.path, request.tweak)


def frost_fields(share: Share, request: FrostRequest) -> FrostFields:
    """Everything that decides what is signed, and under which key."""
    return FrostFields(
        **quorum_fields(share, request.room, request.size),
        message=TH("frost/message", request.message),
        path=tuple(request.path),
        tweak=() if request.tweak is None else (request.tweak,),
        signing_key=_key(share, request).public.to_bytes(),
        index=request.index,
    )


def _commitments(group: Group, messages: Mapping[bytes, FrostCommitment]) -> dict[bytes, NonceCommitment]:
    findings, commitments = Findings(), {}
    for party, message in messages.items():
        with findings.about(party):
            commitments[party] = NonceCommitment(group.decode(message.hiding), group.decode(message.binding))
    findings.conclude()
    return commitments


def _signature_shares(group: Group, messages: Mapping[bytes, FrostShare]) -> dict[bytes, int]:
    findings, shares = Findings(), {}
    for party, message in messages.items():
        with findings.about(party):
            shares[party] = group.decode_scalar(message.z)
    findings.conclude()
    return shares


def _blame(signing: Signing, share: Share, xs: Mapping[bytes, int], shares: Mapping[bytes, int]) -> None:
    findings = Findings()
    for party, z in shares.items():
        with findings.about(party):
            if not signing.holds(xs[party], z, share.public_shares[xs[party] - 1]):
                raise Malformed("a signature share is wrong")
    findings.conclude()
