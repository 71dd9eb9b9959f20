"""Fields of answers: what the OpenAPI document says of them."""

from typing import Any

from drf_spectacular.drainage import set_override
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from keys.serializers.fields import KEYGEN_ID


class Hex(serializers.CharField):
    """Bytes in lower-case hex, as many as one of `sizes` says, or any number."""

    def __init__(self, *sizes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        digits = "|".join(f"[0-9a-f]{{{2 * size}}}" for size in sizes) or "([0-9a-f]{2})*"
        set_override(self, "field", {"type": "string", "pattern": f"^({digits})$"})


@extend_schema_field({"type": "string", "pattern": KEYGEN_ID})
class KeygenId(serializers.CharField):
    """The public half of a party's identity."""
