"""What a vertex owns, in the console."""

from django.contrib import admin
from django.contrib.auth.models import Group

from keys.console.people import ApiKeyAdmin, ApiUserAdmin, OperatorAdmin, PolicyAdmin
from keys.console.shares import KeyShareAdmin, ProtocolSessionAdmin
from keys.console.webhooks import WebhookDeliveryAdmin, WebhookEndpointAdmin

__all__ = [
    "ApiKeyAdmin",
    "ApiUserAdmin",
    "KeyShareAdmin",
    "OperatorAdmin",
    "PolicyAdmin",
    "ProtocolSessionAdmin",
    "WebhookDeliveryAdmin",
    "WebhookEndpointAdmin",
]

# What a group may do is keys.operators' alone.
admin.site.unregister(Group)
