"""What a vertex owns, in the console."""

from django.contrib import admin
from django.contrib.auth.models import Group

from keys.console.approvals import ApprovalAdmin
from keys.console.people import ApiKeyAdmin, ApiUserAdmin, OperatorAdmin
from keys.console.policies import PolicyAdmin, RuleAdmin
from keys.console.sessions import ProtocolSessionAdmin
from keys.console.shares import KeyShareAdmin
from keys.console.webhooks import WebhookDeliveryAdmin, WebhookEndpointAdmin

__all__ = [
    "ApiKeyAdmin",
    "ApiUserAdmin",
    "ApprovalAdmin",
    "KeyShareAdmin",
    "OperatorAdmin",
    "PolicyAdmin",
    "ProtocolSessionAdmin",
    "RuleAdmin",
    "WebhookDeliveryAdmin",
    "WebhookEndpointAdmin",
]

# What a group may do is keys.operators' alone.
admin.site.unregister(Group)
