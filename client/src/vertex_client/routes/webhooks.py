"""Who is told of events."""

from collections.abc import Sequence

from vertex_client.answers import Delivery, DeliveryId, NewWebhook, Page, Webhook
from vertex_client.calls import Call, Route, given, path
from vertex_client.decoding import nothing, read


class WebhookRoutes:
    """A user's endpoints are told of that user's keys, an admin's of everything."""

    @Route
    def create_webhook(self, url: str, events: Sequence[str] = ()) -> Call[NewWebhook]:
        """A new endpoint and its secret, told this once; without `events` it is told of all."""
        body = {"url": url, "events": list(events)}
        return Call("POST", "/webhooks", read(NewWebhook), body, creates=True)

    @Route
    def webhooks(self, *, limit: int | None = None, after: str | None = None) -> Call[Page[Webhook]]:
        """The caller's endpoints."""
        query = given(limit=limit, after=after)
        return Call("GET", "/webhooks", read(Page[Webhook]), query=query, idempotent=True)

    @Route
    def webhook(self, webhook_id: str) -> Call[Webhook]:
        """An endpoint, without its secret."""
        return Call("GET", path("webhooks", webhook_id), read(Webhook), idempotent=True)

    @Route
    def delete_webhook(self, webhook_id: str) -> Call[None]:
        """Removes an endpoint."""
        return Call("DELETE", path("webhooks", webhook_id), nothing)

    @Route
    def deliveries(
        self, webhook_id: str, *, limit: int | None = None, after: str | None = None
    ) -> Call[Page[Delivery]]:
        """What an endpoint was told, or is still to be told."""
        query = given(limit=limit, after=after)
        return Call(
            "GET", path("webhooks", webhook_id, "deliveries"), read(Page[Delivery]), query=query, idempotent=True
        )

    @Route
    def test_webhook(self, webhook_id: str) -> Call[DeliveryId]:
        """Sends a message that tells nothing."""
        return Call("POST", path("webhooks", webhook_id, "test"), read(DeliveryId), {})
