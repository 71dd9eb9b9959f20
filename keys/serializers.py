"""The shapes of requests. JSON types are taken as they are: a string is no number, a number no string."""

from typing import Any
from uuid import UUID

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from keys.hashes import HASH_ALGOS
from keys.models import Operation
from keys.receipts import MAX_RECEIPTS
from mpc.derive import parse_path

MAX_NAME = 200
MAX_PAGE = 1000
MAX_MESSAGE = 65_536  # bytes that Ed25519 and BIP340 sign; ECDSA signs a hash


class StrictCharField(serializers.CharField):
    """A JSON string."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class StrictIntegerField(serializers.IntegerField):
    """A JSON integer."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return int(super().to_internal_value(data))


class StrictUUIDField(serializers.UUIDField):
    """A UUID as a JSON string, with or without hyphens."""

    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str) or len(data) > 36:
            self.fail("invalid", value="")
        return UUID(str(super().to_internal_value(data)))


@extend_schema_field(str)
class HexField(serializers.Field[bytes, Any, str, Any]):
    """Bytes in hex, `0x` tolerated; at most `max_bytes` of them if that is given."""

    default_error_messages = {"hex": "Not a hex string.", "long": "Too long."}

    def __init__(self, *, max_bytes: int | None = None, **kwargs: Any) -> None:
        self.max_bytes = max_bytes
        super().__init__(**kwargs)

    def to_internal_value(self, text: Any) -> bytes:
        if not isinstance(text, str):
            self.fail("hex")
        digits = text[2:] if text[:2] in ("0x", "0X") else text
        # bytes.fromhex alone would skip white space.
        if len(digits) % 2 or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
            self.fail("hex")
        if self.max_bytes is not None and len(digits) > 2 * self.max_bytes:
            self.fail("long")
        return bytes.fromhex(digits)

    def to_representation(self, value: bytes) -> str:
        return value.hex()


