"""Preimages of reshare digests: verified before they are kept, read again where a voter needs the new public shares."""

from functools import lru_cache
from typing import Any

from django.db import transaction

from keys import receipts
from keys.models import KeyShare, Statement
from mpc.errors import ProtocolError
from mpc.reshare import HelloComplete, ReshareStatement, verify_preimage
from mpc.shares import chain_code_hash
from mpc.wire import Description
from reshare.models import Reshare
from vertex.errors import ApiError


@lru_cache(maxsize=256)
def verified(preimage: bytes) -> ReshareStatement:
    """The statement of a preimage; raises ApiError `bad_receipt`."""
    try:
        return verify_preimage(preimage)
    except ProtocolError as error:
        raise ApiError("bad_receipt", f"the preimage does not verify: {error}") from error


def of(row: Reshare) -> ReshareStatement | None:
    """The verified statement of an attempt, once its digest is known here."""
    if row.digest is None:
        return None
    kept = Statement.objects.filter(digest=bytes(row.digest)).first()
    return verified(bytes(kept.preimage)) if kept is not None else None


def held(rid: bytes) -> bytes | None:
    """The preimage of an attempt: of the digest that a row here names, if there is one. Others of the same rid verify
    too, and mean nothing then: whoever took part can make one."""
    named = Reshare.objects.filter(rid=rid, digest__isnull=False).values("digest")
    about = Statement.objects.filter(subject=rid)
    kept = about.filter(digest__in=named).first() or about.first()
    return bytes(kept.preimage) if kept is not None else None


def public_share(statement: ReshareStatement, party: bytes) -> bytes | None:
    """A new party's public share (33 bytes)."""
    if party not in statement.new_identities:
        return None
    return statement.public_shares[statement.new_identities.index(party)].to_bytes()


def learn(row: Reshare, preimage: bytes) -> bool:
    """Keep the preimage of an attempt that this party did not finish itself; False when it is not this attempt's, or
    known. One digest per attempt and party, for ever."""
    if Reshare.objects.filter(id=row.id, digest__isnull=False).exists():
        return False
    try:
        statement = verified(preimage)
    except ApiError:
        return False
    if not describes(statement, row):
        return False
    with transaction.atomic():
        known = {"digest": statement.digest, "new_gid": statement.gid_new}
        if not Reshare.objects.filter(id=row.id, digest=None).update(**known):
            return False
        receipts.keep_statement(subject=statement.rid, digest=statement.digest, preimage=preimage)
    return True


def is_of(old: Description, share: KeyShare) -> bool:
    """Whether a description is that of the quorum which a share belongs to. With the right public key, its public
    shares are right too: the dealers have proved that they know what adds up to its secret."""
    return (
        old.gid == bytes(share.gid or b"")
        and old.scheme == share.scheme
        and old.t == share.threshold
        and [party.hex() for party in old.identities] == share.parties
        and old.public_key == bytes(share.public_key or b"")
        and old.chain_code_hash == chain_code_hash(bytes(share.chain_code or b""))
    )


def configuration(attempt: ReshareStatement | HelloComplete) -> dict[str, Any]:
    """The columns of an attempt's row that its preimage, or its hellos, tell."""
    return {
        "scheme": attempt.old.scheme,
        "k": attempt.k,
        "gid": attempt.old.gid,
        "public_key": attempt.public_key,
        "old_parties": [party.hex() for party in attempt.old.identities],
        "old_threshold": attempt.old.t,
        "new_parties": [party.hex() for party in attempt.new_identities],
        "new_threshold": attempt.new_t,
        "deletions_required": attempt.d,
    }


def described(statement: ReshareStatement) -> Reshare:
    """A row that is not in the database, for an attempt that concerns no share here."""
    return Reshare(rid=statement.rid, digest=statement.digest, **configuration(statement))


def describes(statement: ReshareStatement, row: Reshare) -> bool:
    """Whether a statement is about this attempt, in every field that is known of it."""
    return (
        statement.rid == bytes(row.rid or b"")
        and statement.k == row.k
        and statement.public_key == bytes(row.public_key or b"")
        and statement.old.gid == bytes(row.gid or b"")
        and [party.hex() for party in statement.old.identities] == row.old_parties
        and [party.hex() for party in statement.new_identities] == row.new_parties
        and statement.old.t == row.old_threshold
        and statement.new_t == row.new_threshold
        and statement.d == row.deletions_required
    )
