"""`STORED`: a party proves that its share is stored, with a Schnorr proof bound to the digest, and others check
that."""

import os
from collections.abc import Mapping
from functools import lru_cache

from keys import receipts, witness
from keys.keystore import keystore
from keys.models import Statement
from mpc.errors import Malformed
from mpc.identity import Identity
from mpc.proofs import prove_share, verify_share
from mpc.schemes import group_of
from mpc.shares import Share


def possession(share: Share, digest: bytes) -> bytes:
    """Proof (65 bytes) that a share, just read back and unsealed, is the discrete log of its public share."""
    return prove_share(share.group, share.scalar, share.identity, digest, lambda _, size: os.urandom(size))


def proves_possession(receipt: receipts.Receipt, *, scheme: str, public_share: bytes) -> bool:
    """Whether a `STORED` receipt's proof holds for its signer's public share (33 bytes) and its digest."""
    proof = receipt.body.get("proof")
    if not isinstance(proof, bytes):
        return False
    return _holds(scheme, public_share, receipt.party, receipt.digest, proof)


@lru_cache(maxsize=4096)
def _holds(scheme: str, public_share: bytes, party: bytes, digest: bytes, proof: bytes) -> bool:
    """Asked again at each look at an attempt."""
    group = group_of(scheme)
    try:
        point = group.decode(public_share)
    except Malformed:
        return False
    return verify_share(group, point, party, digest, proof)


def keygen_stored(*, identity: Identity, share: Share, sid: bytes, digest: bytes) -> bytes:
    """This party's `STORED` of a key generation (encoded); journal first, one for ever."""
    name = f"stored/{identity.public.hex()}/{sid.hex()}"
    journal = keystore().journal
    known = journal.read(name)
    if known is None:
        body = {"proof": possession(share, digest), witness.FIELD: witness.share()}
        known = receipts.issue(
            identity, kind=receipts.STORED, subject=sid, gid=share.gid, k=0, digest=digest, body=body
        )
        journal.create(name, known)
    return known


def of_keygen(receipt: receipts.Receipt) -> bool:
    """Whether a receipt is one that a key generation has: `STORED`, of no ballot. Any other about a keygen's sid is a
    lie, and would be taken for an attempt at the sharing that the keygen makes."""
    return receipt.kind == receipts.STORED and receipt.k == 0


def own_stored(*, party: bytes, sid: bytes) -> receipts.Receipt | None:
    """What this vertex's own party has said of a key generation."""
    said = (receipt for _, receipt in receipts.held(sid) if receipt.party == party and of_keygen(receipt))
    return next(said, None)


def keygen_statement(*, party: bytes, sid: bytes) -> Statement | None:
    """The preimage of the digest that this party's own `STORED` signs. Others that describe a keygen of the same sid
    and public key verify too, and mean nothing here: anybody can make one."""
    own = own_stored(party=party, sid=sid)
    return Statement.objects.filter(digest=own.digest).first() if own is not None else None


def stored_parties(*, subject: bytes, scheme: str, digest: bytes, public_shares: Mapping[bytes, bytes]) -> set[bytes]:
    """Identities of the parties whose valid `STORED` over this digest is held here."""
    return {
        receipt.party
        for _, receipt in receipts.held(subject)
        if receipt.kind == receipts.STORED
        and receipt.digest == digest
        and receipt.party in public_shares
        and proves_possession(receipt, scheme=scheme, public_share=public_shares[receipt.party])
    }
