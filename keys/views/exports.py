"""Whole keys out and in: export to one party, import by a dealer."""

import os
from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from keys import operations
from keys.actions import refusals_of
from keys.auth import user_in
from keys.backup import backup_request
from keys.boxes import AnswerKey
from keys.exporting import export_request
from keys.importing import import_request, private_key
from keys.models import Operation
from keys.serializers.exports import (
    BackupAnswer,
    ExportAnswer,
    ExportSerializer,
    ImporterSerializer,
    RecipientSerializer,
)
from keys.sessions.services import session_cancel, telling_the_room
from keys.views.base import ApiView, key_id_of, valid
from mpc.importing import Imported
from mpc.secret import Secret
from vertex.auth import IsUser
from vertex.openapi import IDEMPOTENCY_KEY, PREFER, Accepted, Empty, refuses

_IMPORT_REFUSALS = ("key_id_not_exists", "bad_n_and_t_params", "executor_result", *refusals_of("keygen"))


class ExportFull(ApiView):
    """POST /{s}/export/full"""

    permission_classes = (IsUser,)
    scheme = ""

    @refuses("key_id_not_exists", "executor_result", "policy_validation_failed", *refusals_of("export"))
    @extend_schema(request=ExportSerializer, parameters=[IDEMPOTENCY_KEY], responses=ExportAnswer)
    def post(self, request: Request) -> Response:
        """Make the whole private key at the one party `export_to`; the key is never used for MPC again."""
        fields = valid(ExportSerializer, request.data)
        answer_key = AnswerKey()

        def start(operation: Operation, deadline: datetime) -> None:
            with telling_the_room(str(fields["room_uuid"]), fields.get("relay_address")):
                export_request(
                    user=user_in(request),
                    operation=operation,
                    key_id=fields["key_id"],
                    scheme=self.scheme,
                    export_to=fields["export_to"],
                    room_uuid=str(fields["room_uuid"]),
                    relay_address=fields.get("relay_address"),
                    deadline=deadline,
                    answer_to=answer_key.public,
                )

        action = f"{self.scheme}.export"
        return operations.perform(request, action=action, start=start, cancel=_cancel, answer_key=answer_key)


class Import(ApiView):
    """What importer and recipients share."""

    permission_classes = (IsUser,)
    scheme = ""

    def perform(self, request: Request, fields: dict[str, Any], **role: Any) -> Response:
        """Join the import in a role (see `import_request`)."""

        def start(operation: Operation, deadline: datetime) -> None:
            with telling_the_room(str(fields["room_uuid"]), fields.get("relay_address")):
                import_request(
                    user=user_in(request),
                    operation=operation,
                    key_id=fields["key_id"],
                    scheme=self.scheme,
                    num_parties=fields["num_parties"],
                    threshold=fields["threshold"],
                    others=fields["ids"],
                    room_uuid=str(fields["room_uuid"]),
                    relay_address=fields.get("relay_address"),
                    deadline=deadline,
                    **role,
                )

        return operations.perform(request, action=f"{self.scheme}.import", start=start, cancel=_cancel)


class KeyImporter(Import):
    """POST /{s}/import/key-importer"""

    @refuses(*_IMPORT_REFUSALS)
    @extend_schema(
        request=ImporterSerializer, parameters=[PREFER, IDEMPOTENCY_KEY], responses={200: Empty, 202: Accepted()}
    )
    def post(self, request: Request) -> Response:
        """Deal an existing private key to a quorum; answers once it is `active`."""
        fields = valid(ImporterSerializer, request.data)
        key = private_key(self.scheme, fields["private_key"], fields["key_format"])
        return self.perform(request, fields, dealt=Imported(key, Secret(fields.get("chain_code") or os.urandom(32))))


class KeyShareRecipient(Import):
    """POST /{s}/import/import-key-share-recipient"""

    @refuses(*_IMPORT_REFUSALS)
    @extend_schema(
        request=RecipientSerializer, parameters=[PREFER, IDEMPOTENCY_KEY], responses={200: Empty, 202: Accepted()}
    )
    def post(self, request: Request) -> Response:
        """Receive a share of the key that another party imports; answers once it is `active`."""
        fields = valid(RecipientSerializer, request.data)
        told = {"importer": fields.get("importer_keygen_id"), "expected_pubkey": fields.get("expected_pubkey")}
        return self.perform(request, fields, **told)


class BackupExport(ApiView):
    """GET /{s}/backup/export-key-share/{key_id}"""

    permission_classes = (IsUser,)
    scheme = ""

    @refuses(
        "key_id_not_exists",
        "executor_result",
        "policy_validation_failed",
        "server_share_backup_setting_disabled",
        *refusals_of("backup"),
    )
    @extend_schema(parameters=[IDEMPOTENCY_KEY], responses=BackupAnswer)
    def get(self, request: Request, key_id: str) -> Response:
        """This party's share as a backup, encrypted or not as this vertex is set; recorded before it is given."""
        answer_key = AnswerKey()

        def start(operation: Operation, deadline: datetime) -> None:
            backup_request(
                user=user_in(request),
                operation=operation,
                key_id=key_id_of(key_id),
                scheme=self.scheme,
                answer_to=answer_key.public,
            )

        return operations.perform(request, action=f"{self.scheme}.backup", start=start, answer_key=answer_key)


def _cancel(operation_id: Any) -> bool:
    return session_cancel(operation_id=operation_id)
