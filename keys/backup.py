"""Backups of single shares: the form in which one leaves a vertex, and its way out.

A backup holds what makes a share usable elsewhere: identity key, share with quorum and chain code, generation. It never
holds oblivious-transfer state: restored, that would lift a ban and let a cheater guess again (cryptography.md, 9).
"""

import base64
import binascii
from typing import Final, Literal
from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.db import transaction

from audit import services as audit
from keys import operations
from keys.actions import require
from keys.boxes import BoxClosed, seal
from keys.models import ApiUser, KeyShare, Operation, ShareExport
from keys.policies.check import policy_check
from keys.selectors import key_of
from keys.sessions.worker import EXPECTED, api_error
from keys.shares import identity_open, share_open
from mpc.errors import Malformed
from mpc.shares import Share, UncheckedShare
from mpc.wire import Count, Hash, Message, SecretMessage, decode, encode
from vertex.celery import app
from vertex.errors import ApiError

FORMAT: Final = "vertex-backup/1"
BACKUP, TO_VERTEX = "backup", "backup to a vertex"  # what a box holds, by whom it is for
Kind = Literal["plaintext", "encrypted", "vertex"]


class Container(Message):
    """What travels, in base64. ``body``: a `Content`, bare or in a box for the backup key or for one vertex."""

    format: Literal["vertex-backup/1"]
    kind: Kind
    body: bytes

    def text(self) -> str:
        return base64.b64encode(encode(self)).decode()

    @staticmethod
    def parse(text: str) -> "Container":
        """Raises Malformed."""
        try:
            return decode(Container, base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError) as error:
            raise Malformed("not a backup of a key share") from error


class Content(SecretMessage):
    """A share with all that is kept of it, but for pairs. ``identity``: the secret half of the party's identity key."""

    identity: Hash
    generation: Count
    share: UncheckedShare


def backup_mode() -> str:
    """`encrypted` or `plaintext`; raises the ApiError of a vertex whose operators want no backups."""
    if settings.VERTEX_BACKUP not in ("encrypted", "plaintext"):  # fail closed: also for what is neither
        raise ApiError("server_share_backup_setting_disabled", "backups of key shares are off at this vertex")
    return str(settings.VERTEX_BACKUP)


def backup_request(*, user: ApiUser, operation: Operation, key_id: UUID, scheme: str, answer_to: bytes) -> None:
    """Hand the export of a share to a worker. Raises ApiError. Not inside a transaction: rule servers are asked."""
    key = key_of(user=user, key_id=key_id, scheme=scheme)
    require(key, "backup")
    backup_mode()
    policy_check(key=key, action="backup", fields={"key_id": key.id})
    arguments = [str(operation.id), str(key.id), answer_to.hex()]
    transaction.on_commit(lambda: app.send_task("keys.backup_export", args=arguments, queue="life"))


@shared_task(name="keys.backup_export")
def backup_export(operation_id: str, key_id: str, answer_to: str) -> None:
    """Worker: the backup of a share, sealed to the view that waits, recorded before it can be read."""
    named = UUID(operation_id)
    try:
        with transaction.atomic():
            operation = Operation.objects.select_for_update(of=("self",)).get(id=named)
            if operation.state != Operation.State.PENDING:
                return
            shares = KeyShare.objects.select_for_update(of=("self",), no_key=True).select_related("identity")
            key = shares.get(id=UUID(key_id))
            require(key, "backup")
            mode = backup_mode()
            secret = {"key_share": _container(key, mode).text()}
            ShareExport.objects.create(share=key, caller=operation.caller, kind=f"backup, {mode}")
            result = operations.seal_answer(named, secret, public=bytes.fromhex(answer_to))
            operations.finish(operation_id=named, result={**result, "export_type": mode})
            audit.record(
                action="share.exported", actor=operation.caller, subject=str(key.id), data={"export_type": mode}
            )
    except EXPECTED as error:
        with transaction.atomic():
            operations.finish(operation_id=named, error=api_error(error))


def _container(key: KeyShare, mode: str) -> Container:
    content = encode(
        Content(
            identity=identity_open(key.identity).reveal(),
            generation=key.generation,
            share=decode(UncheckedShare, share_open(key).encode()),
        )
    )
    if mode == "plaintext":
        return Container(format=FORMAT, kind="plaintext", body=content)
    try:
        body = seal(bytes.fromhex(settings.VERTEX_BACKUP_PUBLIC_KEY), content, BACKUP)
    except (ValueError, BoxClosed) as error:
        text = "VERTEX_BACKUP_PUBLIC_KEY is no key: this vertex makes no backups"
        raise ApiError("server_share_backup_setting_disabled", text) from error
    return Container(format=FORMAT, kind="encrypted", body=body)


def content_of(body: bytes) -> tuple[Content, Share]:
    """The checked content of an opened backup. Raises Malformed."""
    content = decode(Content, body)
    return content, content.share.check()
