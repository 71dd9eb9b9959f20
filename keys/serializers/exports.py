"""Requests and answers of export, import and backup."""

from typing import Any

from rest_framework import serializers

from keys.serializers.calls import KeygenSerializer
from keys.serializers.fields import MAX_NAME, HexField, RoomSerializer, StrictCharField


class ExportSerializer(RoomSerializer):
    export_to = StrictCharField(max_length=MAX_NAME, help_text="The recipient's export id.")


class ImporterSerializer(KeygenSerializer):
    private_key = HexField(max_bytes=32)
    key_format = serializers.ChoiceField(
        choices=["seed", "scalar"], required=False, default="seed", help_text="What an Ed25519 `private_key` is."
    )
    chain_code = HexField(max_bytes=32, required=False, allow_null=True)

    def validate_chain_code(self, given: bytes | None) -> bytes | None:
        if given is not None and len(given) != 32:
            raise serializers.ValidationError("A chain code has 32 bytes.")
        return given


class RecipientSerializer(KeygenSerializer):
    importer_keygen_id = StrictCharField(max_length=MAX_NAME, required=False, allow_null=True)
    expected_pubkey = HexField(max_bytes=33, required=False, allow_null=True)


class ExportAnswer(serializers.Serializer[Any]):
    private_key = serializers.CharField(
        required=False, help_text="At the recipient only: 32 bytes in hex; of Ed25519 a little-endian scalar, no seed."
    )


class BackupAnswer(serializers.Serializer[Any]):
    key_share = serializers.CharField(required=False, help_text="Base64; missing where the call is repeated.")
    export_type = serializers.ChoiceField(choices=["plaintext", "encrypted"])


class BackupImportSerializer(serializers.Serializer[Any]):
    key_share = StrictCharField(max_length=65_536)
    export_type = serializers.ChoiceField(choices=["plaintext", "encrypted"], required=False, allow_null=True)


class RestoredAnswer(serializers.Serializer[Any]):
    key_id = serializers.UUIDField()
    bans_known_until = serializers.DateTimeField(help_text="When the backup was made.")


class AgreedAnswer(serializers.Serializer[Any]):
    agreed = serializers.BooleanField(help_text="False: proposed, another operator must approve.")
