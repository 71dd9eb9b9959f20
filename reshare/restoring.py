"""Import of a share's backup, and the operator's word that lets it act.

The journal of the vertex that lost it is gone, and with it what that party had promised and voted. So the share comes
back as lifecycle.md's step 8 treats a restored keystore: its acceptor record says `restored`, it signs and deals
nothing, and takes no step by itself until an operator agrees.
"""

from typing import Any
from uuid import UUID

from celery import shared_task
from django.db import IntegrityError, transaction
from django.utils import timezone

from audit import services as audit
from keys import operations
from keys.backup import TO_VERTEX, Container, Content, backup_mode, content_of
from keys.boxes import box_public, open_in_worker, seal_to_workers
from keys.keystore import keystore
from keys.models import ApiUser, KeyShare, Operation, PartyIdentity
from keys.sessions.worker import EXPECTED, api_error
from keys.shares import identity_keep, journal_name, share_keep, share_row_from_journal
from mpc.errors import Malformed
from mpc.hashing import TH
from mpc.identity import Identity
from mpc.shares import Share
from reshare import acceptor, sharing_orders
from reshare.executor import advance
from reshare.outcome import RESTORED
from vertex.celery import app
from vertex.errors import ApiError

State = KeyShare.State


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
    arguments = [str(operation.id), scheme, sealed.hex()]
    transaction.on_commit(lambda: app.send_task("reshare.restore", args=arguments, queue="life"))


@shared_task(name="reshare.restore")
def restore_task(operation_id: str, scheme: str, sealed: str) -> None:
    """Worker: make the share's row, suspended, and answer."""
    operation = Operation.objects.select_related("user").get(id=UUID(operation_id))
    if operation.state != Operation.State.PENDING or operation.user is None:
        return
    try:
        content, share = content_of(open_in_worker(bytes.fromhex(sealed), TO_VERTEX))
        with transaction.atomic():
            key = restore(user=operation.user, scheme=scheme, content=content, share=share, actor=operation.caller)
            operations.finish(operation_id=operation.id, result={"key_id": str(key.id)})
    except Malformed as error:
        _refuse(operation, ApiError("bad_request_params", f"key_share: {error}"))
    except IntegrityError:
        _refuse(operation, ApiError("unique_violation", "this share lives at this vertex"))
    except EXPECTED as error:
        _refuse(operation, api_error(error))


@transaction.atomic
def _refuse(operation: Operation, error: ApiError) -> None:
    operations.finish(operation_id=operation.id, error=error)


def restore(*, user: ApiUser, scheme: str, content: Content, share: Share, actor: str) -> KeyShare:
    """The share again, `active` and suspended. Raises ApiError where this vertex knows that it must not come back."""
    identity = Identity(content.identity)
    if share.scheme != scheme or share.identity != identity.public:
        raise ApiError("bad_request_params", "key_share: of another scheme, or not its party's")
    _may_come_back(identity.public, share, content.generation)
    record = acceptor.read(identity.public, share.gid)
    # Before anything can act: what this party promised and voted elsewhere is not known here.
    acceptor.replace(identity.public, share.gid, expected=record, record=record._replace(restored=True))
    kept: dict[str, Any] = {}
    try:
        return _keep(user=user, content=content, share=share, identity=identity, actor=actor, kept=kept)
    except BaseException:  # not written, or not recorded: nothing remains in the keystore either
        for ref in kept.get("refs", ()):
            keystore().keys.destroy(ref)
        if "share" in kept:
            keystore().journal.destroy(kept["share"])
        raise


@transaction.atomic
def _keep(
    *, user: ApiUser, content: Content, share: Share, identity: Identity, actor: str, kept: dict[str, Any]
) -> KeyShare:
    """``kept``: what the keystore holds of it, noted for the case that the database refuses."""
    before = PartyIdentity.objects.filter(public=identity.public).exists()
    row = identity_keep(identity)
    kept["refs"] = [] if before else [row.data_key]
    if row.shares.exclude(user=user).exists():
        raise ApiError("unique_violation", "this party's shares at this vertex are another user's")
    made = KeyShare.objects.create(
        user=user,
        identity=row,
        scheme=share.scheme,
        policy_id=user.default_policy_id,
        generation=content.generation,
    )
    digest = TH("restored", share.gid)
    record = share_keep(key=made, share=share, pairs={}, digest=digest, extra={"restored": True})
    kept["refs"].append(record["data_key"])
    kept["share"] = journal_name(identity.public, share.gid)
    key, _ = share_row_from_journal(record)
    KeyShare.objects.filter(id=key.id).update(state=State.ACTIVE, activated_at=timezone.now(), suspended=RESTORED)
    audit.record(
        action="share.restored",
        actor=actor,
        subject=str(key.id),
        data={"gid": share.gid.hex(), "public_key": share.public_key.hex()},
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


def agree(*, key_id: UUID, actor: str, reason: str, statement_hash: bytes | None = None) -> KeyShare:
    """An operator's word that a restored share may act; with two-person approval the first one proposes it."""
    with transaction.atomic():
        shares = KeyShare.objects.select_for_update(of=("self",)).select_related("identity", "user__owner")
        key = shares.filter(id=key_id).first()
        if key is None:
            raise ApiError("key_id_not_exists", "there is no such key")
        if key.suspended != RESTORED:
            raise ApiError("bad_request_params", "this share was not restored, or acts again")
        statement = {
            "decision": "agree",
            "key_id": str(key.id),
            "gid": bytes(key.gid or b"").hex(),
            "public_key": bytes(key.public_key or b"").hex(),
        }
        decided = audit.decision_take(
            kind="agree",
            subject=str(key.id),
            statement=statement,
            shown=statement_hash,
            actor=actor,
            reason=reason,
            owner=key.user.owner.username if key.user.owner else None,
        )
        if decided:
            gid = bytes(key.gid or b"")
            sharing_orders.agree(identity=key.identity, gid=gid, parties=[], restored=True, actor=actor)
            transaction.on_commit(lambda: app.send_task("reshare.agreed", args=[str(key.id)], queue="life"))
    return key


@shared_task(name="reshare.agreed")
def agreed_task(key_id: str) -> None:
    """Worker: lift the suspension, as after an agreement about an attempt."""
    key = KeyShare.objects.select_related("identity").get(id=UUID(key_id))
    advance(bytes(key.identity.public), bytes(key.gid or b""))
