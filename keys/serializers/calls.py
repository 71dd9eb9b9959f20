"""Requests of users: keygen, sign, derive, rooms, receipts."""

from typing import Any

from django.conf import settings
from rest_framework import serializers

from keys.hashes import HASH_ALGOS
from keys.receipts import MAX_RECEIPTS
from keys.serializers.fields import (
    HashAlgoField,
    HexField,
    IdListMixin,
    PathField,
    QuorumField,
    RoomSerializer,
    StrictIntegerField,
    StrictUUIDField,
    TweakField,
)

MAX_MESSAGE = 65_536  # bytes that Ed25519 and BIP340 sign; ECDSA signs a hash


class KeygenSerializer(IdListMixin, RoomSerializer):
    num_parties = QuorumField()
    threshold = QuorumField()


class SignSerializer(RoomSerializer):
    msg = HexField()
    derivation_path = PathField(required=False, allow_null=True)
    # For a rule server; kept nowhere.
    extra_data = HexField(required=False, allow_null=True)


class EcdsaSignSerializer(SignSerializer):
    hash_algo = HashAlgoField(choices=sorted(HASH_ALGOS), error_messages={"invalid_choice": "Not a known hash."})


class Ed25519SignSerializer(SignSerializer):
    msg = HexField(max_bytes=MAX_MESSAGE)


class Bip340SignSerializer(Ed25519SignSerializer):
    tweak = TweakField(required=False, allow_null=True)


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