@extend_schema_field({"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}})
class PathField(serializers.Field[tuple[int, ...], Any, list[int], Any]):
    """A derivation path: `[0, 1]`, `["0", "1"]` or `"m/0/1"`, non-hardened."""

    default_error_messages = {"invalid": "Not a derivation path.", "depth": "The path is too deep."}

    def to_internal_value(self, data: Any) -> tuple[int, ...]:
        if isinstance(data, list) and any(type(step) not in (int, str) for step in data):
            self.fail("invalid")
        if not isinstance(data, (str, list)) or len(data) > 1000:
            self.fail("invalid")
        try:
            path = parse_path(data)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error
        if len(path) > settings.VERTEX_MAX_PATH_DEPTH:
            self.fail("depth")
        return path

    def to_representation(self, value: tuple[int, ...]) -> list[int]:
        return list(value)


class IdListField(serializers.ListField):
    """Keygen ids; the caller's own may be among them."""

    def __init__(self, **kwargs: Any) -> None:
        limit = 2 * settings.VERTEX_MAX_PARTIES
        super().__init__(child=StrictCharField(max_length=MAX_NAME), min_length=1, max_length=limit, **kwargs)


class IdListMixin(serializers.Serializer[Any]):
    """The id list, under either of its names."""

    others_keygen_ids = IdListField(required=False)
    keygen_ids = IdListField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given = [name for name in ("others_keygen_ids", "keygen_ids") if name in attrs]
        if len(given) != 1:
            raise serializers.ValidationError("one of others_keygen_ids and keygen_ids is required")
        ids = attrs.pop(given[0])
        if len(set(ids)) != len(ids):
            raise serializers.ValidationError({given[0]: "An id is listed twice."})
        return {**attrs, "ids": ids}


class RoomSerializer(serializers.Serializer[Any]):
    """What every call that takes a protocol names."""

    key_id = StrictUUIDField()
    room_uuid = StrictUUIDField()
    relay_address = StrictCharField(required=False, allow_null=True, max_length=MAX_NAME)


class KeygenSerializer(IdListMixin, RoomSerializer):
    num_parties = StrictIntegerField()
    threshold = StrictIntegerField()


class HashAlgoField(serializers.ChoiceField):
    """A hash's name in any case."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid_choice", input="")
        return str(super().to_internal_value(data.lower()))


class SignSerializer(RoomSerializer):
    msg = HexField()
    derivation_path = PathField(required=False, allow_null=True)
    # For a rule server; kept nowhere.
    extra_data = HexField(required=False, allow_null=True)


class EcdsaSignSerializer(SignSerializer):
    hash_algo = HashAlgoField(choices=sorted(HASH_ALGOS), error_messages={"invalid_choice": "Not a known hash."})


class Ed25519SignSerializer(SignSerializer):
    msg = HexField(max_bytes=MAX_MESSAGE)


@extend_schema_field({"type": "string", "pattern": "^((0[xX])?[0-9a-fA-F]{64})?$"})
class TweakField(HexField):
    """The root of a taproot script tree: 32 bytes, or none for a key without script tree."""

    default_error_messages = {"length": "A tweak has 32 bytes, or none."}

    def to_internal_value(self, text: Any) -> bytes:
        root = super().to_internal_value(text)
        if len(root) not in (0, 32):
            self.fail("length")
        return root


class Bip340SignSerializer(Ed25519SignSerializer):
    tweak = TweakField(required=False, allow_null=True)


class DeriveSerializer(serializers.Serializer[Any]):
    key_id = StrictUUIDField()
    derivation_path = PathField()


class Bip340DeriveSerializer(DeriveSerializer):
    tweak = TweakField(required=False, allow_null=True)


class CreateRoomSerializer(serializers.Serializer[Any]):
    room_size = StrictIntegerField(min_value=1)

    def validate_room_size(self, size: int) -> int:
        # A reshare's room holds the new quorum and the leavers.
        if size > 2 * settings.VERTEX_MAX_PARTIES:
            raise serializers.ValidationError(f"A room has at most {2 * settings.VERTEX_MAX_PARTIES} parties.")
        return size


class CreateUserSerializer(serializers.Serializer[Any]):
    name = StrictCharField(required=False, max_length=MAX_NAME)
    label = StrictCharField(  # type: ignore[assignment]  # a field of that name, not the serializer's
        required=False, max_length=MAX_NAME, help_text="Another name of `name`."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) > 1:
            raise serializers.ValidationError("name and label are the same thing: give one")
        return {"name": attrs.get("name", attrs.get("label"))}


class UserSerializer(serializers.Serializer[Any]):
    user_id = StrictUUIDField()


class RevokeSerializer(serializers.Serializer[Any]):
    api_key = StrictCharField(max_length=MAX_NAME, help_text="The key, or its public part (before the `_`).")
    user_id = StrictUUIDField(required=False)


class PageSerializer(serializers.Serializer[Any]):
    after = serializers.UUIDField(required=False)
    limit = serializers.IntegerField(required=False, default=100, min_value=1, max_value=MAX_PAGE)


class EventsSerializer(serializers.Serializer[Any]):
    after = serializers.IntegerField(required=False, default=0, min_value=0, max_value=2**62)
    limit = serializers.IntegerField(required=False, default=100, min_value=1, max_value=MAX_PAGE)
    action = serializers.CharField(required=False, default="", max_length=64)
    subject = serializers.CharField(required=False, default="", max_length=200)


# --- answers, for the OpenAPI document ----------------------------------------------------------------------------


class KeyAnswer(serializers.Serializer[Any]):
    key_id = serializers.UUIDField()
    keygen_id = serializers.CharField()
    user_id = serializers.UUIDField()
    scheme = serializers.CharField()
    state = serializers.CharField()
    generation = serializers.IntegerField()
    gid = serializers.CharField(allow_null=True)
    public_key = serializers.CharField(allow_null=True)
    threshold = serializers.IntegerField(allow_null=True)
    num_parties = serializers.IntegerField(allow_null=True)
    parties = serializers.ListField(child=serializers.CharField())
    old_key_id = serializers.UUIDField(allow_null=True)
    new_key_ids = serializers.ListField(child=serializers.UUIDField())
    policy_id = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()
    activated_at = serializers.DateTimeField(allow_null=True)
    erased_at = serializers.DateTimeField(allow_null=True)


class KeyListAnswer(serializers.Serializer[Any]):
    results = KeyAnswer(many=True)
    next = serializers.CharField(allow_null=True)


class KeyLineAnswer(serializers.Serializer[Any]):
    key_id = serializers.UUIDField()
    key_type = serializers.ChoiceField(choices=["NotInititalizedYet", "Ecdsa", "Ed25519", "BIP340"])
    state = serializers.CharField()
    public_key = serializers.CharField(allow_null=True)


class KeysByUserAnswer(serializers.Serializer[Any]):
    keys_by_user = serializers.DictField(child=KeyLineAnswer(many=True))


class UserKeysAnswer(serializers.Serializer[Any]):
    keys = KeyLineAnswer(many=True)


class SignatureAnswer(serializers.Serializer[Any]):
    r = serializers.CharField()
    s = serializers.CharField()
    v = serializers.IntegerField()
    der = serializers.CharField()


class SchnorrAnswer(serializers.Serializer[Any]):
    signature = serializers.CharField(help_text="64 bytes in hex.")


class OperationAnswer(serializers.Serializer[Any]):
    operation_id = serializers.UUIDField()
    action = serializers.CharField()
    state = serializers.ChoiceField(choices=Operation.State.choices)
    status = serializers.IntegerField(allow_null=True)
    result = serializers.JSONField(allow_null=True)
    error = serializers.JSONField(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class EventAnswer(serializers.Serializer[Any]):
    seq = serializers.IntegerField()
    time = serializers.DateTimeField()
    action = serializers.CharField()
    actor = serializers.CharField()
    subject = serializers.CharField()
    data = serializers.JSONField()  # type: ignore[assignment]  # a field of that name, not the serializer's
    previous = serializers.CharField()
    hash = serializers.CharField()


class EventListAnswer(serializers.Serializer[Any]):
    results = EventAnswer(many=True)
    next = serializers.CharField(allow_null=True)


class HeadAnswer(serializers.Serializer[Any]):
    seq = serializers.IntegerField()
    hash = serializers.CharField()
    time = serializers.DateTimeField()
    statement = serializers.CharField(help_text="What is signed, as it was signed.")
    signature = serializers.CharField(help_text="ECDSA P-256 with SHA-256, DER, hex.")


class ReceiptsSerializer(serializers.Serializer[Any]):
    """Receipts as another vertex gave them, with the preimage that they sign."""

    receipts = serializers.ListField(child=HexField(), max_length=MAX_RECEIPTS, allow_empty=True)
    preimage = HexField(required=False, allow_null=True)


class ReceiptsAnswer(serializers.Serializer[Any]):
    receipts = serializers.ListField(child=serializers.CharField())
    preimage = serializers.CharField(allow_null=True)


class ReceivedAnswer(serializers.Serializer[Any]):
    new = serializers.IntegerField()
