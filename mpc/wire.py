"""The messages of every protocol: typed, of exact length, in exactly one encoding.

A message is a msgpack array.  ``decode`` refuses wrong types, wrong lengths, anything left over and any encoding other
than the one that ``encode`` makes.  Lengths of vectors (t points, t proofs) are the protocols' to check: they know t,
and blame.
"""

from __future__ import annotations

from typing import Annotated, NoReturn, TypeVar

import msgspec
from msgspec import Meta

from mpc.errors import Malformed

MAX_PARTIES = 32
MAX_PATH = 32
MAX_RECEIPTS = 256
MAX_RECEIPT_BYTES = 16_384
MAX_BATCH = 1_000
MAX_K = 2**31 - 2  # of the attempts at one sharing
MAX_K_STEP = 2**16  # by which old parties can have come to differ; more is a liar's, and would use the numbers up

Hash = Annotated[bytes, Meta(min_length=32, max_length=32)]
IdentityKey = Annotated[bytes, Meta(min_length=32, max_length=32)]
Scalar = Annotated[bytes, Meta(min_length=32, max_length=32)]
# Of the scheme's group, 32 or 33 bytes: `Group.decode` asks for the one length before it parses.
Point = Annotated[bytes, Meta(min_length=32, max_length=33)]
Proof = Annotated[bytes, Meta(min_length=64, max_length=65)]
# Of the oblivious transfers, which are on secp256k1.
CompressedPoint = Annotated[bytes, Meta(min_length=33, max_length=33)]
Signature = Annotated[bytes, Meta(min_length=64, max_length=64)]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Text = Annotated[str, Meta(max_length=128)]
Points = Annotated[tuple[Point, ...], Meta(max_length=MAX_PARTIES)]
Proofs = Annotated[tuple[Proof, ...], Meta(max_length=MAX_PARTIES)]
Identities = Annotated[tuple[IdentityKey, ...], Meta(max_length=MAX_PARTIES)]
Receipt = Annotated[bytes, Meta(max_length=MAX_RECEIPT_BYTES)]
Tweak = Annotated[bytes, Meta(max_length=32)]
# One request of a batch: empty where its sender does not offer it.
Offer = Annotated[bytes, Meta(max_length=32)]
Offers = Annotated[tuple[Offer, ...], Meta(max_length=MAX_BATCH)]
# A message of one item of a batch, encoded: the longest is a SignProduct.
Item = Annotated[bytes, Meta(max_length=41_000)]
Items = Annotated[tuple[Item, ...], Meta(max_length=MAX_BATCH)]


class Message(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Base of all messages. None prints its content."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(<redacted>)"


class SecretMessage(Message, eq=False):
    """Base of messages for one receiver, or for storage under a seal: likewise not compared and not pickled."""

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds a secret and is not pickled")


M = TypeVar("M", bound=msgspec.Struct)


def encode(message: msgspec.Struct) -> bytes:
    """The one encoding of a message."""
    return msgspec.msgpack.encode(message)


def decode(kind: type[M], data: bytes) -> M:
    """The message in ``data``. Raises Malformed unless it is exactly what ``encode`` would write."""
    try:
        message = msgspec.msgpack.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"not a {kind.__name__}") from error
    if encode(message) != data:
        raise Malformed(f"{kind.__name__} is not in its one encoding")
    return message


class KeygenFields(Message):
    """What every party of a key generation must agree on (cryptography.md, section 2)."""

    room: Text
    scheme: Text
    t: Count
    n: Count
    identities: Identities


class QuorumFields(Message):
    """What those who use a key agree on first: the quorum and the key. Who takes part is bound by the sid."""

    room: Text
    scheme: Text
    size: Count
    t: Count
    identities: Identities
    gid: Hash
    public_key: Point


class SignFields(QuorumFields):
    """What the signers of one ECDSA request must agree on."""

    digest: Hash
    path: Annotated[tuple[Count, ...], Meta(max_length=MAX_PATH)]
    index: Count


class FrostFields(QuorumFields):
    """What FROST's signers must agree on. ``message``: its hash; ``tweak``: none, or one (a field that is None would
    count as not known); ``signing_key``: the child or tweaked key that the signature will be for.
    """

    message: Hash
    path: Annotated[tuple[Count, ...], Meta(max_length=MAX_PATH)]
    tweak: Annotated[tuple[Tweak, ...], Meta(max_length=1)]
    signing_key: Point
    index: Count


class ExportFields(QuorumFields):
    """What the parties of an export must agree on: above all who gets the key."""

    recipient: IdentityKey


class ReshareFields(Message):
    """A reshare's: None where the sender does not know it (a joiner knows nothing of the old quorum)."""

    room: Text
    scheme: Text
    size: Count
    new_identities: Identities
    new_t: Count
    store_by: Count
    vote_by: Count
    d: Count | None
    gid: Hash | None = None
    old_identities: Identities | None = None
    old_t: Count | None = None
    public_key: Point | None = None
    public_shares: Points | None = None
    chain_code_hash: Hash | None = None


class Description(Message):
    """The old quorum as its parties sign it, for joiners."""

    scheme: Text
    gid: Hash
    t: Count
    identities: Identities
    public_key: Point
    public_shares: Points
    chain_code_hash: Hash


