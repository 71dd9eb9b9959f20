"""Calls that take a protocol: create (a worker makes the identity), keygen, sign."""

from datetime import datetime
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from keys import operations
from keys.actions import refusals_of
from keys.auth import user_in
from keys.batch import batch_cancel, batch_request
from keys.create import key_request
from keys.keygen import keygen_request
from keys.models import Operation
from keys.serializers.answers import (
    EcdsaSigned,
    NewKeyAnswer,
    SchnorrAnswer,
    SchnorrSigned,
    SignatureAnswer,
    batch_answers,
)
from keys.serializers.calls import (
    BatchSerializer,
    Bip340BatchSerializer,
    Bip340SignSerializer,
    EcdsaBatchSerializer,
    EcdsaSignSerializer,
    Ed25519BatchSerializer,
    Ed25519SignSerializer,
    KeygenSerializer,
)
from keys.sessions.services import session_cancel, telling_the_room
from keys.signing import sign_request
from keys.views.base import ApiView, valid
from vertex.auth import IsUser
from vertex.openapi import IDEMPOTENCY_KEY, PREFER, Accepted, Empty, refuses

SIGN_REFUSALS = ("key_id_not_exists", "executor_result", "policy_validation_failed", *refusals_of("sign"))


class Create(ApiView):
    """GET /{s}/create"""

    permission_classes = (IsUser,)
    scheme = ""

    @refuses("executor_result")
    @extend_schema(parameters=[PREFER, IDEMPOTENCY_KEY], responses={200: NewKeyAnswer, 202: Accepted()})
    def get(self, request: Request) -> Response:
        """A new key with an identity of its own; the `keygen_id` goes to the other parties."""

        def start(operation: Operation, deadline: datetime) -> None:
            key_request(operation=operation, scheme=self.scheme)

        return operations.perform(request, action=f"{self.scheme}.create", start=start)


class Keygen(ApiView):
    """POST /{s}/keygen"""

    permission_classes = (IsUser,)
    scheme = ""

    @refuses("key_id_not_exists", "bad_n_and_t_params", "executor_result", *refusals_of("keygen"))
    @extend_schema(
        request=KeygenSerializer, parameters=[PREFER, IDEMPOTENCY_KEY], responses={200: Empty, 202: Accepted()}
    )
    def post(self, request: Request) -> Response:
        """Generate the key with the other parties; answers once it is `active`."""
        fields = valid(KeygenSerializer, request.data)

        def start(operation: Operation, deadline: datetime) -> None:
            with telling_the_room(str(fields["room_uuid"]), fields.get("relay_address")):
                keygen_request(
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
                )

        return operations.perform(request, action=f"{self.scheme}.keygen", start=start, cancel=_cancel)


class Sign(ApiView):
    """What the schemes' routes share: validate, join the room, wait."""

    permission_classes = (IsUser,)
    scheme = ""

    def perform(self, request: Request, fields: dict[str, Any]) -> Response:
        """Sign with the other signers in the room."""

        def start(operation: Operation, deadline: datetime) -> None:
            with telling_the_room(str(fields["room_uuid"]), fields.get("relay_address")):
                sign_request(
                    user=user_in(request),
                    operation=operation,
                    scheme=self.scheme,
                    fields=fields,
                    deadline=deadline,
                )

        return operations.perform(request, action=f"{self.scheme}.sign", start=start, cancel=_cancel)


class EcdsaSign(Sign):
    """POST /ecdsa/sign"""

    scheme = "ecdsa"

    @refuses(*SIGN_REFUSALS)
    @extend_schema(
        request=EcdsaSignSerializer,
        parameters=[PREFER, IDEMPOTENCY_KEY],
        responses={200: SignatureAnswer, 202: Accepted()},
    )
    def post(self, request: Request) -> Response:
        """Sign with the other signers in the room."""
        return self.perform(request, valid(EcdsaSignSerializer, request.data))


class Ed25519Sign(Sign):
    """POST /ed25519/sign"""

    scheme = "ed25519"

    @refuses(*SIGN_REFUSALS)
    @extend_schema(
        request=Ed25519SignSerializer,
        parameters=[PREFER, IDEMPOTENCY_KEY],
        responses={200: SchnorrAnswer, 202: Accepted()},
    )
    def post(self, request: Request) -> Response:
        """Sign the message itself with the other signers in the room."""
        return self.perform(request, valid(Ed25519SignSerializer, request.data))


class Bip340Sign(Sign):
    """POST /bip340/sign"""

    scheme = "bip340"

    @refuses(*SIGN_REFUSALS)
    @extend_schema(
        request=Bip340SignSerializer,
        parameters=[PREFER, IDEMPOTENCY_KEY],
        responses={200: SchnorrAnswer, 202: Accepted()},
    )
    def post(self, request: Request) -> Response:
        """Sign the message itself, of any length, with the other signers in the room; with a `tweak` under the taproot
        output key."""
        return self.perform(request, valid(Bip340SignSerializer, request.data))


class BatchSign(ApiView):
    """What the schemes' routes share: validate, join the rooms, wait."""

    permission_classes = (IsUser,)
    scheme = ""
    serializer: type[BatchSerializer]

    def perform(self, request: Request) -> Response:
        """Sign with the other signers in one room, or in one for each request."""
        fields = valid(self.serializer, request.data)

        def start(operation: Operation, deadline: datetime) -> None:
            batch_request(
                user=user_in(request),
                operation=operation,
                scheme=self.scheme,
                requests=fields["requests"],
                deadline=deadline,
            )

        return operations.perform(
            request,
            action=f"{self.scheme}.batch-sign",
            start=start,
            cancel=lambda operation_id: batch_cancel(operation_id=operation_id),
        )


class EcdsaBatchSign(BatchSign):
    """POST /ecdsa/batch-sign"""

    scheme = "ecdsa"
    serializer = EcdsaBatchSerializer

    @refuses("batch_too_large", *SIGN_REFUSALS)
    @extend_schema(
        request=EcdsaBatchSerializer,
        parameters=[PREFER, IDEMPOTENCY_KEY],
        responses={200: batch_answers(EcdsaSigned), 202: Accepted()},
    )
    def post(self, request: Request) -> Response:
        """Sign each with the other signers, in one room for all or one for each; answers in the same order."""
        return self.perform(request)


class Ed25519BatchSign(BatchSign):
    """POST /ed25519/batch-sign"""

    scheme = "ed25519"
    serializer = Ed25519BatchSerializer

    @refuses("batch_too_large", *SIGN_REFUSALS)
    @extend_schema(
        request=Ed25519BatchSerializer,
        parameters=[PREFER, IDEMPOTENCY_KEY],
        responses={200: batch_answers(SchnorrSigned), 202: Accepted()},
    )
    def post(self, request: Request) -> Response:
        """Sign each message itself, in one room for all or one for each; answers in the same order."""
        return self.perform(request)


class Bip340BatchSign(BatchSign):
    """POST /bip340/batch-sign"""

    scheme = "bip340"
    serializer = Bip340BatchSerializer

    @refuses("batch_too_large", *SIGN_REFUSALS)
    @extend_schema(
        request=Bip340BatchSerializer,
        parameters=[PREFER, IDEMPOTENCY_KEY],
        responses={200: batch_answers(SchnorrSigned), 202: Accepted()},
    )
    def post(self, request: Request) -> Response:
        """Sign each message itself, in one room for all or one for each; answers in the same order."""
        return self.perform(request)


def _cancel(operation_id: UUID) -> bool:
    return session_cancel(operation_id=operation_id)
