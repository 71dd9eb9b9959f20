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
from keys.create import key_request
from keys.hashes import digest_of
from keys.keygen import keygen_request
from keys.models import Operation
from keys.serializers.answers import NewKeyAnswer, SchnorrAnswer, SignatureAnswer
from keys.serializers.calls import Bip340SignSerializer, EcdsaSignSerializer, Ed25519SignSerializer, KeygenSerializer
from keys.sessions.services import session_cancel, telling_the_room
from keys.signing import sign_request
from keys.views.base import ApiView, valid
from vertex.auth import IsUser
from vertex.openapi import IDEMPOTENCY_KEY, PREFER, Accepted, Empty, refuses

SIGN_REFUSALS = ("key_id_not_exists", "executor_result", *refusals_of("sign"))


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

    def perform(self, request: Request, fields: dict[str, Any], **what: Any) -> Response:
        """Sign ``what`` (see `sign_request`) with the other signers in the room."""

        def start(operation: Operation, deadline: datetime) -> None:
            with telling_the_room(str(fields["room_uuid"]), fields.get("relay_address")):
                sign_request(
                    user=user_in(request),
                    operation=operation,
                    key_id=fields["key_id"],
                    scheme=self.scheme,
                    path=fields.get("derivation_path") or (),
                    room_uuid=str(fields["room_uuid"]),
                    relay_address=fields.get("relay_address"),
                    deadline=deadline,
                    **what,
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
        fields = valid(EcdsaSignSerializer, request.data)
        return self.perform(request, fields, digest=digest_of(fields["msg"], fields["hash_algo"]))


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
        fields = valid(Ed25519SignSerializer, request.data)
        return self.perform(request, fields, message=fields["msg"])


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
        fields = valid(Bip340SignSerializer, request.data)
        return self.perform(request, fields, message=fields["msg"], tweak=fields.get("tweak"))


def _cancel(operation_id: UUID) -> bool:
    return session_cancel(operation_id=operation_id)
