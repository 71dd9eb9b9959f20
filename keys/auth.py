"""Tokens: the `Authorization` header against the stored hashes, and the principal that it stands for."""

import hashlib
import hmac
from dataclasses import dataclass
from typing import cast

import structlog
from django.conf import settings
from prometheus_client import Counter
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from keys.models import ApiKey, ApiUser, Operator
from vertex.auth import Kind

logger = structlog.get_logger(__name__)
access_denied = Counter("vertex_access_denied", "Requests with an unknown, revoked or missing token")

MAX_TOKEN = 256


@dataclass(frozen=True)
class TokenPrincipal:
    """The bearer of an accepted token; neither `user` nor `operator` for the settings' admin token."""

    user: ApiUser | None = None
    operator: Operator | None = None
    is_authenticated = True

    @property
    def kind(self) -> Kind:
        """`user`, `operator` or `admin`."""
        return "user" if self.user else "operator" if self.operator else "admin"

    @property
    def actor(self) -> str:
        """The audit log's name of this principal."""
        if self.user:
            return f"user:{self.user.id}"
        return f"operator:{self.operator.username}" if self.operator else "admin"

    @property
    def pk(self) -> str:
        """Bound to the request's log lines."""
        return self.actor

    def in_groups(self, names: frozenset[str]) -> bool:
        """The admin token stands above groups, an API user is in none."""
        if self.operator is None:
            return self.user is None
        return self.operator.groups.filter(name__in=names).exists()


def token_digest(token: str) -> bytes:
    """What is stored of a token: SHA-256 (its secret part has 256 random bits)."""
    return hashlib.sha256(token.encode()).digest()


def principal_in(request: Request) -> TokenPrincipal:
    """The bearer of an authenticated request."""
    return cast("TokenPrincipal", request.user)


def user_in(request: Request) -> ApiUser:
    """The API user of a request that `IsUser` has let through."""
    user = principal_in(request).user
    if user is None:
        raise TypeError("this view must demand IsUser")
    return user


class TokenAuthentication(BaseAuthentication):
    """`Authorization: <token>`, a `Bearer ` prefix tolerated."""

    def authenticate(self, request: Request) -> tuple[TokenPrincipal, None]:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        principal = principal_of(token)
        if principal is None:
            access_denied.inc()
            logger.warning("access_denied", path=request.path, given=bool(token))
            raise AuthenticationFailed
        return principal, None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def principal_of(token: str) -> TokenPrincipal | None:
    """Whose token this is, or None. Hashes are compared, in constant time."""
    if not token or len(token) > MAX_TOKEN or not token.isascii() or not token.isprintable():
        return None
    digest = token_digest(token)
    admin: str = settings.VERTEX_ADMIN_TOKEN
    if admin and hmac.compare_digest(digest, token_digest(admin)):
        return TokenPrincipal()
    public_id = token.partition("_")[0]
    row = ApiKey.objects.select_related("user", "operator").filter(public_id=public_id, revoked_at=None).first()
    if row is None or not hmac.compare_digest(digest, bytes(row.digest)):
        return None
    if row.operator is not None and not row.operator.is_active:
        return None
    return TokenPrincipal(user=row.user, operator=row.operator)
