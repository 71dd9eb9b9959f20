"""Import of a share's backup, and the operator's word that lets it act.

The journal of the vertex that lost it is gone, and with it what that party had promised and voted. So the share comes
back as lifecycle.md's step 8 treats a restored keystore: its acceptor record says `restored`, it signs and deals
nothing, and takes no step by itself until an operator agrees.
"""

import json
from typing import Any, Final
from uuid import UUID

from celery import shared_task
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.dispatch import receiver

from audit import services as audit
from keys import handed, operations, restored, unbegun
from keys.backup import TO_VERTEX, Container, Content, backup_mode, content_of
from keys.boxes import box_public, open_in_worker, seal_to_workers
from keys.keystore import keystore
from keys.models import ApiUser, KeyShare, Operation, PartyIdentity
from keys.sessions.worker import EXPECTED, api_error
from keys.shares import identity_keep, journal_name, share_keep, share_row_from_journal
from keys.signals import restored_share_agreed
from mpc.errors import Malformed
from mpc.hashing import TH
from mpc.identity import Identity
from mpc.shares import Share
from reshare import acceptor, sharing_orders
from reshare.exclusive import exclusively
from reshare.executor import advance
from reshare.models import SharingOrder
from reshare.outcome import RESTORED
from vertex.celery import app
from vertex.errors import ApiError

State = KeyShare.State
AGREED: Final = "agreed"  # in the arguments of a call: the share that it is about
OF: Final = "restored by"  # in the journal: the call that brought a share back


def restore_request(*, operation: Operation, scheme: str, key_share: str, export_type: str | None) -> None:
    """Hand a backup to a worker, sealed. Raises ApiError."""
    mode = backup_mode()
    try:
        given = Container.parse(key_share)
    except Malformed as error:
        raise ApiError("bad_request_params", f"key_share: {error}") from error
    said = "plaintext" if given.kind == "plaintext" else "encrypted"
    if export_type not in (None, said):
        raise ApiError("bad_request_params", f"export_type: this backup is {said}")
    if given.kind == "encrypted":
        text = f"manage.py backup_open --vertex {box_public().hex()}"
        raise ApiError(
            "bad_request_params", f"key_share: sealed to the backup key; open it, where that is, with {text}"
        )
    if given.kind == "plaintext" and mode != "plaintext":
        raise ApiError("server_share_backup_setting_disabled", "this vertex takes encrypted backups only")
    sealed = seal_to_workers(given.body, TO_VERTEX) if given.kind == "plaintext" else given.body
    handed.hand(operation, task="reshare.restore", arguments={"scheme": scheme, "sealed": sealed.hex()})


@shared_task(name="reshare.restore")
def restore_task(operation_id: str) -> None:
    """Worker: make the share's row, suspended, and answer."""
    operation = handed.waiting(operation_id)
    if operation is None:
        return
    try:
        content, share = content_of(open_in_worker(bytes.fromhex(operation.arguments["sealed"]), TO_VERTEX))
        with exclusively(share.identity, share.gid), transaction.atomic():
            if handed.taken(operation.id):
                key = restore(operation=operation, content=content, share=share)
                result = {"key_id": str(key.id), "bans_known_until": content.time.isoformat()}
                operations.finish(operation_id=operation.id, result=result)
    except Malformed as error:
        _refuse(operation, ApiError("bad_request_params", f"key_share: {error}"))
    except IntegrityError:
        _refuse(operation, ApiError("unique_violation", "this share lives at this vertex"))
    except EXPECTED as error:
        _refuse(operation, api_error(error))


@transaction.atomic
def _refuse(operation: Operation, error: ApiError) -> None:
    operations.finish(operation_id=operation.id, error=error)


def restore(*, operation: Operation, content: Content, share: Share) -> KeyShare:
    """The share again, `active` and suspended. Raises ApiError where this vertex knows that it must not come back."""
    identity = Identity(content.identity)
    if operation.user is None or share.identity != identity.public:
        raise ApiError("bad_request_params", "key_share: not its party's")
    if share.scheme != operation.arguments["scheme"]:
        raise ApiError("bad_request_params", "key_share: of another scheme")
    name = journal_name(identity.public, share.gid)
    entry = keystore().journal.read(name)
    kept: dict[str, Any] | None = json.loads(entry) if entry is not None else None
    if kept is not None and kept["extra"].get(OF) == str(operation.id):  # this call, by a worker that died
        identity_keep(identity)
        return _recorded(operation, content, share_row_from_journal(kept)[0])
    _may_come_back(identity.public, share, content.generation)
    record = acceptor.read(identity.public, share.gid)
    # Before anything can act: what this party promised and voted elsewhere is not known here.
    acceptor.replace(identity.public, share.gid, expected=record, record=record._replace(restored=True))
    refs: list[str] = []
    try:
        return _keep(operation.user, operation, content, share, refs)
    except BaseException:  # not written, or not recorded: nothing remains in the keystore either
        for ref in refs:
            keystore().keys.destroy(ref)
        keystore().journal.destroy(name)
        raise


