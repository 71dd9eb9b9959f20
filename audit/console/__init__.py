"""The console: the read-only tables that every app's pages are, and the audit app's own pages."""

from typing import Any, ClassVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin


class ReadOnlyAdmin(ModelAdmin):
    """Rows are looked at here; whatever changes one goes through a service. Django's own log has nothing to add."""

    list_fullwidth = True
    show_full_result_count = False
    actions: ClassVar[Any] = None

    class Media:
        css = {"all": ["audit/console.css"]}
        js = ["audit/console.js"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> None:
        """The audit log has it."""

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        """The audit log has it."""
