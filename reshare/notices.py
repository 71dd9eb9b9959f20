"""What webhooks are told of reshares and of the deletion ledger, in the transactions that change them."""

from typing import Any
from uuid import UUID

from audit.models import Deletion
from keys.webhooks.events import announce
from reshare.models import Reshare

# States of the ledger that are told of; an abort shows as the reshare's.
_TOLD = {
    Deletion.State.PENDING: "deletion.pending",
    Deletion.State.CONFIRMED: "deletion.confirmed",
    Deletion.State.ERASED: "deletion.erased",
}


def state_changed(row: Reshare, state: str) -> None:
    """A reshare has come into this state."""
    data = {**_about(row), "role": row.role, "state": str(state)}
    announce("reshare.state_changed", user_id=row.user_id, data=data)


def deletion_changed(row: Reshare, deletion: Deletion, state: str) -> None:
    """An old party's share may be decided on now (`pending`), is confirmed to die, or is erased; `own`: this
    vertex's."""
    event = _TOLD.get(Deletion.State(state))
    if event is None:
        return
    if deletion.own and bytes(deletion.party) != bytes(row.identity.public):
        # Of another party of this vertex, that of another user: it was its reshare that came this far.
        row = Reshare.objects.filter(rid=row.rid, identity__public=bytes(deletion.party)).first() or row
    data = {**_about(row), "deletion_id": str(deletion.id), "keygen_id": deletion.keygen_id, "own": deletion.own}
    announce(event, user_id=row.user_id, data=data)


def _about(row: Reshare) -> dict[str, Any]:
    return {
        "reshare_id": str(row.id),
        "rid": row.attempt or None,
        "old_key_id": _text(row.old_share_id),
        "new_key_id": _text(row.new_share_id),
    }


def _text(key_id: UUID | None) -> str | None:
    return str(key_id) if key_id is not None else None
