"""What a party whose old share is gone still knows of its quorum: it takes part in a reshare for its new share only."""

from keys.keygen_receipts import sid_of
from keys.models import KeyShare
from keys.stored import keygen_statement
from mpc.keygen import verify_preimage
from mpc.wire import Description
from reshare import statements
from reshare.models import Reshare


def old_quorum_of(share: KeyShare) -> Description | None:
    """The quorum that a share belonged to, from the preimage of the keygen or reshare that made it."""
    made = Reshare.objects.filter(new_gid=share.gid, digest__isnull=False).first()
    if made is not None:
        return _resharing(made)
    sid = sid_of(share)
    statement = keygen_statement(party=bytes(share.identity.public), sid=sid) if sid is not None else None
    known = verify_preimage(bytes(statement.preimage)).description if statement is not None else None
    return known if known is not None and statements.is_of(known, share) else None


def _resharing(made: Reshare) -> Description | None:
    statement = statements.of(made)
    if statement is None:
        return None
    return Description(
        scheme=made.scheme,
        gid=statement.gid_new,
        t=statement.new_t,
        identities=statement.new_identities,
        public_key=statement.public_key,
        public_shares=tuple(point.to_bytes() for point in statement.public_shares),
        chain_code_hash=statement.old.chain_code_hash,
    )