class ReshareExtra(Message):
    """The part of a reshare's hello in which parties may differ; ``description`` signs the old quorum (b"": a
    joiner).
    """

    highest_k: Annotated[int, Meta(ge=0, le=MAX_K)]
    receipts: Annotated[tuple[Receipt, ...], Meta(max_length=MAX_RECEIPTS)]
    description: Annotated[bytes, Meta(max_length=64)]


class Hello(Message):
    """R0 of every session. ``fields`` is the protocol's own message of the parameters that the sender knows."""

    protocol: Text
    nonce: Hash
    ephemeral: Hash
    role: Text
    fields: Annotated[bytes, Meta(max_length=16_384)]
    extra: Annotated[bytes, Meta(max_length=MAX_RECEIPTS * MAX_RECEIPT_BYTES + 1_024)]


class Participant(Message):
    """Of a hello, what the ``sid`` binds besides the agreed fields."""

    role: Text
    nonce: Hash
    ephemeral: Hash


class Commitment(Message):
    """K1 and S1."""

    commitment: Hash


class Opening(Message):
    """A dealer's polynomial, in public: Feldman points, a proof for each, and the blind of the commitment."""

    points: Points
    proofs: Proofs
    blind: Hash


class Deal(SecretMessage):
    """A dealer's private part: the sub-share and its chain code (keygen: its contribution to it)."""

    share: Scalar
    chain_code: Hash


class SetupKey(Message):
    """Bob's base-OT key ``A`` and the commitment to a zero-seed half."""

    key: CompressedPoint
    zero_commitment: Hash


class SetupAnswer(SecretMessage):
    """Alice's base-OT answer and the zero-seed half."""

    answer: Annotated[bytes, Meta(min_length=8_448, max_length=8_448)]
    zero_half: Hash


class KeygenOpening(Message):
    """K2, broadcast."""

    echo: Hash
    opening: Opening


class KeygenDeal(SecretMessage):
    """K2, private. No set-up key where the scheme has no pairwise set-ups."""

    deal: Deal
    setup: SetupKey | None


class EchoedAnswer(SecretMessage):
    """K3 and R3, private."""

    echo: Hash
    answer: SetupAnswer


class Puncturing(SecretMessage):
    """K4 and R4, private: Bob's PPRF message."""

    message: Annotated[bytes, Meta(min_length=6_144, max_length=6_144)]


class Outcome(Message):
    """K4 and R5, broadcast: the digest, and a proof of the sender's new share bound to it."""

    digest: Hash
    proof: Proof


class EchoedOutcome(Message):
    """K4, broadcast, where there is no K3 to carry the echo of K2."""

    echo: Hash
    outcome: Outcome


class ImportCommitment(Message):
    """Import's round 1, broadcast by every participant; empty from who deals nothing."""

    commitment: Annotated[bytes, Meta(max_length=32)]


class Promise(Message):
    """R1, broadcast by every participant; both are empty from who does not deal."""

    commitment: Annotated[bytes, Meta(max_length=32)]
    receipt: Receipt


class ReshareOpening(Message):
    """R2, and import's round 2, broadcast by every participant; no opening from who does not deal."""

    echo: Hash
    opening: Opening | None


class ReshareDeal(SecretMessage):
    """R2, private to a new party: the deal if the sender deals, the set-up key if it is a new party too. Import's
    round 2 likewise.
    """

    deal: Deal | None
    setup: SetupKey | None


class SignExtension(SecretMessage):
    """S1, private."""

    extension: Annotated[bytes, Meta(min_length=4_400, max_length=4_400)]


class SignProduct(SecretMessage):
    """S2, private: 40,228 B of payload."""

    product: Annotated[bytes, Meta(min_length=40_000, max_length=40_000)]
    nonce_point: CompressedPoint
    blind: Hash
    key_point: CompressedPoint
    gamma_u: CompressedPoint
    gamma_v: CompressedPoint
    psi: Scalar
    echo: Hash


class SignShare(Message):
    """S4, broadcast: 64 B of payload."""

    w: Scalar
    u: Scalar


class BatchFields(QuorumFields):
    """What the signers of a batch must agree on; ``count``: how many requests it has. Which of them: `BatchOffers`."""

    count: Count


class BatchOffers(Message):
    """The part of a batch's hello in which parties may differ: the hash of each request, or b"" for one that the sender
    was not asked for or refused.
    """

    offers: Offers


class Bundle(Message):
    """A round's broadcasts of all items of a batch, in order of index."""

    items: Items


class SealedBundle(SecretMessage):
    """A round's private messages of all items, likewise."""

    items: Items


class FrostCommitment(Message):
    """FROST's round 1, broadcast: commitments D, E to the hiding and the binding nonce, 64 or 66 B of payload."""

    hiding: Point
    binding: Point


class FrostShare(Message):
    """FROST's round 2, broadcast: 64 B of payload."""

    echo: Hash
    z: Scalar


class ExportReady(Message):
    """Export's round 1, broadcast: the sid that its sender is in."""

    sid: Hash


class ExportShare(SecretMessage):
    """Export's round 2, private to the recipient: the sender's share, 32 B of payload."""

    share: Scalar
