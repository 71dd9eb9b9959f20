"""Private keys and shares that leave or enter: full export, import, backup. Secrets are in no `repr`."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from vertex_client.answers import Backup, KeyId, PrivateKey, Scheme
from vertex_client.calls import Call, Route, given, path
from vertex_client.decoding import nothing, read


class MovingRoutes:
    """Each of these weakens a key: whoever holds what leaves needs no quorum."""

    @Route
    def export_full(
        self, scheme: Scheme, key_id: str, *, export_to: str, room_uuid: str, relay_address: str | None = None
    ) -> Call[PrivateKey]:
        """The whole private key for the one party `export_to` (its keygen id); the other parties get none."""
        body = given(key_id=key_id, export_to=export_to, room_uuid=room_uuid, relay_address=relay_address)
        return Call("POST", path(scheme, "export", "full"), read(PrivateKey), body)

    @Route
    def import_key(
        self,
        scheme: Scheme,
        key_id: str,
        *,
        private_key: str,
        num_parties: int,
        threshold: int,
        keygen_ids: Sequence[str],
        room_uuid: str,
        more: Mapping[str, Any] | None = None,
    ) -> Call[None]:
        """The party that has a private key deals shares of it. `more`: further fields of the vertex's `/schema`."""
        body = {
            "key_id": key_id,
            "private_key": private_key,
            "num_parties": num_parties,
            "threshold": threshold,
            "keygen_ids": list(keygen_ids),
            "room_uuid": room_uuid,
        }
        return Call("POST", path(scheme, "import", "key-importer"), nothing, body | dict(more or {}))

    @Route
    def import_share(
        self,
        scheme: Scheme,
        key_id: str,
        *,
        num_parties: int,
        threshold: int,
        keygen_ids: Sequence[str],
        room_uuid: str,
        more: Mapping[str, Any] | None = None,
    ) -> Call[None]:
        """A party that receives its share of an imported key. `more`: further fields of the vertex's `/schema`."""
        body = {
            "key_id": key_id,
            "num_parties": num_parties,
            "threshold": threshold,
            "keygen_ids": list(keygen_ids),
            "room_uuid": room_uuid,
        }
        return Call("POST", path(scheme, "import", "import-key-share-recipient"), nothing, body | dict(more or {}))

    @Route
    def backup_share(self, scheme: Scheme, key_id: str) -> Call[Backup]:
        """A share to be kept elsewhere, where the vertex's settings allow it."""
        return Call("GET", path(scheme, "backup", "export-key-share", key_id), read(Backup))

    @Route
    def restore_share(
        self, scheme: Scheme, *, key_share: str, export_type: Literal["plaintext", "encrypted"]
    ) -> Call[KeyId]:
        """A share from a backup."""
        body = {"key_share": key_share, "export_type": export_type}
        return Call("POST", path(scheme, "backup", "import-key-share"), read(KeyId), body)
