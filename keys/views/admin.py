"""/admin: API users, their keys, and what keys there are."""

from collections import defaultdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from keys import operations, users
from keys.auth import principal_in
from keys.models import ApiUser, KeyShare
from keys.selectors import shown_key
from keys.serializers.answers import KeysByUserAnswer, NewUserAnswer, UserKeysAnswer
from keys.serializers.people import CreateUserSerializer, RevokeSerializer, UserSerializer
from keys.views.base import ApiView, body_or_query, valid
from vertex.auth import IsAdmin
from vertex.errors import ApiError
from vertex.openapi import IDEMPOTENCY_KEY, Empty, refuses

READERS = frozenset({"viewer", "operator", "approver", "auditor"})
# The names of the wire format that clients know.
_TYPES = {"ecdsa": "Ecdsa", "ed25519": "Ed25519", "bip340": "BIP340"}


class AdminView(ApiView):
    permission_classes = (IsAdmin,)


class CreateUser(AdminView):
    """GET /admin/create-user"""

    @refuses("user_name_already_exists")
    @extend_schema(parameters=[CreateUserSerializer, IDEMPOTENCY_KEY], responses=NewUserAnswer)
    def get(self, request: Request) -> Response:
        """A new user with a first API key, shown this once. An operator's token makes that operator its owner."""
        name = valid(CreateUserSerializer, request.query_params.dict())["name"]

        def make() -> tuple[dict[str, Any], dict[str, Any]]:
            user, token = users.user_create(
                name=name, owner=principal_in(request).operator, actor=principal_in(request).actor
            )
            return {"api_key": token, "user_id": str(user.id)}, {"user_id": str(user.id)}

        return operations.once(request, action="create-user", make=make)


class GenerateApiKey(AdminView):
    """GET /admin/generate-api-key"""

    @refuses("user_id_not_exists")
    @extend_schema(parameters=[UserSerializer, IDEMPOTENCY_KEY], responses=NewUserAnswer)
    def get(self, request: Request) -> Response:
        """A further API key of a user, shown this once."""
        user_id = valid(UserSerializer, request.query_params.dict())["user_id"]

        def make() -> tuple[dict[str, Any], dict[str, Any]]:
            token = users.api_key_create(user_id=user_id, actor=principal_in(request).actor)
            return {"api_key": token, "user_id": str(user_id)}, {"user_id": str(user_id)}

        return operations.once(request, action="generate-api-key", make=make)


class RevokeApiKey(AdminView):
    """DELETE /admin/revoke-api-key"""

    @refuses("api_key_not_found")
    @extend_schema(parameters=[RevokeSerializer], request=RevokeSerializer, responses={200: Empty})
    def delete(self, request: Request) -> Response:
        """Revoke an API key; fields in the body or the query."""
        fields = valid(RevokeSerializer, body_or_query(request))
        users.api_key_revoke(
            api_key=fields["api_key"], user_id=fields.get("user_id"), actor=principal_in(request).actor
        )
        return Response({})


class DeleteUser(AdminView):
    """DELETE /admin/delete-user"""

    @refuses("user_id_not_exists", "user_has_associated_keys")
    @extend_schema(parameters=[UserSerializer], request=UserSerializer, responses={200: Empty})
    def delete(self, request: Request) -> Response:
        """Delete a user that has no key shares; fields in the body or the query."""
        users.user_delete(
            user_id=valid(UserSerializer, body_or_query(request))["user_id"], actor=principal_in(request).actor
        )
        return Response({})


def _line(key: KeyShare) -> dict[str, Any]:
    return {
        "key_id": str(key.id),
        "key_type": "NotInititalizedYet" if key.state == KeyShare.State.CREATED else _TYPES[key.scheme],
        "state": key.state,
        "public_key": shown_key(key.scheme, key.public_key),
    }


class ListSystemKeys(AdminView):
    """GET /admin/list-all-system-keys"""

    operator_groups = READERS

    @extend_schema(responses=KeysByUserAnswer)
    def get(self, request: Request) -> Response:
        """All keys, by user."""
        by_user: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for key in KeyShare.objects.order_by("created_at", "id").iterator():
            by_user[str(key.user_id)].append(_line(key))
        return Response({"keys_by_user": by_user})


class ListUserKeys(AdminView):
    """GET /admin/list-all-user-keys"""

    operator_groups = READERS

    @refuses("user_id_not_exists")
    @extend_schema(parameters=[UserSerializer], responses=UserKeysAnswer)
    def get(self, request: Request) -> Response:
        """All keys of one user."""
        user = ApiUser.objects.filter(id=valid(UserSerializer, request.query_params.dict())["user_id"]).first()
        if user is None:
            raise ApiError("user_id_not_exists", "there is no such user")
        return Response({"keys": [_line(key) for key in user.shares.order_by("created_at", "id")]})
