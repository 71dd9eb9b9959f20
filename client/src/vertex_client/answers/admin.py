"""Answers to admins and probes."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class NewApiKey:
    """A user's API key, told this once and not shown by `repr`; None in the repeated answer of a call whose first
    answer was lost: generate another."""

    user_id: str
    api_key: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True)
class User:
    """`keys`: how many shares it has or had; `api_keys`: how many it can use now."""

    user_id: str
    name: str
    owner: str | None
    keys: int
    api_keys: int
    created_at: datetime


@dataclass(frozen=True)
class ApiKey:
    """An API key by its public part."""

    api_key: str
    user_id: str
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True)
class KeyLine:
    """A share in an admin's list; `key_type` in the words of the wire format."""

    key_id: str
    key_type: str
    state: str
    public_key: str | None


@dataclass(frozen=True)
class KeysByUser:
    """All shares by their users' ids."""

    keys_by_user: dict[str, tuple[KeyLine, ...]]


@dataclass(frozen=True)
class UserKeys:
    """The shares of a user."""

    keys: tuple[KeyLine, ...]


@dataclass(frozen=True)
class Event:
    """An event of the log; `hash` covers it and the one before."""

    seq: int
    time: datetime
    action: str
    actor: str
    subject: str
    data: Any
    previous: str
    hash: str


@dataclass(frozen=True)
class Head:
    """The end of the event log, signed (ECDSA P-256, SHA-256, DER) by the vertex's ES256 key."""

    seq: int
    hash: str
    time: datetime
    statement: str
    signature: str


@dataclass(frozen=True)
class Health:
    """What a probe answers."""

    status: str


@dataclass(frozen=True)
class Version:
    """The version of the vertex's software."""

    version: str
