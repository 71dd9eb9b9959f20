"""What a deletion's page shows: which share dies, what takes its place, who has stored, which exports exist.

`reshare` makes it; its hash is what an operator approves. Identities are `keygen_id` texts, bytes are hex.
"""

from typing import Any, Self

import msgspec

from audit import chain


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class DyingKey(_Part, frozen=True):
    """The share that dies: `key_id` is this vertex's, empty where the row is about another party's share."""

    key_id: str
    scheme: str
    public_key: str
    generation: int
    gid: str


class QuorumShown(_Part, frozen=True):
    """`key_id` and `generation` where they are known here (a leaver has no new share)."""

    threshold: int
    parties: list[str]
    generation: int
    key_id: str = ""


class Export(_Part, frozen=True):
    """A copy of the dying share that left this vertex."""

    time: str
    caller: str
    kind: str


class DeletionStatement(_Part, frozen=True):
    """`rid` and `digest`: the attempt and what its receipts sign; `digest` is empty until the protocol is through."""

    key: DyingKey
    old: QuorumShown
    new: QuorumShown
    rid: str
    digest: str
    deletions_required: int
    stored: list[str]
    exports: list[Export]

    @classmethod
    def parse(cls, data: Any) -> Self:
        """Raises ValueError (msgspec.ValidationError), which names the field."""
        return msgspec.convert(data, cls)

    def to_data(self) -> dict[str, Any]:
        data: dict[str, Any] = msgspec.to_builtins(self)
        return data

    def hash(self) -> bytes:
        """32 bytes over the canonical form: what an approval names."""
        return chain.digest("deletion", chain.canonical(self.to_data()).encode())
