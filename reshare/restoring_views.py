"""Routes that bring a share back from its backup, and let it act."""

from datetime import datetime

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from keys import operations
from keys.auth import principal_in
from keys.models import Operation
from keys.serializers.exports import AgreedAnswer, BackupImportSerializer, RestoredAnswer
from keys.serializers.people import DecisionSerializer
from keys.views.base import ApiView, key_id_of, valid
from reshare import restoring
from reshare.views import Vote
from vertex.auth import IsUser
from vertex.openapi import IDEMPOTENCY_KEY, PREFER, Accepted, refuses


class BackupImport(ApiView):
    """POST /{s}/backup/import-key-share"""

    permission_classes = (IsUser,)
    scheme = ""

    @refuses(
        "executor_result",
        "unique_violation",
        "share_superseded",
        "share_erased",
        "server_share_backup_setting_disabled",
    )
    @extend_schema(
        request=BackupImportSerializer,
        parameters=[PREFER, IDEMPOTENCY_KEY],
        responses={200: RestoredAnswer, 202: Accepted()},
    )
    def post(self, request: Request) -> Response:
        """Bring a share back from its backup. It acts once an operator has agreed; bans of after the backup are not
        known here."""
        fields = valid(BackupImportSerializer, request.data)

        def start(operation: Operation, deadline: datetime) -> None:
            restoring.restore_request(
                operation=operation,
                scheme=self.scheme,
                key_share=fields["key_share"],
                export_type=fields.get("export_type"),
            )

        return operations.perform(request, action=f"{self.scheme}.restore", start=start)


class AgreeToShare(Vote):
    """POST /keys/{key_id}/agree"""

    @refuses("key_id_not_exists", "executor_result", "reshare_conflict", "policy_validation_failed")
    @extend_schema(
        request=DecisionSerializer,
        parameters=[PREFER, IDEMPOTENCY_KEY],
        responses={200: AgreedAnswer, 202: Accepted()},
    )
    def post(self, request: Request, key_id: str) -> Response:
        """An operator's word that a restored share may act; answers once it may. With two-person approval the first
        word proposes it."""
        fields = valid(DecisionSerializer, request.data)

        def start(operation: Operation, deadline: datetime) -> None:
            restoring.agree(
                operation=operation,
                key_id=key_id_of(key_id),
                actor=principal_in(request).actor,
                reason=fields["reason"],
                statement_hash=fields.get("statement_hash"),
            )
            operation.refresh_from_db()  # a proposal is answered already

        return operations.perform(request, action="share.agree", start=start)
