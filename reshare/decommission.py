"""The end of a party: its identity key is destroyed once nobody can need another word of it.

Until every party of each new quorum has said `COMPLETED`, a share's row and its identity key are kept: others may still
have to learn from this vertex what it promised, accepted and erased.
"""

from uuid import UUID

from django.db import transaction

from audit import services as audit
from keys.keystore import keystore
from keys.models import KeyShare, PartyIdentity
from reshare.models import Reshare
from vertex.errors import ApiError

GONE = (KeyShare.State.ERASED, KeyShare.State.DISCARDED)


def why_kept(identity: PartyIdentity) -> str | None:
    """What still needs this party's identity key; None when nothing does."""
    living = KeyShare.objects.filter(identity=identity).exclude(state__in=GONE).first()
    if living is not None:
        return f"share {living.id} is {living.state}"
    waiting = Reshare.objects.filter(identity=identity, ended_at=None).first()
    if waiting is not None:
        return f"not every party of the new quorum has said that reshare {waiting.id} is complete ({waiting.state})"
    return None


def decommission(*, key_id: UUID, actor: str) -> bool:
    """Destroy the identity key of the party that a key names; False when it is gone already. The rows stay.

    Raises ApiError: key_id_not_exists; deletion_not_ready, with what still needs it. Workers and commands only.
    """
    key = KeyShare.objects.filter(id=key_id).first()
    if key is None:
        raise ApiError("key_id_not_exists", "there is no such key")
    with transaction.atomic():
        identity = PartyIdentity.objects.select_for_update().get(id=key.identity_id)
        if (reason := why_kept(identity)) is not None:
            raise ApiError("deletion_not_ready", reason)
        if identity.data_key is None:
            return False
        keystore().keys.destroy(identity.data_key)
        identity.sealed_secret = identity.data_key = None
        identity.save(update_fields=["sealed_secret", "data_key"])
        audit.record(
            action="identity.destroyed",
            actor=actor,
            subject=str(key.id),
            data={"identity": bytes(identity.public).hex()},
        )
    return True


def decommissioned(identity: PartyIdentity) -> bool:
    """Whether its key is gone, also where a restored database still names it."""
    return identity.data_key is None or not keystore().keys.exists(identity.data_key)
