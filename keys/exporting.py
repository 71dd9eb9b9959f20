"""Export of a whole private key to one of its parties: the request, and what a worker does with the session.

Like a signature it is never replayed and never retried. Before a share leaves, the key is marked exported here: in the
journal first, which no restored database forgets.
"""

from datetime import datetime, timedelta
from typing import Any, ClassVar

import msgspec
from django.db import transaction
from django.utils import timezone

from audit import services as audit
from keys import operations
from keys.actions import require
from keys.keystore import keystore
from keys.models import ApiUser, KeyShare, Operation, ProtocolSession, ShareExport
from keys.policies.check import policy_check
from keys.relays import resolve
from keys.selectors import key_of
from keys.sessions.kinds import SessionKind
from keys.sessions.lease import Lease
from keys.sessions.services import in_flight, leave, session_open
from keys.shares import identity_open, share_open
from mpc.export import ExportRequest, export
from mpc.identity import decode_keygen_id
from mpc.protocol import Checkpoint, Protocol, Release, Rng
from mpc.secret import Secret
from vertex.errors import ApiError

_JOURNAL = "exported/"


def export_request(
    *,
    user: ApiUser,
    operation: Operation,
    key_id: Any,
    scheme: str,
    export_to: str,
    room_uuid: str,
    relay_address: str | None,
    deadline: datetime,
    answer_to: bytes,
) -> None:
    """Join the room of an export; a worker starts when it is full. ``answer_to``: the waiting view's key (32 bytes), to
    which the private key is sealed where this party is the recipient. Raises ApiError. Not inside a transaction: rule
    servers are asked.
    """
    key = key_of(user=user, key_id=key_id, scheme=scheme)
    require(key, "export")
    try:
        recipient = decode_keygen_id(export_to).hex()
    except ValueError as error:
        raise ApiError("bad_request_params", f"export_to: {error}") from error
    if recipient not in key.parties:
        raise ApiError("bad_request_params", "export_to: not the export id of a party of this key")
    fields = {"key_id": key.id, "export_to": export_to, "room_uuid": room_uuid, "relay_address": relay_address}
    policy_check(key=key, action="export", fields=fields)
    session_open(
        kind="export",
        share=key,
        operation=operation,
        params={"recipient": recipient, "answer_to": answer_to.hex(), "caller": operation.caller},
        relay_url=resolve(relay_address),
        room=room_uuid,
        min_size=key.threshold or 0,
        max_size=len(key.parties),
        deadline=deadline,
        actor=f"user:{user.id}",
        data={"recipient": recipient},
    )


class ExportKind(SessionKind):
    name: ClassVar[str] = "export"
    queue: ClassVar[str] = "sign"  # it can't park either
    durable: ClassVar[bool] = False
    run_for: ClassVar[timedelta] = timedelta(seconds=30)

    def protocol(self, session: ProtocolSession, rng: Rng) -> Protocol[Secret | None]:
        key = session.share
        require(key, "export")
        recipient = bytes.fromhex(session.params["recipient"])
        request = ExportRequest(room=session.room, size=session.room_size or 0, recipient=recipient)
        return export(identity_open(key.identity), share_open(key), request, rng)

    def checkpoint(self, session: ProtocolSession, lease: Lease, checkpoint: Checkpoint) -> Any:
        if isinstance(checkpoint, Release):
            return mark(session, lease)
        return super().checkpoint(session, lease, checkpoint)

    def finish(self, session: ProtocolSession, lease: Lease, result: Secret | None) -> None:
        answer: dict[str, Any] = {}
        if result is not None and session.operation_id:
            public, secret = bytes.fromhex(session.params["answer_to"]), {"private_key": result.reveal().hex()}
            answer = operations.seal_answer(session.operation_id, secret, public=public)
        with transaction.atomic():
            lease.update(state=ProtocolSession.State.DONE, finished_at=timezone.now(), lease_until=None)
            if session.operation_id:
                operations.finish(operation_id=session.operation_id, result=answer)
            audit.record(
                action="export.done", actor="system", subject=str(session.share_id), data={"session": str(session.id)}
            )
        leave(session)


def mark(session: ProtocolSession, lease: Lease) -> None:
    """Before the share leaves: this key is no quorum's alone any more. Raises ApiError where the share may not go."""
    with transaction.atomic():
        shares = KeyShare.objects.select_for_update(of=("self",), no_key=True).select_related("identity")
        key = shares.get(id=session.share_id)
        require(key, "export")
        if in_flight(key):
            raise ApiError("reshare_conflict", "a protocol that makes or deals this share is under way")
        exported_at = key.exported_at or timezone.now()
        keystore().journal.replace(_name(key), msgspec.msgpack.encode(exported_at))
        lease.update(round=2)
        KeyShare.objects.filter(id=key.id).update(exported_at=exported_at)
        ShareExport.objects.create(share=key, caller=session.params["caller"], kind="whole key")
        audit.record(
            action="key.exported",
            actor="system",
            subject=str(key.id),
            data={"session": str(session.id), "recipient": session.params["recipient"]},
        )


def _name(key: KeyShare) -> str:
    return f"{_JOURNAL}{bytes(key.identity.public).hex()}/{bytes(key.gid or b'').hex()}"


def marks_restore() -> None:
    """At start: what the journal says was exported is marked so, whatever the database remembers."""
    for name in keystore().journal.list(_JOURNAL):
        entry, (_, identity, gid) = keystore().journal.read(name), name.split("/")
        unmarked = KeyShare.objects.filter(
            identity__public=bytes.fromhex(identity), gid=bytes.fromhex(gid), exported_at=None
        )
        if entry is not None:
            unmarked.update(exported_at=msgspec.msgpack.decode(entry, type=datetime))
