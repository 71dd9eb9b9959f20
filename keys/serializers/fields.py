"""Fields of requests, and what many of them share."""

import re
from typing import Any
from uuid import UUID

from django.conf import settings
from drf_spectacular.drainage import set_override
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from mpc.derive import parse_path

MAX_NAME = 200
KEYGEN_ID = "^vtx1[0-9a-f]{72}$"
MAX_PAGE = 1000
_UUID = re.compile(r"[0-9a-fA-F]{8}(-?)[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{12}")


class StrictCharField(serializers.CharField):
    """A JSON string."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class UrlField(StrictCharField):
    """A URL for this vertex to call; whoever uses it checks scheme and host."""

    def __init__(self, *, max_length: int, **kwargs: Any) -> None:
        super().__init__(max_length=max_length, **kwargs)
        pattern = r"^https?://[^\s/?#@]+(/[^\s#]*)?$"
        set_override(self, "field", {"type": "string", "maxLength": max_length, "pattern": pattern})


class StrictIntegerField(serializers.IntegerField):
    """A JSON integer."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return int(super().to_internal_value(data))


class StrictBooleanField(serializers.BooleanField):
    """A JSON boolean."""

    def to_internal_value(self, data: Any) -> bool:
        if type(data) is not bool:
            self.fail("invalid", input="")
        return data


class StrictUUIDField(serializers.UUIDField):
    """A UUID as a JSON string, with or without hyphens."""

    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str) or not _UUID.fullmatch(data):
            self.fail("invalid", value="")
        return UUID(str(super().to_internal_value(data)))


class HexField(serializers.Field[bytes, Any, str, Any]):
    """Bytes in hex, `0x` tolerated; at most `max_bytes` of them if that is given."""

    default_error_messages = {"hex": "Not a hex string.", "long": "Too long."}

    def __init__(self, *, max_bytes: int | None = None, **kwargs: Any) -> None:
        self.max_bytes = max_bytes
        super().__init__(**kwargs)
        set_override(self, "field", self.described())

    def described(self) -> dict[str, Any]:
        """The field's schema."""
        schema = {"type": "string", "pattern": "^(0[xX])?([0-9a-fA-F]{2})*$"}
        return schema if self.max_bytes is None else schema | {"maxLength": 2 + 2 * self.max_bytes}

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


_INDEX = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}


@extend_schema_field(
    {
        "oneOf": [
            {
                "type": "array",
                "items": {"oneOf": [_INDEX, {"type": "string", "pattern": "^[0-9]{1,10}$"}]},
                "maxItems": settings.VERTEX_MAX_PATH_DEPTH,
            },
            {"type": "string", "pattern": f"^[mM](/[0-9]{{1,10}}){{0,{settings.VERTEX_MAX_PATH_DEPTH}}}$"},
        ]
    }
)
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


@extend_schema_field({"type": "integer", "minimum": 2, "maximum": settings.VERTEX_MAX_PARTIES})
class QuorumField(StrictIntegerField):
    """A number of parties or a threshold. Its bounds are the service's to check: `bad_n_and_t_params`."""


_MAX_IDS = 2 * settings.VERTEX_MAX_PARTIES


@extend_schema_field(
    {
        "type": "array",
        "items": {"type": "string", "pattern": KEYGEN_ID},
        "minItems": 1,
        "maxItems": _MAX_IDS,
        "uniqueItems": True,
    }
)
class IdListField(serializers.ListField):
    """Keygen ids; the caller's own may be among them."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(child=StrictCharField(max_length=MAX_NAME), min_length=1, max_length=_MAX_IDS, **kwargs)


class HashAlgoField(serializers.ChoiceField):
    """A hash's name in any case."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid_choice", input="")
        return str(super().to_internal_value(data.lower()))


class TweakField(HexField):
    """The root of a taproot script tree: 32 bytes, or none for a key without script tree."""

    default_error_messages = {"length": "A tweak has 32 bytes, or none."}

    def described(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^(0[xX])?([0-9a-fA-F]{64})?$"}

    def to_internal_value(self, text: Any) -> bytes:
        root = super().to_internal_value(text)
        if len(root) not in (0, 32):
            self.fail("length")
        return root


class IdListMixin(serializers.Serializer[Any]):
    """The id list, under either of its names."""

    further_schema = {"oneOf": [{"required": ["others_keygen_ids"]}, {"required": ["keygen_ids"]}]}

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


class PageSerializer(serializers.Serializer[Any]):
    after = serializers.UUIDField(required=False)
    limit = serializers.IntegerField(required=False, default=100, min_value=1, max_value=MAX_PAGE)
