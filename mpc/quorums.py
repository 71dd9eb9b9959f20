"""What one party was asked for in a reshare, and what its hello says of it.

Words (lifecycle.md): O, n, t the old quorum; N, n', t' the new; existing = in both, joining = in N only, departing =
in O only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mpc.errors import Malformed
from mpc.identity import Identity, verify
from mpc.schemes import group_of
from mpc.shares import Share, check_quorum
from mpc.wire import (
    MAX_K,
    MAX_RECEIPT_BYTES,
    MAX_RECEIPTS,
    Description,
    Hello,
    ReshareExtra,
    ReshareFields,
    decode,
    encode,
)

Role = Literal["existing", "joining", "departing"]

DEALS = "+deals"


def deletions_range(n: int, t: int) -> range:
    """The allowed ``d``: from n − t + 1, the default, to n − t + 1 + min(n − t, t − 1)."""
    least = n - t + 1
    return range(least, least + min(n - t, t - 1) + 1)


@dataclass(frozen=True)
class ReshareConfig:
    """What a party was asked for. ValueError for what can't be.

    ``store_by``, ``vote_by``: seconds.  ``d`` None: whatever the others say, by default n − t + 1.  ``old_quorum``:
    for a party of O whose share is gone, what it knows of its generation; from a share it is taken by itself.
    ``expected_pubkey`` and ``old_threshold`` are a joiner's, checked against the old quorum's word.
    """

    room: str
    size: int
    scheme: str
    new_identities: tuple[bytes, ...]
    new_t: int
    store_by: int
    vote_by: int
    role: Role
    deals: bool
    d: int | None = None
    highest_k: int = 0
    receipts: tuple[bytes, ...] = ()
    expected_pubkey: bytes | None = None
    old_threshold: int | None = None
    old_quorum: Description | None = field(default=None)

    def __post_init__(self) -> None:
        group_of(self.scheme)
        check_quorum(self.new_t, self.new_identities)
        object.__setattr__(self, "new_identities", tuple(sorted(self.new_identities)))
        if self.size < len(self.new_identities):
            raise ValueError("the room is too small for the new quorum")
        if self.role not in ("existing", "joining", "departing") or (self.deals and self.role == "joining"):
            raise ValueError("existing and departing parties deal, joining ones don't")
        if min(self.store_by, self.vote_by) <= 0 or not 0 <= self.highest_k <= MAX_K:
            raise ValueError("durations are positive, and k is less than 2^31 − 1")
        if len(self.receipts) > MAX_RECEIPTS or any(len(receipt) > MAX_RECEIPT_BYTES for receipt in self.receipts):
            raise ValueError("too many receipts for a hello")

    def description(self, me: bytes, old: Share | None) -> Description | None:
        """The old quorum as this party knows it. ValueError if role, share and identities don't fit together."""
        known = old.description() if old else self.old_quorum
        if self.role == "joining":
            if known or me not in self.new_identities:
                raise ValueError("a joining party is of the new quorum and has no old share")
            return None
        if known is None or me not in known.identities or known.scheme != self.scheme:
            raise ValueError("an old party needs what it knows of its generation")
        if (self.role == "existing") != (me in self.new_identities):
            raise ValueError("existing means in both quorums, departing in the old one only")
        if self.deals and (old is None or old.identity != me):
            raise ValueError("who deals needs its old share")
        if self.d is not None and self.d not in deletions_range(len(known.identities), known.t):
            raise ValueError("deletions_required is out of range for this quorum")
        return known


def make_hello(me: Identity, config: ReshareConfig, known: Description | None, nonce: bytes, ephemeral: bytes) -> Hello:
    """R0: the fields that the sender knows, its role, receipts and highest k; an old party signs its quorum's
    description.
    """
    fields = ReshareFields(
        room=config.room,
        scheme=config.scheme,
        size=config.size,
        new_identities=config.new_identities,
        new_t=config.new_t,
        store_by=config.store_by,
        vote_by=config.vote_by,
        d=config.d,
        gid=known.gid if known else None,
        old_identities=known.identities if known else None,
        old_t=known.t if known else None,
        public_key=known.public_key if known else None,
        public_shares=known.public_shares if known else None,
        chain_code_hash=known.chain_code_hash if known else None,
    )
    extra = ReshareExtra(
        highest_k=config.highest_k,
        receipts=config.receipts,
        description=me.sign("description", encode(known)) if known else b"",
    )
    role = config.role + (DEALS if config.deals else "")
    return Hello("reshare", nonce, ephemeral, role, encode(fields), encode(extra))


def described(sender: bytes, hello: Hello) -> Description | None:
    """The old quorum that an old party's hello describes, validly signed by a party of it; else None. Raises
    Malformed.
    """
    fields, extra = decode(ReshareFields, hello.fields), decode(ReshareExtra, hello.extra)
    stated = description_in(fields)
    if stated is None or sender not in stated.identities:
        return None
    return stated if verify(sender, "description", (encode(stated),), extra.description) else None


def description_in(fields: ReshareFields) -> Description | None:
    """The old quorum that the fields state, None if they don't state all of it."""
    parts = (
        fields.gid,
        fields.old_t,
        fields.old_identities,
        fields.public_key,
        fields.public_shares,
        fields.chain_code_hash,
    )
    gid, t, identities, public_key, public_shares, chain_code_hash = parts
    if gid is None or t is None or identities is None or public_key is None:
        return None
    if public_shares is None or chain_code_hash is None:
        return None
    return Description(fields.scheme, gid, t, identities, public_key, public_shares, chain_code_hash)


def admits(config: ReshareConfig, known: Description | None, sender: bytes, hello: Hello) -> bool:
    """Whose hello counts: parties of the quorums that I know, old ones with a valid description. Others are dropped."""
    try:
        stated = described(sender, hello)
    except Malformed:
        return False
    if hello.role == "joining":
        return sender in config.new_identities
    return stated is not None and (known is None or sender in known.identities or sender in config.new_identities)
