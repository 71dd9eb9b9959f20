"""Requests of users: keygen, sign, derive, rooms, receipts."""

from typing import Any

from django.conf import settings
from rest_framework import serializers

from keys.hashes import HASH_ALGOS
from keys.receipts import MAX_RECEIPTS
from keys.serializers.fields import (
    MAX_NAME,
    HashAlgoField,
    HexField,
    IdListMixin,
    PathField,
    QuorumField,
    RoomSerializer,
    StrictCharField,
    StrictIntegerField,
    StrictUUIDField,
    TweakField,
)
from vertex.errors import ApiError

MAX_MESSAGE = 65_536  # bytes that Ed25519 and BIP340 sign; ECDSA signs a hash


class KeygenSerializer(IdListMixin, RoomSerializer):
    num_parties = QuorumField()
    threshold = QuorumField()


class SignSerializer(RoomSerializer):
    msg = HexField()
    derivation_path = PathField(required=False, allow_null=True)
    # For rule servers; kept only while one is asked.
    extra_data = HexField(required=False, allow_null=True)


class EcdsaSignSerializer(SignSerializer):
    hash_algo = HashAlgoField(choices=sorted(HASH_ALGOS), error_messages={"invalid_choice": "Not a known hash."})


class Ed25519SignSerializer(SignSerializer):
    msg = HexField(max_bytes=MAX_MESSAGE)


class Bip340SignSerializer(Ed25519SignSerializer):
    tweak = TweakField(required=False, allow_null=True)


class BatchSerializer(serializers.Serializer[Any]):
    """What the requests of a batch have in common may stand once, beside them."""

    key_id = StrictUUIDField(required=False)
    room_uuid = StrictUUIDField(required=False)
    relay_address = StrictCharField(required=False, allow_null=True, max_length=MAX_NAME)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        listed = data.get("sign_requests") if isinstance(data, dict) else None
        if isinstance(listed, list) and len(listed) > settings.VERTEX_MAX_BATCH:
            raise ApiError("batch_too_large", f"a batch has at most {settings.VERTEX_MAX_BATCH} requests")
        return dict(super().to_internal_value(data))

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        common = {name: attrs[name] for name in ("key_id", "room_uuid", "relay_address") if name in attrs}
        requests = [common | each for each in attrs["sign_requests"]]
        for name in ("key_id", "room_uuid"):
            if not all(name in each for each in requests):
                raise serializers.ValidationError({name: "It is required in each request, or once for all."})
        if "room_uuid" in common and any(each["room_uuid"] != common["room_uuid"] for each in requests):
            raise serializers.ValidationError({"room_uuid": "A request names another room than its batch."})
        return {"requests": requests}


class InBatch(serializers.Serializer[Any]):
    """A request in a batch: key and room may be the batch's."""

    key_id = StrictUUIDField(required=False)
    room_uuid = StrictUUIDField(required=False)


class EcdsaBatchItem(InBatch, EcdsaSignSerializer):
    pass


class Ed25519BatchItem(InBatch, Ed25519SignSerializer):
    pass


class Bip340BatchItem(InBatch, Bip340SignSerializer):
    pass


class EcdsaBatchSerializer(BatchSerializer):
    sign_requests = EcdsaBatchItem(many=True, allow_empty=False)


class Ed25519BatchSerializer(BatchSerializer):
    sign_requests = Ed25519BatchItem(many=True, allow_empty=False)


class Bip340BatchSerializer(BatchSerializer):
    sign_requests = Bip340BatchItem(many=True, allow_empty=False)


class DeriveSerializer(serializers.Serializer[Any]):
    key_id = StrictUUIDField()
    derivation_path = PathField()


class Bip340DeriveSerializer(DeriveSerializer):
    tweak = TweakField(required=False, allow_null=True)


class CreateRoomSerializer(serializers.Serializer[Any]):
    # A reshare's room holds the new quorum and the leavers.
    room_size = StrictIntegerField(min_value=1, max_value=2 * settings.VERTEX_MAX_PARTIES)


class ReceiptsSerializer(serializers.Serializer[Any]):
    """Receipts as another vertex gave them, with the preimage that they sign."""

    receipts = serializers.ListField(child=HexField(), max_length=MAX_RECEIPTS, allow_empty=True)
    preimage = HexField(required=False, allow_null=True)
