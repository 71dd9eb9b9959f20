"""API users and their keys: writes. A token is shown once, by whoever called; here only its hash stays."""

import secrets
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from audit import services as audit
from keys.auth import token_digest
from keys.models import ApiKey, ApiUser, Operator
from vertex.errors import ApiError


@transaction.atomic
def user_create(*, name: str | None, owner: Operator | None, actor: str) -> tuple[ApiUser, str]:
    """A user with a first API key: (user, token). Without a name the id serves as one."""
    user = ApiUser(owner=owner)
    user.name = name or str(user.id)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError as error:
        raise ApiError("user_name_already_exists", "another user has this name") from error
    key, token = _issue(user=user)
    data = {"name": user.name, "owner": user.owner_name, "api_key": key.public_id}
    audit.record(action="user.created", actor=actor, subject=str(user.id), data=data)
    return user, token


@transaction.atomic
def api_key_create(*, user_id: UUID, actor: str, expires_at: datetime | None = None) -> str:
    """A further API key of a user: the token. After `expires_at` it opens nothing."""
    # Locked, so that a deletion of the user and this see each other.
    user = ApiUser.objects.select_for_update().filter(id=user_id).first()
    if user is None:
        raise ApiError("user_id_not_exists", "there is no such user")
    key, token = _issue(user=user, expires_at=expires_at)
    data = {"api_key": key.public_id, "expires_at": expires_at.isoformat() if expires_at else None}
    audit.record(action="api_key.created", actor=actor, subject=str(user.id), data=data)
    return token


@transaction.atomic
def operator_token_create(*, operator: Operator, actor: str) -> str:
    """A token for an operator's own automation."""
    key, token = _issue(operator=operator)
    data = {"api_key": key.public_id}
    audit.record(action="operator_token.created", actor=actor, subject=f"operator:{operator.username}", data=data)
    return token


def _issue(
    *, user: ApiUser | None = None, operator: Operator | None = None, expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    public_id = secrets.token_hex(8)
    token = f"{public_id}_{secrets.token_urlsafe(32)}"
    key = ApiKey.objects.create(
        public_id=public_id, digest=token_digest(token), user=user, operator=operator, expires_at=expires_at
    )
    return key, token


@transaction.atomic
def api_key_revoke(*, api_key: str, user_id: UUID | None = None, actor: str) -> None:
    """Revoke a token, named by itself or by its public part (before the `_`)."""
    public_id, _, secret = api_key.partition("_")
    keys = ApiKey.objects.filter(public_id=public_id, revoked_at=None)
    if secret:
        keys = keys.filter(digest=token_digest(api_key))
    if user_id is not None:
        keys = keys.filter(user_id=user_id)
    if not keys.update(revoked_at=timezone.now()):
        raise ApiError("api_key_not_found", "there is no such API key")
    audit.record(action="api_key.revoked", actor=actor, subject=public_id, data={})


@transaction.atomic
def user_delete(*, user_id: UUID, actor: str) -> None:
    """Delete a user that has no key shares, with its API keys."""
    user = ApiUser.objects.select_for_update().filter(id=user_id).first()
    if user is None:
        raise ApiError("user_id_not_exists", "there is no such user")
    if user.shares.exists():
        raise ApiError("user_has_associated_keys", "this user has key shares")
    user.delete()
    audit.record(action="user.deleted", actor=actor, subject=str(user_id), data={"name": user.name})
