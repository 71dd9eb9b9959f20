"""All routes of a vertex, by topic. Each is written once and serves both kinds of client."""

from vertex_client.routes.admin import AdminRoutes
from vertex_client.routes.keys import KeyRoutes
from vertex_client.routes.moving import MovingRoutes
from vertex_client.routes.policies import PolicyRoutes
from vertex_client.routes.reshares import ReshareRoutes
from vertex_client.routes.signing import SigningRoutes
from vertex_client.routes.webhooks import WebhookRoutes


class Routes(KeyRoutes, SigningRoutes, ReshareRoutes, MovingRoutes, AdminRoutes, PolicyRoutes, WebhookRoutes):
    """Every method of a vertex."""
