"""Calls that take a protocol: create (a worker makes the identity), keygen, sign."""

from datetime import datetime
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from keys import operations
from keys.auth import user_in
from keys.create import key_request
from keys.hashes import digest_of
from keys.keygen import keygen_request
from keys.models import Operation
from keys.serializers import EcdsaSignSerializer, KeygenSerializer, SignatureAnswer
from keys.sessions.services import session_cancel, telling_the_room
from keys.signing import sign_request
from keys.views.base import ApiView, valid
from vertex.auth import IsUser
from vertex.openapi import IDEMPOTENCY_KEY, PREFER, Accepted, Empty, Text


class Create(ApiView):
    """GET /{s}/create"""

    permission_classes = (IsUser,)
    scheme = ""

    @extend_schema(parameters=[PREFER, IDEMPOTENCY_KEY], responses={200: Text("key_id", "keygen_id"), 202: Accepted()})
    def get(self, request: Request) -> Response:
        """A new key with an identity of its own; the `keygen_id` goes to the other parties."""

        def start(operation: Operation, deadline: datetime) -> None:
            key_request(operation=operation, scheme=self.scheme)

        return operations.perform(request, action=f"{self.scheme}.create", start=start)


class Keygen(ApiView):
    """POST /{s}/keygen"""

    permission_classes = (IsUser,)
    scheme = ""

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


class EcdsaSign(ApiView):
    """POST /ecdsa/sign"""

    permission_classes = (IsUser,)

    @extend_schema(
        request=EcdsaSignSerializer,
        parameters=[PREFER, IDEMPOTENCY_KEY],
        responses={200: SignatureAnswer, 202: Accepted()},
    )
    def post(self, request: Request) -> Response:
        """Sign with the other signers in the room."""
        fields = valid(EcdsaSignSerializer, request.data)
        digest = digest_of(fields["msg"], fields["hash_algo"])

        def start(operation: Operation, deadline: datetime) -> None:
            with telling_the_room(str(fields["room_uuid"]), fields.get("relay_address")):
                sign_request(
                    user=user_in(request),
                    operation=operation,
                    key_id=fields["key_id"],
                    scheme="ecdsa",
                    digest=digest,
                    path=fields.get("derivation_path") or (),
                    room_uuid=str(fields["room_uuid"]),
                    relay_address=fields.get("relay_address"),
                    deadline=deadline,
                )

        return operations.perform(request, action="ecdsa.sign", start=start, cancel=_cancel)


def _cancel(operation_id: UUID) -> bool:
    return session_cancel(operation_id=operation_id)
