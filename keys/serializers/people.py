"""Requests of admins: users, API keys, the event log, decisions."""

from typing import Any

from rest_framework import serializers

from keys.serializers.fields import MAX_NAME, MAX_PAGE, HexField, StrictCharField, StrictUUIDField

MAX_LIFE = 10 * 366 * 86_400  # seconds that an API key may be told to live


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


class GenerateKeySerializer(UserSerializer):
    expires_in = serializers.IntegerField(
        required=False, min_value=1, max_value=MAX_LIFE, help_text="Seconds from now; without it the key lives on."
    )


class ApiKeysSerializer(UserSerializer):
    after = StrictCharField(required=False, max_length=16)
    limit = serializers.IntegerField(required=False, default=100, min_value=1, max_value=MAX_PAGE)


class RevokeSerializer(serializers.Serializer[Any]):
    api_key = StrictCharField(max_length=MAX_NAME, help_text="The key, or its public part (before the `_`).")
    user_id = StrictUUIDField(required=False)


class EventsSerializer(serializers.Serializer[Any]):
    after = serializers.IntegerField(required=False, default=0, min_value=0, max_value=2**62)
    limit = serializers.IntegerField(required=False, default=100, min_value=1, max_value=MAX_PAGE)
    action = serializers.CharField(required=False, default="", max_length=64)
    subject = serializers.CharField(required=False, default="", max_length=200)


class DecisionSerializer(serializers.Serializer[Any]):
    """An operator's word. `statement_hash`: what was shown, where the caller saw it."""

    reason = StrictCharField(required=False, allow_blank=True, max_length=1000, default="")
    statement_hash = HexField(required=False, allow_null=True)
