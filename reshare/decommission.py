"""The end of a party: its identity key is destroyed once nobody can need another word of it.

Until every party of each new quorum has said `COMPLETED`, a share's row and its identity key are kept: others may still
have to learn from this vertex what it promised, accepted and erased. A party whose user gave its share up is an
acceptor until then too (lifecycle.md, step 8): the next reshare of the others may lack just its `CONFIRMED` and
`DELETED`, and would then hang, with every new share stored and none ever active.
"""

from uuid import UUID

from django.db import transaction
from django.db.models import Q

from audit import services as audit
from keys.keystore import keystore
from keys.models import KeyShare, PartyIdentity
from reshare import acceptor
from reshare.models import Reshare
from vertex.errors import ApiError

GONE = (KeyShare.State.ERASED, KeyShare.State.DISCARDED)


def why_needed(identity: PartyIdentity) -> str | None:
    """What needs this party's identity key whatever its operators say; None when nothing does."""
    living = KeyShare.objects.filter(identity=identity).exclude(state__in=GONE).first()
    if living is not None:
        return f"share {living.id} is {living.state}"
    undecided = Reshare.objects.filter(identity=identity, state__in=(Reshare.State.WAITING, *Reshare.OPEN)).first()
    if undecided is not None:
        return f"reshare {undecided.id} is {undecided.state}: it may need this party's word"
    return None


def why_kept(identity: PartyIdentity) -> str | None:
    """What others may still need this party's identity key for; None when they can't."""
    waiting = Reshare.objects.filter(identity=identity, ended_at=None).first()
    if waiting is not None:
        return f"not every party of the new quorum has said that reshare {waiting.id} is complete ({waiting.state})"
    for gid in sorted(_sharings(identity)):
        if not _over(identity, gid):
            return (
                f"no reshare of sharing {gid.hex()} is known to be complete by all: one of the others' needs this"
                " party's CONFIRMED and DELETED, which it signs by itself though its share is gone. Keep it until that"
                " one is known by all. If none can ever come, because every party has deleted its share of this key,"
                " --abandon destroys the identity key all the same; if one does come, it may never become active, and"
                " the key is lost"
            )
    return None


def _sharings(identity: PartyIdentity) -> set[bytes]:
    """The gids of which this party had a share, or has said anything by its journal, which no restore rolls back."""
    erased = KeyShare.objects.filter(identity=identity, state=KeyShare.State.ERASED, gid__isnull=False)
    said = {gid for party, gid in acceptor.all_records() if party == bytes(identity.public)}
    return said | {bytes(gid or b"") for gid in erased.values_list("gid", flat=True)}


def _over(identity: PartyIdentity, gid: bytes) -> bool:
    """Whether a reshare of this sharing is clean and known to be complete by all. Who was to join by an attempt at it
    never had a share of it: for that party it is over with the attempt."""
    ended = Reshare.objects.filter(identity=identity, gid=gid, ended_at__isnull=False)
    return ended.filter(Q(state=Reshare.State.CLEAN) | Q(role=Reshare.Role.JOINING)).exists()


def decommission(*, key_id: UUID, actor: str, abandon: bool = False) -> bool:
    """Destroy the identity key of the party that a key names; False when it is gone already. The rows stay.

    ``abandon``: also where others may still need it, but never while a share lives or an attempt is undecided. Raises
    ApiError: key_id_not_exists; deletion_not_ready, with what still needs it. Workers and commands only.
    """
    key = KeyShare.objects.filter(id=key_id).first()
    if key is None:
        raise ApiError("key_id_not_exists", "there is no such key")
    with transaction.atomic():
        identity = PartyIdentity.objects.select_for_update().get(id=key.identity_id)
        if (needed := why_needed(identity)) is not None:
            raise ApiError("deletion_not_ready", needed)
        if identity.data_key is None:
            return False
        reason = why_kept(identity)
        if reason is not None and not abandon:
            raise ApiError("deletion_not_ready", reason)
        keystore().keys.destroy(identity.data_key)
        identity.sealed_secret = identity.data_key = None
        identity.save(update_fields=["sealed_secret", "data_key"])
        audit.record(
            action="identity.destroyed",
            actor=actor,
            subject=str(key.id),
            data={"identity": bytes(identity.public).hex(), "abandoned": reason},
        )
    return True


def decommissioned(identity: PartyIdentity) -> bool:
    """Whether its key is gone, also where a restored database still names it."""
    return identity.data_key is None or not keystore().keys.exists(identity.data_key)
