"""Who asks: the principal of a request, and what a view may demand of it. Tokens are checked in ``keys.auth``."""

from typing import Any, Literal, Protocol, cast

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from vertex.errors import ApiError

Kind = Literal["user", "operator", "admin"]


class Principal(Protocol):
    """What `request.user` is once a token was accepted."""

    @property
    def kind(self) -> Kind:
        """`user`: an API user's key; `operator`: an operator's own token; `admin`: the settings' token."""

    @property
    def actor(self) -> str:
        """For the audit log: ``user:<uuid>``, ``operator:<username>`` or ``admin``."""

    @property
    def token_id(self) -> str | None:
        """Public name of the token, whose calls are counted; None: they are not."""

    def in_groups(self, names: frozenset[str]) -> bool:
        """True if it may do what operators of any of these groups may do."""


def principal_of(request: Request) -> Principal:
    """The bearer of an authenticated request."""
    return cast("Principal", request.user)


class IsAuthenticated(BasePermission):
    """Any accepted token."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return principal_of(request) is not None


class IsUser(IsAuthenticated):
    """An API user's key: what it makes belongs to that user."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not super().has_permission(request, view):
            return False
        if principal_of(request).kind != "user":
            raise ApiError("bad_request_params", "this route takes the API key of a user, who will own what it makes")
        return True


class IsAdmin(IsAuthenticated):
    """The admin token, or the token of an operator in one of the view's ``operator_groups``."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not super().has_permission(request, view):
            return False
        groups: frozenset[str] = getattr(view, "operator_groups", frozenset({"operator"}))
        if principal_of(request).kind == "user" or not principal_of(request).in_groups(groups):
            raise ApiError("you_have_to_be_admin", "this route takes the admin token, or an operator's who may do this")
        return True
