"""Keys: rooms, identities, key generation, metadata, receipts, operations."""

from collections.abc import Sequence

from vertex_client.answers import ExportId, KeyShare, NewKey, Operation, Page, Receipts, Received, Room, Scheme
from vertex_client.calls import Call, Route, given, path
from vertex_client.decoding import nothing, read


class KeyRoutes:
    """What a user does with keys, signing apart."""

    @Route
    def create_room(self, room_size: int) -> Call[Room]:
        """A room for one protocol of so many parties."""
        return Call("POST", "/create-room", read(Room), {"room_size": room_size}, creates=True)

    @Route
    def create(self, scheme: Scheme) -> Call[NewKey]:
        """An identity for a key to be."""
        return Call("GET", path(scheme, "create"), read(NewKey), creates=True)

    @Route
    def keygen(
        self,
        scheme: Scheme,
        key_id: str,
        *,
        num_parties: int,
        threshold: int,
        keygen_ids: Sequence[str],
        room_uuid: str,
        relay_address: str | None = None,
    ) -> Call[None]:
        """Generates the key with the other parties; answers when the share is active. `keygen_ids`: all parties'."""
        body = given(
            key_id=key_id,
            num_parties=num_parties,
            threshold=threshold,
            keygen_ids=list(keygen_ids),
            room_uuid=room_uuid,
            relay_address=relay_address,
        )
        return Call("POST", path(scheme, "keygen"), nothing, body, creates=True)

    @Route
    def export_id(self, scheme: Scheme, key_id: str) -> Call[ExportId]:
        """This party's keygen id for a share."""
        return Call("GET", path(scheme, "export-id", key_id), read(ExportId), idempotent=True)

    @Route
    def keys(self, *, limit: int | None = None, after: str | None = None) -> Call[Page[KeyShare]]:
        """The caller's shares, in order of creation; all for admins."""
        return Call("GET", "/keys", read(Page[KeyShare]), query=given(limit=limit, after=after), idempotent=True)

    @Route
    def key(self, key_id: str) -> Call[KeyShare]:
        """State, public key, quorum and lineage of a share."""
        return Call("GET", path("keys", key_id), read(KeyShare), idempotent=True)

    @Route
    def lift_bans(self, key_id: str, *, reason: str | None = None, statement_hash: str | None = None) -> Call[KeyShare]:
        """Admin: a reshare may make new pairs with the counterparties that are banned."""
        body = given(reason=reason, statement_hash=statement_hash)
        return Call("POST", path("keys", key_id, "lift-bans"), read(KeyShare), body, as_admin=True)

    @Route
    def key_receipts(self, key_id: str) -> Call[Receipts]:
        """All receipts here about the key's generation."""
        return Call("GET", path("keys", key_id, "receipts"), read(Receipts), idempotent=True)

    @Route
    def give_key_receipts(self, key_id: str, receipts: Receipts) -> Call[Received]:
        """Hands over receipts from elsewhere: with `STORED` of all parties at hand the key is active."""
        body = {"receipts": list(receipts.receipts), "preimage": receipts.preimage}
        return Call("POST", path("keys", key_id, "receipts"), read(Received), body, idempotent=True)

    @Route
    def delete_key_share(self, scheme: Scheme, key_id: str) -> Call[None]:
        """Irreversible. Erases an active share; of a retiring one it is this vertex's vote to delete it."""
        return Call("DELETE", path(scheme, "delete-key-share", key_id), nothing, creates=True)

    @Route
    def operation(self, operation_id: str) -> Call[Operation]:
        """State, result or error of a call that takes a protocol."""
        return Call("GET", path("operations", operation_id), read(Operation), idempotent=True)

    @Route
    def operations(self, *, limit: int | None = None, after: str | None = None) -> Call[Page[Operation]]:
        """The caller's calls that take a protocol; all for admins."""
        query = given(limit=limit, after=after)
        return Call("GET", "/operations", read(Page[Operation]), query=query, idempotent=True)
