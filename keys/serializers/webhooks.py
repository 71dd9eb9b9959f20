"""Requests and answers about webhooks."""

from typing import Any

from rest_framework import serializers

from keys.models import WebhookDelivery
from keys.serializers.fields import UrlField
from keys.webhooks.events import EVENTS, TEST


class EventField(serializers.ChoiceField):
    """An event's name as a JSON string."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid_choice", input="")
        return str(super().to_internal_value(data))


class WebhookSerializer(serializers.Serializer[Any]):
    url = UrlField(max_length=500)
    events = serializers.ListField(
        child=EventField(choices=EVENTS, error_messages={"invalid_choice": "Not a known event."}),
        required=False,
        max_length=len(EVENTS),
        help_text="Which events; all where absent or empty.",
    )


class WebhookAnswer(serializers.Serializer[Any]):
    webhook_id = serializers.UUIDField()
    url = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField())
    user_id = serializers.UUIDField(allow_null=True, help_text="Whose keys it is told of; null: everything here.")
    created_at = serializers.DateTimeField()
    disabled_at = serializers.DateTimeField(allow_null=True)


class NewWebhookAnswer(WebhookAnswer):
    secret = serializers.CharField(required=False, help_text="Shown this once; a repeated call answers without it.")


class WebhookListAnswer(serializers.Serializer[Any]):
    results = WebhookAnswer(many=True)
    next = serializers.CharField(allow_null=True)


class DeliveryAnswer(serializers.Serializer[Any]):
    delivery_id = serializers.UUIDField()
    event = serializers.ChoiceField(choices=(*EVENTS, TEST))
    state = serializers.ChoiceField(choices=WebhookDelivery.State.choices)
    attempts = serializers.IntegerField()
    next_at = serializers.DateTimeField(allow_null=True)
    status = serializers.IntegerField(allow_null=True)
    error = serializers.CharField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class DeliveryListAnswer(serializers.Serializer[Any]):
    results = DeliveryAnswer(many=True)
    next = serializers.CharField(allow_null=True)
