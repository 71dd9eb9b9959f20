"""/admin: API users, their keys, and what keys there are."""

from collections import defaultdict
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from keys import operations, users
from keys.auth import principal_in
from keys.models import ApiKey, ApiUser, KeyShare
from keys.selectors import READERS, shown_key, users_counted
from keys.serializers.answers import (
    ApiKeyListAnswer,
    IssuedKeyAnswer,
    KeysByUserAnswer,
    NewUserAnswer,
    UserKeysAnswer,
    UserListAnswer,
)
from keys.serializers.fields import PageSerializer
from keys.serializers.people import (
    ApiKeysSerializer,
    CreateUserSerializer,
    GenerateKeySerializer,
    RevokeSerializer,
    UserSerializer,
)
from keys.views.base import ApiView, body_or_query, paged, valid
from vertex.auth import IsAdmin
from vertex.errors import ApiError
from vertex.openapi import IDEMPOTENCY_KEY, Empty, refuses

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
    @extend_schema(parameters=[GenerateKeySerializer, IDEMPOTENCY_KEY], responses=IssuedKeyAnswer)
    def get(self, request: Request) -> Response:
        """A further API key of a user, shown this once; with `expires_in` it ends by itself."""
        fields = valid(GenerateKeySerializer, request.query_params.dict())
        user_id, life = fields["user_id"], fields.get("expires_in")

        def make() -> tuple[dict[str, Any], dict[str, Any]]:
            ends = timezone.now() + timedelta(seconds=life) if life is not None else None
            token = users.api_key_create(user_id=user_id, actor=principal_in(request).actor, expires_at=ends)
            public = {"user_id": str(user_id)} | ({"expires_at": ends.isoformat()} if ends else {})
            return {"api_key": token, **public}, public

        return operations.once(request, action="generate-api-key", make=make)


class ListUsers(AdminView):
    """GET /admin/list-users"""

    operator_groups = READERS

    @extend_schema(parameters=[PageSerializer], responses=UserListAnswer)
    def get(self, request: Request) -> Response:
        """All users, in order of creation."""
        return paged(request, users_counted(), _user)


class ListApiKeys(AdminView):
    """GET /admin/list-api-keys"""

    operator_groups = READERS

    @refuses("user_id_not_exists")
    @extend_schema(parameters=[ApiKeysSerializer], responses=ApiKeyListAnswer)
    def get(self, request: Request) -> Response:
        """The API keys of a user, also those that are revoked or have expired; never the keys themselves."""
        user = _user_named(valid(ApiKeysSerializer, request.query_params.dict())["user_id"])
        return paged(request, user.api_keys.all(), _api_key, serializer=ApiKeysSerializer, user_id=str(user.id))


def _user_named(user_id: UUID) -> ApiUser:
    user = ApiUser.objects.filter(id=user_id).first()
    if user is None:
        raise ApiError("user_id_not_exists", "there is no such user")
    return user


def _user(user: ApiUser) -> dict[str, Any]:
    return {
        "user_id": str(user.id),
        "name": user.name,
        "owner": user.owner_name,
        "keys": user.key_count,  # type: ignore[attr-defined]  # see users_counted
        "api_keys": user.api_key_count,  # type: ignore[attr-defined]
        "created_at": user.created_at,
    }


def _api_key(key: ApiKey) -> dict[str, Any]:
    return {
        "api_key": key.public_id,
        "user_id": str(key.user_id),
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }


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
        user = _user_named(valid(UserSerializer, request.query_params.dict())["user_id"])
        return Response({"keys": [_line(key) for key in user.shares.order_by("created_at", "id")]})
