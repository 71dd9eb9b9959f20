"""Operators, API users and their tokens. A token is shown once, in the answer to the request that made it."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from audit.console import ReadOnlyAdmin
from audit.labels import badge, short
from keys import users
from keys.models import ApiKey, ApiUser, Operator
from vertex.errors import ApiError


def actor(request: HttpRequest) -> str:
    """The audit log's name of who acts at the console."""
    return f"operator:{request.user.get_username()}"


def _token_page(request: HttpRequest, token: str, bearer: str, back: str) -> HttpResponse:
    """The one time a token is shown: in this answer and nowhere else, no message, no session."""
    context = {
        **admin.site.each_context(request),
        "title": "A new token",
        "token": token,
        "bearer": bearer,
        "back": back,
    }
    return TemplateResponse(request, "keys/token.html", context)


def each(request: HttpRequest, chosen: QuerySet[Any], service: Callable[[Any], None], done: str) -> None:
    """Call a service for every chosen row; a refusal is told and doesn't stop the others."""
    for row in chosen:
        try:
            service(row)
        except ApiError as error:
            messages.error(request, f"{row}: {error}.")
        else:
            messages.success(request, f"{row}: {done}.")


@admin.register(Operator)
class OperatorAdmin(ReadOnlyAdmin):
    list_display = ["username", "group_names", "is_active", "last_login"]
    fields = ["username", "group_names", "is_active", "last_login", "date_joined"]
    readonly_fields = fields
    search_fields = ["username"]
    actions = ["make_token"]

    @display(description="groups")
    def group_names(self, operator: Operator) -> SafeString:
        return format_html_join(" ", "{}", ((badge(group.name),) for group in operator.groups.all()))

    @admin.action(description="Make a token for my own automation", permissions=["view"])
    def make_token(self, request: HttpRequest, chosen: QuerySet[Operator]) -> HttpResponse | None:
        if [operator.pk for operator in chosen] != [request.user.pk]:
            messages.error(request, "Choose yourself: a token is its operator's own.")
            return None
        operator = chosen.get()
        token = users.operator_token_create(operator=operator, actor=actor(request))
        return _token_page(request, token, operator.username, reverse("admin:keys_operator_changelist"))


@admin.register(ApiUser)
class ApiUserAdmin(ReadOnlyAdmin):
    """Whoever makes a user owns it, and so can't approve the deletions that it asks for."""

    list_display = ["name", "id_short", "owner", "default_policy", "share_count", "created_at"]
    fields = ["name"]
    search_fields = ["name", "id"]
    actions = ["make_key", "delete_users"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("keys.add_apiuser")

    def has_add_key_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("keys.add_apikey")

    def has_remove_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("keys.delete_apiuser")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiUser]:
        return super().get_queryset(request).select_related("owner", "default_policy").annotate(n=Count("shares"))

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return self.fields if obj is None else ["name", "id_short", "owner", "default_policy", "created_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return [] if obj is None else self.get_fields(request, obj)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().add_view(request, form_url, extra_context)
        except ApiError as error:
            messages.error(request, f"Nothing was made: {error}.")
            return HttpResponseRedirect(request.path)

    def save_model(self, request: HttpRequest, obj: ApiUser, form: Any, change: bool) -> None:
        owner = Operator.objects.get(username=request.user.get_username())
        user, token = users.user_create(name=obj.name, owner=owner, actor=actor(request))
        obj.pk = user.pk
        request.new_token = token  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiUser, post_url_continue: str | None = None) -> HttpResponse:
        return _token_page(request, request.new_token, obj.name, reverse("admin:keys_apiuser_changelist"))  # type: ignore[attr-defined]

    @admin.action(description="Make a further API key", permissions=["add_key"])
    def make_key(self, request: HttpRequest, chosen: QuerySet[ApiUser]) -> HttpResponse | None:
        if len(chosen) != 1:
            messages.error(request, "Choose one user.")
            return None
        user = chosen[0]
        token = users.api_key_create(user_id=user.pk, actor=actor(request))
        return _token_page(request, token, user.name, reverse("admin:keys_apiuser_changelist"))

    @admin.action(description="Delete users without key shares", permissions=["remove"])
    def delete_users(self, request: HttpRequest, chosen: QuerySet[ApiUser]) -> None:
        each(request, chosen, lambda user: users.user_delete(user_id=user.pk, actor=actor(request)), "deleted")

    @display(description="user id")
    def id_short(self, user: ApiUser) -> SafeString:
        return short(str(user.id))

    @display(description="shares", ordering="n")
    def share_count(self, user: ApiUser) -> int:
        return user.n  # type: ignore[attr-defined]


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = ["public_id", "bearer", "state", "created_at", "last_used_at", "expires_at", "revoked_at"]
    fields = list_display
    readonly_fields = fields
    search_fields = ["public_id", "user__name", "operator__username"]
    list_select_related = ["user", "operator"]
    ordering = ["-created_at"]
    actions = ["revoke"]

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("keys.delete_apikey")

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiKey]) -> None:
        each(request, chosen, lambda key: users.api_key_revoke(api_key=key.pk, actor=actor(request)), "revoked")

    @display(description="bearer")
    def bearer(self, key: ApiKey) -> str:
        return f"operator {key.operator.username}" if key.operator else str(key.user)

    @display(description="state")
    def state(self, key: ApiKey) -> SafeString:
        if key.revoked_at:
            return badge("revoked")
        return badge("expired" if key.expires_at and key.expires_at <= timezone.now() else "active")
