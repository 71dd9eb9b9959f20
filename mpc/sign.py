"""Signing: DKLs23 in three rounds after the hello (cryptography.md, section 8).

    0   hello
    1   broadcast  commitment to R_i;       private  OT extension (as Bob)                        4,400 B
    2   private    multiplication (as Alice), opening of R_i, pk_i, Γu, Γv, ψ, echo              40,228 B
    3   broadcast  w_i, u_i                                                                           64 B

A session is never resumed and never replayed, and its randomness is the operating system's: a nonce used twice is the
key.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mpc import derive
from mpc.channel import Channel
from mpc.errors import Abort, Blame, CheckFailed, Malformed
from mpc.findings import Findings
from mpc.group import SECP256K1, Point
from mpc.hashing import TH, XOF
from mpc.identity import Identity
from mpc.mul import MulReceiver, MulSender, verify_extension
from mpc.protocol import Checkpoint, Protocol, Release, Rng, scoped
from mpc.secret import Confidential
from mpc.shares import PairState, Share
from mpc.sharing import lagrange, ranks
from mpc.signature import Signature, assemble
from mpc.signers import check_signer, open_signing, quorum_fields
from mpc.wire import Commitment, SignExtension, SignFields, SignProduct, SignShare

__all__ = ["Begin", "PairCheck", "Release", "SignRequest", "Signature", "sign"]

_GROUP = SECP256K1
_WIDE = 48
_CHECKS_FAILED = "the checks of round 2 failed"
EXTENSION_FAILED = "the OT extension check failed"


@dataclass(frozen=True)
class SignRequest:
    """What to sign, with how many signers, in which room. ValueError for a digest that is not 32 bytes or a bad path.

    ``index`` is the request's place in its batch: each request is a session of its own.
    """

    room: str
    size: int
    digest: bytes
    path: tuple[int, ...] = ()
    index: int = 0

    def __post_init__(self) -> None:
        if len(self.digest) != 32:
            raise ValueError("a digest is 32 bytes")
        derive.parse_path(self.path)
        if not 0 <= self.index < 2**31:
            raise ValueError("an index of a batch is 0 … 2^31 − 1")


@dataclass(frozen=True)
class Begin(Checkpoint):
    """Before anything is computed from the pairs' states: the driver refuses a ``sid`` (32 B) that this share was used
    under before, and remembers this one, durably.

    Every psid comes from it, and two runs under one psid give the counterparty the difference of the inputs (section
    2).  The own nonce makes a sid new; this is for a machine whose randomness came back with its snapshot.
    """

    sid: bytes


@dataclass(frozen=True, eq=False)
class PairCheck(Confidential, Checkpoint):
    """The critical section of the extension check with ``peer`` (cryptography.md, section 5).

    The driver locks the pair's row, refuses if banned, calls ``verify``, commits the verdict (CheckFailed = ban),
    unlocks, and sends the result back, or throws the exception in.  One pair at a time.  A batch has all its extensions
    verified in one such section, one after the other; the first failure ends it.
    """

    peer: bytes
    psid: bytes
    verify: Callable[[], Any]


def sign(
    me: Identity, share: Share, pairs: Mapping[bytes, PairState], request: SignRequest, rng: Rng
) -> Protocol[Signature]:
    """Signs ``request.digest`` under the share's key or its child at ``request.path``.

    ValueError for a request that this share can't serve.  Raises ParameterMismatch before anything else, Abort, and
    Blame; with ``ban`` the pair's set-up with each culprit must be destroyed.
    """
    if share.scheme != "ecdsa":
        raise ValueError("not an ECDSA share of this party")
    check_signer(me, share, request.size, rng)

    session = yield from open_signing(me, "sign", sign_fields(share, request), rng, index=request.index)
    check_pairs(session, share, pairs)
    yield Begin(session.sid)
    return (yield from sign_in(session, share, pairs, request, rng))


def check_pairs(session: Channel, share: Share, pairs: Mapping[bytes, PairState]) -> None:
    """Aborts where a signer has no set-up of this generation with this party."""
    if any(peer not in pairs or pairs[peer].gid != share.gid for peer in session.others):
        raise Abort("no set-up with one of the signers")


def sign_in(
    session: Channel, share: Share, pairs: Mapping[bytes, PairState], request: SignRequest, rng: Rng
) -> Protocol[Signature]:
    """S1 to S4 after ``Begin``; what `sign` checks was checked, and the session's ``sid`` is for this request alone."""
    delta, child_key = derive.offset(share.public_key, share.chain_code, request.path)
    signer = _Signer(session, share, pairs, delta, rng)
    round_1 = yield from session.exchange(
        1,
        broadcast=Commitment(commitment=signer.commitment),
        private=signer.extensions,
        broadcasters=session.others,
        senders=session.others,
    )
    commitments = {party: message.commitment for party, message in round_1.broadcasts(Commitment).items()}
    extensions = round_1.privates(SignExtension)
    for peer in session.others:
        yield from _check_extension(signer, pairs[peer], extensions[peer].extension)

    round_2 = yield from session.exchange(2, private=signer.products(), senders=session.others)
    nonce_point = signer.check_products(commitments, round_2.privates(SignProduct), _GROUP.decode(child_key))

    x_of_nonce = int.from_bytes(nonce_point.to_bytes()[1:], "big")
    if x_of_nonce % _GROUP.order == 0:
        raise Abort("the nonce's x-coordinate is zero")
    own = signer.signature_share(request.digest, x_of_nonce)
    yield Release(session.others)
    round_3 = yield from session.exchange(3, broadcast=own, broadcasters=session.others)
    return assemble(round_3.broadcasts(SignShare), nonce_point, request.digest, child_key)


