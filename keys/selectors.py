"""Reads: keys as their owners and admins may see them."""

from functools import lru_cache
from typing import Any, TypeVar
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, F, Model, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Now

from keys.auth import TokenPrincipal
from keys.models import ApiKey, ApiUser, KeyShare
from mpc.identity import encode_keygen_id
from mpc.schemes import scheme_of
from vertex.errors import ApiError

M = TypeVar("M", bound=Model | dict[str, Any])
R = TypeVar("R", bound=Model)
READERS = frozenset({"viewer", "operator", "approver", "auditor"})
_DESCRIBED = (
    "id",
    "user_id",
    "scheme",
    "state",
    "generation",
    "gid",
    "public_key",
    "threshold",
    "parties",
    "predecessor_id",
    "policy_id",
    "created_at",
    "activated_at",
    "erased_at",
)


def key_of(*, user: ApiUser, key_id: UUID, scheme: str | None = None) -> KeyShare:
    """A user's key; an unknown one and another's answer alike."""
    return _only(KeyShare.objects.filter(user=user), key_id=key_id, scheme=scheme)


def key_seen_by(principal: TokenPrincipal, *, key_id: UUID) -> KeyShare:
    """A key that this principal may read about: a user's own, any for admins."""
    return _only(keys_seen_by(principal), key_id=key_id, scheme=None)


def keys_seen_by(principal: TokenPrincipal) -> QuerySet[KeyShare]:
    """All keys that this principal may read about."""
    return seen_by(principal, KeyShare.objects.all())


def seen_by(principal: TokenPrincipal, rows: QuerySet[R]) -> QuerySet[R]:
    """Of rows that each have a `user` those that this principal may read about: a user's own; all for the admin token
    and for operators of any group, none for an operator of none, who sees nothing in the console either."""
    if principal.user is not None:
        return rows.filter(user=principal.user)
    return rows if principal.in_groups(READERS) else rows.none()


def described(keys: QuerySet[KeyShare]) -> QuerySet[KeyShare, dict[str, Any]]:
    """Keys as `key_metadata` takes them: in one query, without what is sealed, and no rows of models made of it."""
    newer = KeyShare.objects.filter(predecessor=OuterRef("pk")).order_by("created_at", "pk")
    return keys.values(*_DESCRIBED, public=F("identity__public"), newer=ArraySubquery(newer.values("pk")))


def _only(keys: QuerySet[KeyShare], *, key_id: UUID, scheme: str | None) -> KeyShare:
    if scheme is not None:
        keys = keys.filter(scheme=scheme)
    key = keys.select_related("identity").filter(id=key_id).first()
    if key is None:
        raise ApiError("key_id_not_exists", "there is no such key")
    return key


def page_after(rows: QuerySet[Any, M], *, after: Any, limit: int) -> tuple[list[M], Any]:
    """A page in order of creation, and the primary key that the next page comes after (None at the end)."""
    if after is not None:
        last = rows.filter(pk=after).values_list("created_at", flat=True).first()
        if last is None:
            raise ApiError("bad_request_params", "after: there is no such row")
        rows = rows.filter(Q(created_at__gt=last) | Q(created_at=last, pk__gt=after))
    found = list(rows.order_by("created_at", "pk")[: limit + 1])
    if len(found) <= limit:
        return found, None
    last_one: Any = found[limit - 1]
    return found[:limit], last_one["id"] if isinstance(last_one, dict) else last_one.pk


def users_counted() -> QuerySet[ApiUser]:
    """Users with `key_count` and `api_key_count`: their shares, and the API keys that open something now."""
    usable = ApiKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=Now()), user=OuterRef("pk"), revoked_at=None)
    shares = KeyShare.objects.filter(user=OuterRef("pk"))
    return ApiUser.objects.select_related("owner").annotate(key_count=_count(shares), api_key_count=_count(usable))


def _count(rows: QuerySet[Any]) -> Coalesce:
    counted = rows.order_by().values("user").annotate(counted=Count("pk")).values("counted")
    return Coalesce(Subquery(counted), 0)


def keygen_id(key: KeyShare) -> str:
    """The public half of this party's identity for the key, as text."""
    return encode_keygen_id(bytes(key.identity.public))


def key_metadata(key: dict[str, Any]) -> dict[str, Any]:
    """What may be said of a key (a row of `described`): never a secret."""
    return {
        "key_id": key["id"],
        "keygen_id": _as_text(bytes(key["public"])),
        "user_id": key["user_id"],
        "scheme": key["scheme"],
        "state": key["state"],
        "generation": key["generation"],
        "gid": _hex(key["gid"]),
        "public_key": shown_key(key["scheme"], key["public_key"]),
        "threshold": key["threshold"],
        "num_parties": len(key["parties"]) or None,
        "parties": [_as_text(bytes.fromhex(party)) for party in key["parties"]],
        "old_key_id": key["predecessor_id"],
        "new_key_ids": key["newer"],
        "policy_id": key["policy_id"],
        "created_at": key["created_at"],
        "activated_at": key["activated_at"],
        "erased_at": key["erased_at"],
    }


@lru_cache(maxsize=4096)
def _as_text(public: bytes) -> str:
    """A keygen id; lists name the same parties again and again."""
    return encode_keygen_id(public)


def shown_key(scheme: str, public_key: bytes | memoryview | None) -> str | None:
    """A public key as the scheme's users know it, in hex: of BIP340 the 32 bytes of x."""
    return scheme_of(scheme).shown(bytes(public_key)).hex() if public_key is not None else None


def _hex(value: bytes | memoryview | None) -> str | None:
    return bytes(value).hex() if value is not None else None
