"""Several vertices at which one has tokens: keys made, used and moved between them."""

from vertex_client.quorum.changing import Changing
from vertex_client.quorum.signing import Signing


class AsyncQuorum(Signing, Changing):
    """Vertices by name. Each method collects every vertex's failure into one QuorumError."""
