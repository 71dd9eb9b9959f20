"""Private keys and shares that leave or enter: full export, import, backup. Secrets are in no `repr`."""

from collections.abc import Sequence
from typing import Literal

from vertex_client.answers import Agreed, Backup, PrivateKey, Restored, Scheme
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
        key_format: Literal["seed", "scalar"] | None = None,
        chain_code: str | None = None,
        relay_address: str | None = None,
    ) -> Call[None]:
        """The party that has a private key (32 bytes, hex) deals shares of it. `key_format`: what an Ed25519 one is, a
        seed by default. `chain_code`: 32 bytes, hex; without it a fresh one."""
        body = given(
            key_id=key_id,
            private_key=private_key,
            num_parties=num_parties,
            threshold=threshold,
            keygen_ids=list(keygen_ids),
            room_uuid=room_uuid,
            key_format=key_format,
            chain_code=chain_code,
            relay_address=relay_address,
        )
        return Call("POST", path(scheme, "import", "key-importer"), nothing, body, creates=True)

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
        importer_keygen_id: str | None = None,
        expected_pubkey: str | None = None,
        relay_address: str | None = None,
    ) -> Call[None]:
        """A party that receives its share of an imported key; what it expects of dealer and key is checked."""
        body = given(
            key_id=key_id,
            num_parties=num_parties,
            threshold=threshold,
            keygen_ids=list(keygen_ids),
            room_uuid=room_uuid,
            importer_keygen_id=importer_keygen_id,
            expected_pubkey=expected_pubkey,
            relay_address=relay_address,
        )
        return Call("POST", path(scheme, "import", "import-key-share-recipient"), nothing, body, creates=True)

    @Route
    def backup_share(self, scheme: Scheme, key_id: str) -> Call[Backup]:
        """A share to be kept elsewhere, where the vertex's settings allow it."""
        return Call("GET", path(scheme, "backup", "export-key-share", key_id), read(Backup))

    @Route
    def restore_share(
        self, scheme: Scheme, *, key_share: str, export_type: Literal["plaintext", "encrypted"]
    ) -> Call[Restored]:
        """A share from a backup: suspended until an operator agrees."""
        body = {"key_share": key_share, "export_type": export_type}
        return Call("POST", path(scheme, "backup", "import-key-share"), read(Restored), body)

    @Route
    def agree_to_share(
        self, key_id: str, *, reason: str | None = None, statement_hash: str | None = None
    ) -> Call[Agreed]:
        """Admin: a share that came from a backup may act; answers once it may."""
        body = given(reason=reason, statement_hash=statement_hash)
        return Call("POST", path("keys", key_id, "agree"), read(Agreed), body, as_admin=True)
