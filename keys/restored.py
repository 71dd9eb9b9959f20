"""A restored share, and the operator's word that lets it act: as with bans, on the key's page or over the API."""

from typing import Any
from uuid import UUID

from django.db import transaction

from audit import services as audit
from keys import bans
from keys.models import KeyShare
from keys.signals import restored_share_agreed
from mpc.identity import encode_keygen_id
from vertex.errors import ApiError

KIND = "agree"


def statement_of(key: KeyShare) -> dict[str, Any]:
    """What whoever decides is shown."""
    return {
        "decision": KIND,
        "key_id": str(key.id),
        "gid": bytes(key.gid or b"").hex(),
        "public_key": bytes(key.public_key or b"").hex(),
        "bans_known_until": key.backed_up_at.isoformat() if key.backed_up_at else None,
        "banned": [encode_keygen_id(bytes(pair.peer)) for pair in bans.standing(key)],
    }


def shown(key: KeyShare) -> dict[str, Any] | None:
    """How API and pages show what an operator must decide about; None where there is nothing."""
    if key.suspended != KeyShare.RESTORED:
        return None
    proposal = audit.decision_proposed(kind=KIND, subject=str(key.id))
    return {
        "bans_known_until": key.backed_up_at,
        "statement_hash": audit.statement_hash(statement_of(key)).hex(),
        "proposed_by": proposal.proposed_by if proposal is not None else None,
    }


def agree(*, key_id: UUID, actor: str, reason: str, statement_hash: bytes | None = None) -> bool:
    """An operator's word that a restored share may act. True when it decides, a worker then lifts the suspension; False
    when it proposes what another must approve. Raises ApiError."""
    with transaction.atomic():
        shares = KeyShare.objects.select_for_update(of=("self",)).select_related("identity", "user__owner")
        key = shares.filter(id=key_id).first()
        if key is None:
            raise ApiError("key_id_not_exists", "there is no such key")
        if key.suspended != KeyShare.RESTORED:
            raise ApiError("bad_request_params", "this share was not restored, or acts again")
        decided = audit.decision_take(
            kind=KIND,
            subject=str(key.id),
            statement=statement_of(key),
            shown=statement_hash,
            actor=actor,
            reason=reason,
            owner=key.user.owner_name,
        )
        if decided:
            restored_share_agreed.send(sender=KeyShare, key=key, actor=actor)
    return decided
