"""Changing a quorum: taking part, looking, voting, carrying receipts."""

from collections.abc import Sequence
from typing import Any, Literal, NotRequired, TypedDict, Unpack

from vertex_client.answers import KeyId, Page, Receipts, Received, Reshare, ReshareLine, Scheme
from vertex_client.calls import Call, Route, given, path
from vertex_client.decoding import read

OperatorDecision = Literal["supersede", "carry", "agree", "discard"]


class Part(TypedDict):
    """What all parties of a reshare are asked alike; `keygen_ids` are the new quorum's."""

    keygen_ids: Sequence[str]
    new_threshold: int
    room_uuid: str
    deletions_required: NotRequired[int | None]
    relay_address: NotRequired[str | None]


def _part(scheme: Scheme, role: str, key_id: str, keygen_ids: Sequence[str], **fields: Any) -> Call[KeyId]:
    body = given(key_id=key_id, keygen_ids=list(keygen_ids), **fields)
    return Call("POST", path(scheme, "reshare", role), read(KeyId), body, creates=True)


def _word(reshare_id: str, word: str, **fields: Any) -> Call[Reshare]:
    return Call("POST", path("reshares", reshare_id, word), read(Reshare), given(**fields), as_admin=True)


class ReshareRoutes:
    """`reshare_id` in these calls is a vertex's own name of a reshare or its `rid`, the same everywhere."""

    @Route
    def reshare_existing(self, scheme: Scheme, key_id: str, **part: Unpack[Part]) -> Call[KeyId]:
        """A party that stays. The answer is the new share, quarantined."""
        return _part(scheme, "existing-party", key_id, **part)

    @Route
    def reshare_departing(self, scheme: Scheme, key_id: str, **part: Unpack[Part]) -> Call[KeyId]:
        """A party that leaves: it lends its share and votes. The answer is the old share."""
        return _part(scheme, "departing-party", key_id, **part)

    @Route
    def reshare_joining(
        self,
        scheme: Scheme,
        key_id: str,
        *,
        old_threshold: int | None = None,
        expected_pubkey: str | None = None,
        **part: Unpack[Part],
    ) -> Call[KeyId]:
        """A party that joins with a key from `create`; what it expects of the key is checked."""
        return _part(scheme, "new-party", key_id, old_threshold=old_threshold, expected_pubkey=expected_pubkey, **part)

    @Route
    def refresh(self, scheme: Scheme, key_id: str, *, room_uuid: str, relay_address: str | None = None) -> Call[KeyId]:
        """New shares for the same quorum; the answer is the new share."""
        body = given(key_id=key_id, room_uuid=room_uuid, relay_address=relay_address)
        return Call("POST", path(scheme, "refresh"), read(KeyId), body, creates=True)

    @Route
    def reshares(self, *, limit: int | None = None, after: str | None = None) -> Call[Page[ReshareLine]]:
        """The caller's reshares, in order of creation; all for admins."""
        query = given(limit=limit, after=after)
        return Call("GET", "/reshares", read(Page[ReshareLine]), query=query, idempotent=True)

    @Route
    def reshare(self, reshare_id: str) -> Call[Reshare]:
        """Who has stored, voted and deleted, and what is still needed."""
        return Call("GET", path("reshares", reshare_id), read(Reshare), idempotent=True)

    @Route
    def confirm_deletion(
        self,
        reshare_id: str,
        *,
        reason: str | None = None,
        exports_destroyed: bool | None = None,
        statement_hash: str | None = None,
    ) -> Call[Reshare]:
        """Admin: this vertex's word to delete its old share. It can't be taken back."""
        return _word(
            reshare_id,
            "confirm-deletion",
            reason=reason,
            exports_destroyed=exports_destroyed,
            statement_hash=statement_hash,
        )

    @Route
    def abort(self, reshare_id: str, *, reason: str | None = None) -> Call[Reshare]:
        """Admin: this vertex's word against the reshare."""
        return _word(reshare_id, "abort", reason=reason)

    @Route
    def decide(
        self,
        reshare_id: str,
        decision: OperatorDecision,
        *,
        reason: str | None = None,
        statement_hash: str | None = None,
    ) -> Call[Reshare]:
        """Admin: an operator's word on a reshare that hangs; `Reshare.decisions` says which are open."""
        return _word(reshare_id, decision, reason=reason, statement_hash=statement_hash)

    @Route
    def reshare_receipts(self, reshare_id: str) -> Call[Receipts]:
        """All receipts here about a reshare."""
        return Call("GET", path("reshares", reshare_id, "receipts"), read(Receipts), idempotent=True)

    @Route
    def give_reshare_receipts(self, reshare_id: str, receipts: Receipts) -> Call[Received]:
        """Hands over receipts from elsewhere."""
        body = {"receipts": list(receipts.receipts), "preimage": receipts.preimage}
        return Call("POST", path("reshares", reshare_id, "receipts"), read(Received), body, idempotent=True)
