"""Backups of single shares: the form in which one leaves a vertex, and its way out.

A backup holds what makes a share usable elsewhere: identity key, share with quorum and chain code, generation. It never
holds oblivious-transfer state: restored, that would lift a ban and let a cheater guess again (cryptography.md, 9). The
bans themselves it holds, beside the share and as well sealed.
"""

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from msgspec import Meta

from audit import services as audit
from keys import bans, handed, operations
from keys.actions import require
from keys.boxes import BoxClosed, seal
from keys.models import ApiUser, KeyShare, Operation, ShareExport
from keys.policies.check import policy_check
from keys.selectors import key_of
from keys.sessions.worker import EXPECTED, api_error
from keys.shares import identity_open, share_open
from mpc.errors import Malformed
from mpc.shares import Share, UncheckedShare
from mpc.wire import Count, Hash, Identities, Message, SecretMessage, decode, encode
from vertex.errors import ApiError

FORMAT: Final = "vertex-backup/1"
BACKUP, TO_VERTEX = "backup", "backup to a vertex"  # what a box holds, by whom it is for
Kind = Literal["plaintext", "encrypted", "vertex"]
Seconds = Annotated[int, Meta(ge=0, lt=2**37)]  # Unix


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
    """A share with all that is kept of it, but for pairs. ``identity``: the secret half of the party's identity key.
    ``banned``: the counterparties with a ban that stood at ``made_at``, in order.
    """

    identity: Hash
    generation: Count
    made_at: Seconds
    banned: Identities
    share: UncheckedShare

    @property
    def time(self) -> datetime:
        return datetime.fromtimestamp(self.made_at, UTC)


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
    handed.hand(operation, task="keys.backup_export", arguments={"key_id": str(key.id), "answer_to": answer_to.hex()})


@shared_task(name="keys.backup_export")
def backup_export(operation_id: str) -> None:
    """Worker: the backup of a share, sealed to the view that waits, recorded before it can be read."""
    operation = handed.waiting(operation_id)
    if operation is None:
        return
    try:
        with transaction.atomic():
            if not handed.taken(operation.id):
                return
            shares = KeyShare.objects.select_for_update(of=("self",), no_key=True).select_related("identity")
            key = shares.get(id=UUID(operation.arguments["key_id"]))
            require(key, "backup")
            mode = backup_mode()
            secret = {"key_share": _container(key, mode).text()}
            ShareExport.objects.create(share=key, caller=operation.caller, kind=f"backup, {mode}")
            public = bytes.fromhex(operation.arguments["answer_to"])
            result = operations.seal_answer(operation.id, secret, public=public)
            operations.finish(operation_id=operation.id, result={**result, "export_type": mode})
            audit.record(
                action="share.exported", actor=operation.caller, subject=str(key.id), data={"export_type": mode}
            )
    except EXPECTED as error:
        with transaction.atomic():
            operations.finish(operation_id=operation.id, error=api_error(error))


def _container(key: KeyShare, mode: str) -> Container:
    content = encode(
        Content(
            identity=identity_open(key.identity).reveal(),
            generation=key.generation,
            made_at=int(timezone.now().timestamp()),
            banned=bans.by_keystore(key),
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
    share = content.share.check()
    if content.banned != tuple(sorted({*content.banned} & {*share.identities} - {share.identity})):
        raise Malformed("bans of this share's counterparties, each once")
    return content, share
