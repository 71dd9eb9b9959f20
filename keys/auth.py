"""Tokens: the `Authorization` header against the stored hashes, and the principal that it stands for."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

import structlog
from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from prometheus_client import Counter
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from keys.models import ApiKey, ApiUser, Operator
from vertex.auth import Kind
from vertex.errors import ApiError
from vertex.throttles import Guesses

logger = structlog.get_logger(__name__)
access_denied = Counter("vertex_access_denied", "Requests with an unknown, revoked or missing token")

MAX_TOKEN = 256
PUBLIC_ID = 16  # hex digits, before the `_` of a token
USED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class TokenPrincipal:
    """The bearer of an accepted token; neither `user` nor `operator` for the settings' admin token."""

    user: ApiUser | None = None
    operator: Operator | None = None
    token_id: str | None = None  # public part of the token, whose calls are counted
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
    """`Authorization: <token>`, a `Bearer ` prefix tolerated.

    Who guesses from one address too often is not heard for a while, whatever is tried; the users' tokens, which nobody
    can guess, go on: an outsider behind the same proxy locks out none of them.
    """

    def authenticate(self, request: Request) -> tuple[TokenPrincipal, None]:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if token and (principal := principal_of(token)) is not None:
            return principal, None
        if token:
            guesses = Guesses(request)
            if wait := guesses.wait():
                access_denied.inc()
                raise ApiError("too_many_requests", "too many unknown tokens from this address", retry_after=wait)
            if is_admin_token(token):
                return TokenPrincipal(), None
            guesses.spent()
        access_denied.inc()
        logger.warning("access_denied", path=request.path, given=bool(token))
        raise AuthenticationFailed

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def is_admin_token(token: str) -> bool:
    """Whether it is the settings' admin token, if there is one."""
    admin: str = settings.VERTEX_ADMIN_TOKEN
    return _well_formed(token) and bool(admin) and hmac.compare_digest(token_digest(token), token_digest(admin))


def principal_of(token: str) -> TokenPrincipal | None:
    """Whose token this is, a user's or an operator's, or None. Hashes are compared, in constant time."""
    public_id = token.partition("_")[0]
    if not _well_formed(token) or len(public_id) != PUBLIC_ID:
        return None
    row = ApiKey.objects.select_related("user").filter(public_id=public_id, revoked_at=None).first()
    if row is None or not hmac.compare_digest(token_digest(token), bytes(row.digest)):
        return None
    now = timezone.now()
    if row.expires_at is not None and row.expires_at <= now:
        return None
    if row.operator is not None and not row.operator.is_active:
        return None
    if row.last_used_at is None or now - row.last_used_at >= USED_EVERY:
        _used(row)
    return TokenPrincipal(user=row.user, operator=row.operator, token_id=row.public_id)


def _well_formed(token: str) -> bool:
    return 0 < len(token) <= MAX_TOKEN and token.isascii() and token.isprintable()


def _used(row: ApiKey) -> None:
    """Once a minute, however many calls see that it is due."""
    due = Q(last_used_at=None) | Q(last_used_at__lte=Now() - USED_EVERY)
    ApiKey.objects.filter(due, public_id=row.public_id).update(last_used_at=Now())
