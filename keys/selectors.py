"""Reads: keys as their owners and admins may see them."""

from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Count, Model, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Now

from keys.auth import TokenPrincipal
from keys.models import ApiKey, ApiUser, KeyShare
from mpc.identity import encode_keygen_id
from mpc.schemes import scheme_of
from vertex.errors import ApiError

M = TypeVar("M", bound=Model)


def key_of(*, user: ApiUser, key_id: UUID, scheme: str | None = None) -> KeyShare:
    """A user's key; an unknown one and another's answer alike."""
    return _only(KeyShare.objects.filter(user=user), key_id=key_id, scheme=scheme)


def key_seen_by(principal: TokenPrincipal, *, key_id: UUID) -> KeyShare:
    """A key that this principal may read about: a user's own, any for admins."""
    return _only(keys_seen_by(principal), key_id=key_id, scheme=None)


def keys_seen_by(principal: TokenPrincipal) -> QuerySet[KeyShare]:
    """All keys that this principal may read about."""
    keys = KeyShare.objects.select_related("identity").prefetch_related("successors")
    return keys.filter(user=principal.user) if principal.user else keys


def _only(keys: QuerySet[KeyShare], *, key_id: UUID, scheme: str | None) -> KeyShare:
    if scheme is not None:
        keys = keys.filter(scheme=scheme)
    key = keys.select_related("identity").filter(id=key_id).first()
    if key is None:
        raise ApiError("key_id_not_exists", "there is no such key")
    return key


def page_after(rows: QuerySet[M], *, after: Any, limit: int) -> tuple[list[M], Any]:
    """A page in order of creation, and the primary key that the next page comes after (None at the end)."""
    if after is not None:
        last = rows.filter(pk=after).values_list("created_at", flat=True).first()
        if last is None:
            raise ApiError("bad_request_params", "after: there is no such row")
        rows = rows.filter(Q(created_at__gt=last) | Q(created_at=last, pk__gt=after))
    found = list(rows.order_by("created_at", "pk")[: limit + 1])
    return found[:limit], found[limit - 1].pk if len(found) > limit else None


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


def key_metadata(key: KeyShare) -> dict[str, Any]:
    """What may be said of a key: never a secret."""
    return {
        "key_id": str(key.id),
        "keygen_id": keygen_id(key),
        "user_id": str(key.user_id),
        "scheme": key.scheme,
        "state": key.state,
        "generation": key.generation,
        "gid": _hex(key.gid),
        "public_key": shown_key(key.scheme, key.public_key),
        "threshold": key.threshold,
        "num_parties": len(key.parties) or None,
        "parties": [encode_keygen_id(bytes.fromhex(party)) for party in key.parties],
        "old_key_id": str(key.predecessor_id) if key.predecessor_id else None,
        "new_key_ids": [str(successor.id) for successor in key.successors.all()],
        "policy_id": str(key.policy_id) if key.policy_id else None,
        "created_at": key.created_at,
        "activated_at": key.activated_at,
        "erased_at": key.erased_at,
    }


def shown_key(scheme: str, public_key: bytes | memoryview | None) -> str | None:
    """A public key as the scheme's users know it, in hex: of BIP340 the 32 bytes of x."""
    return scheme_of(scheme).shown(bytes(public_key)).hex() if public_key is not None else None


def _hex(value: bytes | memoryview | None) -> str | None:
    return bytes(value).hex() if value is not None else None
