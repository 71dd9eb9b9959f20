"""Schnorr proofs of knowledge of a discrete logarithm, bound to their place (cryptography.md, sections 2 and 7).

A proof is commitment point ‖ response: 33 + 32 bytes on secp256k1, 32 + 32 on Ed25519. ``context`` must name session,
prover, purpose and index.
"""

from __future__ import annotations

from mpc.errors import Malformed
from mpc.group import Draw, Group, Point
from mpc.hashing import TH, XOF

_WIDE = 48


def prove(group: Group, secret: int, statement: Point, context: tuple[bytes, ...], draw: Draw, label: str) -> bytes:
    """A proof that the prover knows ``secret`` with secret·G = statement.

    The nonce hashes secret and context next to the draw: one draw used for two statements gives two nonces.
    """
    hedged = TH("schnorr/nonce", group.encode_scalar(secret), draw(label, 32), statement.to_bytes(), *context)
    nonce = int.from_bytes(XOF(_WIDE, "schnorr/scalar", hedged), "big") % (group.order - 1) + 1
    commitment = group.base_mul(nonce)
    response = nonce + _challenge(group, commitment, statement, context) * secret
    return commitment.to_bytes() + group.encode_scalar(response)


def verify(group: Group, statement: Point, context: tuple[bytes, ...], proof: bytes) -> bool:
    """True if ``proof`` proves knowledge of the discrete logarithm of ``statement`` in this context."""
    try:
        commitment = group.decode(proof[: group.point_length])
        response = group.decode_scalar(proof[group.point_length :])
    except Malformed:
        return False
    challenge = _challenge(group, commitment, statement, context)
    return group.base_mul(response) == group.add(commitment, group.mul_public(statement, challenge))


def _challenge(group: Group, commitment: Point, statement: Point, context: tuple[bytes, ...]) -> int:
    parts = (group.name.encode(), commitment.to_bytes(), statement.to_bytes(), *context)
    return int.from_bytes(XOF(_WIDE, "schnorr/challenge", *parts), "big") % group.order


def prove_share(group: Group, secret: int, identity: bytes, digest: bytes, draw: Draw) -> bytes:
    """The proof in outcomes and ``STORED`` receipts: who stored knows the share behind its public share."""
    return prove(group, secret, group.base_mul(secret), _share_context(identity, digest), draw, "proof/share")


def verify_share(group: Group, public_share: Point, identity: bytes, digest: bytes, proof: bytes) -> bool:
    """Checks ``prove_share`` for the party ``identity`` and the sharing that ``digest`` (32 B) names."""
    return verify(group, public_share, _share_context(identity, digest), proof)


def _share_context(identity: bytes, digest: bytes) -> tuple[bytes, ...]:
    return b"share", identity, digest