def sign_fields(share: Share, request: SignRequest) -> SignFields:
    """Everything that decides what is signed."""
    return SignFields(
        **quorum_fields(share, request.room, request.size),
        digest=request.digest,
        path=tuple(request.path),
        index=request.index,
    )


def _check_extension(signer: _Signer, pair: PairState, extension: bytes) -> Protocol[None]:
    """S2, its beginning: nothing computed from the extension exists before the driver has committed the verdict."""
    psid = _psid(signer.sid, pair.alice_pair)
    try:
        checked = yield PairCheck(pair.peer, psid, lambda: verify_extension(pair.alice, psid, extension))
    except CheckFailed as error:
        raise Blame({pair.peer}, EXTENSION_FAILED, ban=True) from error
    signer.senders[pair.peer] = checked


class _Signer(Confidential):
    """What one signer knows between the rounds. In memory only."""

    def __init__(self, session: Channel, share: Share, pairs: Mapping[bytes, PairState], delta: int, rng: Rng) -> None:
        self.sid = session.sid
        self.senders: dict[bytes, MulSender] = {}
        self._session = session
        self._rng = rng
        self._nonce = _GROUP.random_scalar(rng.draw, "nonce")
        self._phi = _GROUP.random_scalar(rng.draw, "phi")
        self._key = _signing_key(session, share, pairs, delta)
        self._nonce_point = _GROUP.base_mul(self._nonce)
        self._key_point = _GROUP.base_mul(self._key)
        if self._key_point.is_identity:
            raise Abort("the additive key share is zero")
        self._blind = rng.draw("blind", 32)
        self.commitment = _commit(self.sid, session.me.public, self._nonce_point.to_bytes(), self._blind)
        self.extensions: dict[bytes, SignExtension] = {}
        self._receivers: dict[bytes, MulReceiver] = {}
        for peer in session.others:
            psid = _psid(self.sid, pairs[peer].bob_pair)
            self._receivers[peer], message = MulReceiver.start(pairs[peer].bob, psid, scoped(rng, f"bob/{peer.hex()}"))
            self.extensions[peer] = SignExtension(extension=message)
        self._products: dict[bytes, tuple[int, int]] = {}
        # φ_i + Σψ_ji, Σ(c_u + d_u), Σ(c_v + d_v), over the counterparties seen so far.
        self._mask, self._u, self._v = self._phi, 0, 0

    def products(self) -> dict[bytes, SignProduct]:
        """S2 as Alice towards every counterparty whose extension was checked."""
        messages = {}
        for peer, sender in self.senders.items():
            (c_u, c_v), product = sender.multiply(self._nonce, self._key, scoped(self._rng, f"alice/{peer.hex()}"))
            self._products[peer] = c_u, c_v
            messages[peer] = SignProduct(
                product=product,
                nonce_point=self._nonce_point.to_bytes(),
                blind=self._blind,
                key_point=self._key_point.to_bytes(),
                gamma_u=_GROUP.base_mul(c_u).to_bytes(),
                gamma_v=_GROUP.base_mul(c_v).to_bytes(),
                psi=_GROUP.encode_scalar(self._phi - self._receivers[peer].b),
                echo=self._session.echo,
            )
        return messages

    def check_products(
        self, commitments: Mapping[bytes, bytes], messages: Mapping[bytes, SignProduct], child_key: Point
    ) -> Point:
        """S3: all checks of all counterparties, then one verdict that does not say which failed. Returns R."""
        findings = Findings()
        nonce_points, key_points = [self._nonce_point], [self._key_point]
        for peer, message in messages.items():
            with findings.about(peer):
                if not hmac.compare_digest(
                    _commit(self.sid, peer, message.nonce_point, message.blind), commitments[peer]
                ):
                    raise Malformed("the nonce is not the committed one")
            with findings.about(peer):
                nonce_point, key_point = self._take_product(peer, message)
                nonce_points.append(nonce_point)
                key_points.append(key_point)
        findings.conclude(_CHECKS_FAILED)
        self._session.check_echo(self._session.echo, {peer: message.echo for peer, message in messages.items()})
        if _GROUP.combine(key_points) != child_key:
            raise Abort("the parties' key shares do not add up to the public key")
        total = _GROUP.combine(nonce_points)
        if total.is_identity:
            raise Abort("the nonces add up to zero")
        return total

    def signature_share(self, digest: bytes, x_of_nonce: int) -> SignShare:
        """S4: w_i = m·φ_i + r_x·v_i and u_i."""
        u = self._nonce * self._mask + self._u
        v = self._key * self._mask + self._v
        w = int.from_bytes(digest, "big") * self._phi + x_of_nonce * v
        return SignShare(w=_GROUP.encode_scalar(w), u=_GROUP.encode_scalar(u))

    def _take_product(self, peer: bytes, message: SignProduct) -> tuple[Point, Point]:
        """S3 as Bob: the peer's R_j and pk_j. CheckFailed where its inputs are not behind these; Malformed."""
        receiver = self._receivers[peer]
        d_u, d_v = receiver.finish(message.product)
        nonce_point, key_point = _GROUP.decode(message.nonce_point), _GROUP.decode(message.key_point)
        consistent = [
            _is_multiple(receiver.b, point, d, _GROUP.decode(gamma))
            for point, d, gamma in ((nonce_point, d_u, message.gamma_u), (key_point, d_v, message.gamma_v))
        ]
        if not all(consistent):
            raise CheckFailed("consistency")
        c_u, c_v = self._products[peer]
        self._mask += _GROUP.decode_scalar(message.psi)
        self._u += c_u + d_u
        self._v += c_v + d_v
        return nonce_point, key_point


