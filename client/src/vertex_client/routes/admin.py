"""What admins do: users, API keys, the event log; and what anybody may ask."""

from typing import Any

from vertex_client.answers import ApiKey, Event, Head, Health, KeysByUser, NewApiKey, Page, User, UserKeys, Version
from vertex_client.calls import Call, Route, given
from vertex_client.decoding import nothing, read


def _text(text: Any) -> str:
    return str(text)


def _json(data: Any) -> dict[str, Any]:
    return dict(data)


class AdminRoutes:
    """Users, API keys, the log; probes."""

    @Route
    def create_user(self, name: str | None = None) -> Call[NewApiKey]:
        """A new user with a first API key, told this once."""
        return Call("GET", "/admin/create-user", read(NewApiKey), query=given(name=name), as_admin=True, creates=True)

    @Route
    def generate_api_key(self, user_id: str, *, expires_in: int | None = None) -> Call[NewApiKey]:
        """A further API key of a user, told this once; `expires_in` seconds."""
        query = given(user_id=user_id, expires_in=expires_in)
        return Call("GET", "/admin/generate-api-key", read(NewApiKey), query=query, as_admin=True, creates=True)

    @Route
    def users(self, *, limit: int | None = None, after: str | None = None) -> Call[Page[User]]:
        """All users, in order of creation."""
        query = given(limit=limit, after=after)
        return Call("GET", "/admin/list-users", read(Page[User]), query=query, as_admin=True, idempotent=True)

    @Route
    def api_keys(self, user_id: str, *, limit: int | None = None, after: str | None = None) -> Call[Page[ApiKey]]:
        """A user's API keys, by their public parts, the revoked and expired ones too."""
        query = given(user_id=user_id, limit=limit, after=after)
        return Call("GET", "/admin/list-api-keys", read(Page[ApiKey]), query=query, as_admin=True, idempotent=True)

    @Route
    def revoke_api_key(self, api_key: str, *, user_id: str | None = None) -> Call[None]:
        """Revokes an API key; its public part (before the `_`) is enough."""
        body = given(api_key=api_key, user_id=user_id)
        return Call("DELETE", "/admin/revoke-api-key", nothing, body, as_admin=True)

    @Route
    def delete_user(self, user_id: str) -> Call[None]:
        """Deletes a user without key shares."""
        return Call("DELETE", "/admin/delete-user", nothing, {"user_id": user_id}, as_admin=True)

    @Route
    def system_keys(self) -> Call[KeysByUser]:
        """All shares at this vertex, by user."""
        return Call("GET", "/admin/list-all-system-keys", read(KeysByUser), as_admin=True, idempotent=True)

    @Route
    def user_keys(self, user_id: str) -> Call[UserKeys]:
        """All shares of a user."""
        query = {"user_id": user_id}
        return Call("GET", "/admin/list-all-user-keys", read(UserKeys), query=query, as_admin=True, idempotent=True)

    @Route
    def events(
        self,
        *,
        after: int | None = None,
        limit: int | None = None,
        action: str | None = None,
        subject: str | None = None,
    ) -> Call[Page[Event]]:
        """The event log in order of `seq`."""
        query = given(after=after, limit=limit, action=action, subject=subject)
        return Call("GET", "/audit/events", read(Page[Event]), query=query, as_admin=True, idempotent=True)

    @Route
    def audit_head(self) -> Call[Head]:
        """The end of the event log, signed."""
        return Call("GET", "/audit/head", read(Head), as_admin=True, idempotent=True)

    @Route
    def identity_pubkey(self) -> Call[str]:
        """The vertex's ES256 key, PEM: it signs heads and requests to rule servers."""
        return Call("GET", "/identity-pubkey", _text, plain_text=True, idempotent=True)

    @Route
    def live(self) -> Call[Health]:
        """The process answers."""
        return Call("GET", "/health/live", read(Health), idempotent=True)

    @Route
    def ready(self) -> Call[Health]:
        """Everything that a protocol needs does; else VertexError `not_ready`, which says what is missing."""
        return Call("GET", "/health/ready", read(Health), idempotent=True)

    @Route
    def version(self) -> Call[Version]:
        """The vertex's version."""
        return Call("GET", "/version", read(Version), idempotent=True)

    @Route
    def metrics(self) -> Call[str]:
        """Prometheus' text format."""
        return Call("GET", "/metrics", _text, as_admin=True, plain_text=True, idempotent=True)

    @Route
    def schema(self) -> Call[dict[str, Any]]:
        """The vertex's own OpenAPI document."""
        return Call("GET", "/schema", _json, idempotent=True)
