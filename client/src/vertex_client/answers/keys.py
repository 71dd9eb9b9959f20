"""Answers about keys."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from vertex_client.answers.common import Problem


@dataclass(frozen=True)
class Room:
    """Where the parties of one protocol meet."""

    room_uuid: str


@dataclass(frozen=True)
class NewKey:
    """An identity for a key to be: `key_id` is this vertex's name of it, `keygen_id` goes to the other parties."""

    key_id: str
    keygen_id: str


@dataclass(frozen=True)
class KeyId:
    """A share's name at this vertex."""

    key_id: str


@dataclass(frozen=True)
class Restored:
    """A share that came back from a backup made at `bans_known_until`: later bans are not known to it."""

    key_id: str
    bans_known_until: datetime


@dataclass(frozen=True)
class Agreed:
    """False: proposed, another operator must approve."""

    agreed: bool


@dataclass(frozen=True)
class ExportId:
    """This party's keygen id for a share."""

    export_id: str


@dataclass(frozen=True)
class EcdsaSignature:
    """`r` and `s` 32 bytes each, `s` low; `v` the recovery id, 0 to 3; `der` the same as DER."""

    r: str
    s: str
    v: int
    der: str


@dataclass(frozen=True)
class SchnorrSignature:
    """64 bytes: Ed25519's or BIP340's."""

    signature: str


Signature = EcdsaSignature | SchnorrSignature


@dataclass(frozen=True)
class EcdsaPublicKey:
    """33 and 65 bytes."""

    compressed: str
    uncompressed: str


@dataclass(frozen=True)
class SchnorrPublicKey:
    """32 bytes."""

    pubkey: str


@dataclass(frozen=True)
class PrivateKey:
    """At the party that was exported to, else None. It is not shown by `repr`."""

    private_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Backup:
    """A share to be kept elsewhere. It is not shown by `repr`."""

    key_share: str = field(repr=False)
    export_type: Literal["plaintext", "encrypted"]


@dataclass(frozen=True)
class KeyShare:
    """What may be said of a share: never a secret. `public_key` and the quorum are None before key generation."""

    key_id: str
    keygen_id: str
    user_id: str
    scheme: str
    state: str
    generation: int
    gid: str | None
    public_key: str | None
    threshold: int | None
    num_parties: int | None
    parties: tuple[str, ...]
    old_key_id: str | None
    new_key_ids: tuple[str, ...]
    policy_id: str | None
    created_at: datetime
    activated_at: datetime | None
    erased_at: datetime | None


@dataclass(frozen=True)
class Receipts:
    """Signed statements, and the preimage of what they sign: whoever carries them needs no trust."""

    receipts: tuple[str, ...]
    preimage: str | None


@dataclass(frozen=True)
class Received:
    """How many receipts were new."""

    new: int


@dataclass(frozen=True)
class Begun:
    """An asynchronous call; without `operation_id` it was done at once."""

    operation_id: str | None = None


@dataclass(frozen=True)
class Operation:
    """A call that takes a protocol: `pending`, `done` with a `result`, or `failed` with an `error`."""

    operation_id: str
    action: str
    state: str
    status: int | None
    result: Any = field(repr=False)
    error: Problem | None
    created_at: datetime
    finished_at: datetime | None