def _is_multiple(chi: int, point: Point, d: int, gamma: Point) -> bool:
    """χ·point = d·G + Γ, constant-time in χ and d. A sum that is the identity is a failed check."""
    image = _GROUP.add(_GROUP.base_mul(d), gamma)
    return not image.is_identity and hmac.compare_digest(_GROUP.ecdh_image(image), _GROUP.ecdh(point, chi))


def _signing_key(session: Channel, share: Share, pairs: Mapping[bytes, PairState], delta: int) -> int:
    """sk_i = λ_i·s_i + ζ_i + [i = min S]·δ: additive shares of the child key, fresh in each session."""
    all_xs = ranks(share.identities)
    xs = {party: all_xs[party] for party in session.parties}
    key = lagrange(_GROUP, share.x, xs.values()) * share.scalar
    for peer in session.others:
        mask = int.from_bytes(XOF(_WIDE, "zero-share", session.sid, pairs[peer].zero_seed.reveal()), "big")
        key += mask if xs[peer] > share.x else -mask
    if share.x == min(xs.values()):
        key += delta
    return key % _GROUP.order


def _psid(sid: bytes, pair: bytes) -> bytes:
    return TH("pair/mul", sid, pair)


def _commit(sid: bytes, party: bytes, nonce_point: bytes, blind: bytes) -> bytes:
    return TH("com/nonce", sid, party, nonce_point, blind)
