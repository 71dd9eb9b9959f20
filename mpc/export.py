"""Export of a whole private key to one of its parties, the recipient (cryptography.md, section 17).

    0   hello      binds the recipient, the key and its generation
    1   broadcast  the sid: nothing private leaves before everybody is known to be in this very session
    2   private    the sender's share, to the recipient only                                        32 B

After that the key is no longer held by its quorum alone: the driver marks it so at every participant before a share
leaves (``Release``), the recipient included. A session is never resumed.
"""

from __future__ import annotations

from dataclasses import dataclass

from mpc.channel import open_session
from mpc.errors import Abort, Malformed
from mpc.findings import Findings
from mpc.identity import Identity
from mpc.protocol import Protocol, Release, Rng, SeededRng
from mpc.secret import Secret
from mpc.shares import Share
from mpc.sharing import lagrange, ranks
from mpc.signers import quorum_fields
from mpc.wire import ExportFields, ExportReady, ExportShare


@dataclass(frozen=True)
class ExportRequest:
    """Who gets the key (an identity, 32 B), with how many participants, in which room."""

    room: str
    size: int
    recipient: bytes


def export(me: Identity, share: Share, request: ExportRequest, rng: Rng) -> Protocol[Secret | None]:
    """The private key as its group encodes scalars (32 B: big-endian; of Ed25519 little-endian, and no seed) at the
    recipient, None at the others.

    ValueError for a request that this share can't serve.  Raises ParameterMismatch before anything else, Abort, and
    Blame of who sent the recipient another share than its own.
    """
    if isinstance(rng, SeededRng):
        raise ValueError("an export takes its randomness from the operating system")
    if me.public != share.identity or request.recipient not in share.identities:
        raise ValueError("not a share of this party, or a recipient who has none")
    if not share.t <= request.size <= share.n:
        raise ValueError(f"an export needs {share.t} to {share.n} parties, not {request.size}")
    session = yield from open_session(
        me,
        "export",
        "party",
        ExportFields(**quorum_fields(share, request.room, request.size), recipient=request.recipient),
        room=request.room,
        size=request.size,
        coordinates=ranks(share.identities),
        rng=rng,
    )
    if request.recipient not in session.parties:
        raise Abort("the recipient takes no part")
    round_1 = yield from session.exchange(1, broadcast=ExportReady(sid=session.sid), broadcasters=session.others)
    session.check_echo(session.sid, {party: each.sid for party, each in round_1.broadcasts(ExportReady).items()})
    yield Release(session.others)
    if me.public != request.recipient:
        own = ExportShare(share=share.group.encode_scalar(share.scalar))
        yield from session.exchange(2, private={request.recipient: own})
        return None
    round_2 = yield from session.exchange(2, senders=session.others)
    sent = {party: message.share for party, message in round_2.privates(ExportShare).items()}
    return _interpolated(share, sent)


def _interpolated(own: Share, sent: dict[bytes, bytes]) -> Secret:
    """f(0) from the shares by party. Blames everybody whose share is not the one that its public share commits to."""
    group, xs = own.group, ranks(own.identities)
    findings, shares = Findings(), {own.x: own.scalar}
    for party, encoded in sent.items():
        with findings.about(party):
            share = group.decode_scalar(encoded)
            if group.base_mul(share) != own.public_shares[xs[party] - 1]:
                raise Malformed("a share is not the one that its public share commits to")
            shares[xs[party]] = share
    findings.conclude()
    secret = sum(lagrange(group, x, shares) * share for x, share in shares.items()) % group.order
    if group.base_mul(secret) != own.feldman[0]:
        raise Abort("the shares do not make the private key")
    return Secret(group.encode_scalar(secret))