@transaction.atomic
def _keep(user: ApiUser, operation: Operation, content: Content, share: Share, refs: list[str]) -> KeyShare:
    """``refs``: the keys that were made for it, noted for the case that the database refuses."""
    identity = Identity(content.identity)
    known = PartyIdentity.objects.filter(public=identity.public).exists()
    row = identity_keep(identity)
    refs += [] if known else [row.data_key or ""]
    if row.shares.exclude(user=user).exists():
        raise ApiError("unique_violation", "this party's shares at this vertex are another user's")
    made = KeyShare.objects.create(
        user=user,
        identity=row,
        scheme=share.scheme,
        policy_id=user.default_policy_id,
        generation=content.generation,
        backed_up_at=content.time,
    )
    record = share_keep(
        key=made,
        share=share,
        pairs={},
        digest=TH("restored", share.gid),
        extra={OF: str(operation.id)},
        banned=content.banned,
    )
    refs.append(record["data_key"])
    return _recorded(operation, content, share_row_from_journal(record)[0])


def _recorded(operation: Operation, content: Content, key: KeyShare) -> KeyShare:
    audit.record(
        action="share.restored",
        actor=operation.caller,
        subject=str(key.id),
        data={
            "gid": bytes(key.gid or b"").hex(),
            "public_key": bytes(key.public_key or b"").hex(),
            "backed_up_at": content.time.isoformat(),
            "banned": [party.hex() for party in content.banned],
        },
    )
    return key


def _may_come_back(identity: bytes, share: Share, generation: int) -> None:
    """Database and journal both: either may know what the other has lost."""
    here = KeyShare.objects.filter(identity__public=identity)
    known = here.filter(gid=share.gid).first()
    record = acceptor.read(identity, share.gid)
    destroyed = PartyIdentity.objects.filter(public=identity, data_key=None).exists()
    later = here.filter(generation__gt=generation, public_key=share.public_key)
    if (
        record.accepted
        or (known and known.state == State.SUPERSEDED)
        or later.exclude(state__in=[State.CREATED, State.QUARANTINED, State.PARKED, State.DISCARDED]).exists()
    ):
        raise ApiError("share_superseded", "this share was superseded by a reshare")
    if record.deleted or destroyed or (known and known.state in (State.ERASED, State.DISCARDED)):
        raise ApiError("share_erased", "this share was erased")
    if known or keystore().journal.read(journal_name(identity, share.gid)) is not None:
        raise ApiError("unique_violation", "this share lives at this vertex")


# --- the operator's word ------------------------------------------------------------------------------------------


def agree(*, operation: Operation, key_id: UUID, actor: str, reason: str, statement_hash: bytes | None) -> None:
    """For a call: `keys.restored.agree`; it answers once the suspension is lifted, or once it is proposed."""
    with transaction.atomic():
        unbegun.still_wanted(operation)
        if restored.agree(key_id=key_id, actor=actor, reason=reason, statement_hash=statement_hash):
            Operation.objects.filter(id=operation.id).update(arguments={AGREED: str(key_id)})
        else:
            operations.finish(operation_id=operation.id, result={"agreed": False})


@receiver(restored_share_agreed)
def _agreed(*, key: KeyShare, actor: str, **_: Any) -> None:
    sharing_orders.agree(identity=key.identity, gid=bytes(key.gid or b""), parties=[], restored=True, actor=actor)
    transaction.on_commit(lambda: _ask_to_lift(key.id))


def _ask_to_lift(key_id: UUID) -> None:
    app.send_task("reshare.agreed", args=[str(key_id)], queue="life")


@shared_task(name="reshare.agreed")
def agreed_task(key_id: str) -> None:
    """Worker: lift the suspension, as after an agreement about an attempt, and answer the calls that wait for it."""
    key = KeyShare.objects.select_related("identity").get(id=UUID(key_id))
    advance(bytes(key.identity.public), bytes(key.gid or b""))
    key.refresh_from_db()
    refused = None
    with transaction.atomic():
        if key.suspended == RESTORED and _standing().filter(id=key.id).exists():
            # Parties with two faces, which its page did not name: the word must not wait for their end.
            sharing_orders.withdraw(identity=key.identity, gid=bytes(key.gid or b""))
            text = "a party of this key has two faces: agree to that on the reshare's page"
            refused = ApiError("reshare_conflict", text)
        for call in Operation.objects.filter(state=Operation.State.PENDING, arguments={AGREED: key_id}):
            operations.finish(operation_id=call.id, result={"agreed": True}, error=refused)


def ask_again() -> int:
    """For the sweep: suspensions that an operator's word lifts, and whose task was lost."""
    asked = list(_standing().values_list("id", flat=True)[: operations.MAX_AGAIN])
    for key_id in asked:
        _ask_to_lift(key_id)
    return len(asked)


def _standing() -> QuerySet[KeyShare]:
    """Restored shares of which an operator has said that they may act."""
    word = SharingOrder.objects.filter(
        kind=SharingOrder.Kind.AGREE, about__restored=True, identity=OuterRef("identity"), gid=OuterRef("gid")
    )
    return KeyShare.objects.filter(Exists(word), suspended=RESTORED)
