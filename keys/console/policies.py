"""Policies and rules, to look at."""

import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from audit.console import ReadOnlyAdmin
from keys.models import Policy, Rule


def as_json(value: Any) -> SafeString:
    """For people to read."""
    return format_html('<pre class="vx-pre">{}</pre>', json.dumps(value, indent=2, sort_keys=True))


@admin.register(Policy)
class PolicyAdmin(ReadOnlyAdmin):
    list_display = ["name", "id", "rule_names", "confirms_deletion", "created_at"]
    fields = ["name", "id", "rule_names", "confirms_deletion", "created_at"]
    readonly_fields = fields
    search_fields = ["name"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Policy]:
        return super().get_queryset(request).prefetch_related("rules")

    @display(description="rules")
    def rule_names(self, policy: Policy) -> SafeString | str:
        rules = sorted((rule.name, reverse("admin:keys_rule_change", args=[rule.pk])) for rule in policy.rules.all())
        return format_html_join("\n", '<div><a class="vx-link" href="{1}">{0}</a></div>', rules) or "none"


@admin.register(Rule)
class RuleAdmin(ReadOnlyAdmin):
    list_display = ["name", "kind", "id", "created_at"]
    list_filter = ["kind"]
    fields = ["name", "kind", "id", "parameters_shown", "created_at"]
    readonly_fields = fields
    search_fields = ["name"]

    @display(description="parameters")
    def parameters_shown(self, rule: Rule) -> SafeString:
        return as_json(rule.parameters)
