"""`STORED`: a party proves that its share is stored, with a Schnorr proof bound to the digest, and others check that."""

import os
from collections.abc import Mapping

from keys import receipts
from keys.keystore import keystore
from keys.models import KeyShare
from mpc.identity import Identity
from mpc.proofs import prove_share, verify_share
from mpc.shares import Share


def prove_stored(
    *, key: KeyShare, identity: Identity, share: Share, subject: bytes, k: int, digest: bytes
) -> bytes:
    """This party's `STORED` (encoded) for a share that was just read back and unsealed; journal first, once for ever."""
    name = f"stored/{identity.public.hex()}/{subject.hex()}"
    journal = keystore().journal
    known = journal.read(name)
    if known is None:
        proof = prove_share(share, digest, os.urandom)
        known = receipts.issue(
            identity, kind=receipts.STORED, subject=subject, gid=share.gid, k=k, digest=digest, body={"proof": proof}
        )
        journal.create(name, known)
    return known


def stored_parties(*, subject: bytes, digest: bytes, public_shares: Mapping[bytes, bytes]) -> list[bytes]:
    """Identities of the parties whose valid `STORED` over this digest is held here."""
    parties = []
    for _, receipt in receipts.held(subject):
        public = public_shares.get(receipt.party)
        if receipt.kind != receipts.STORED or receipt.digest != digest or public is None:
            continue
        proof = receipt.body.get("proof")
        if isinstance(proof, bytes) and verify_share(public, digest, proof):
            parties.append(receipt.party)
    return parties
