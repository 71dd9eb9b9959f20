"""A client of Vertex: `Vertex` and `AsyncVertex` for one, `Quorum` and `AsyncQuorum` for several of them."""

from vertex_client.errors import BadAnswer, QuorumError, Unreachable, VertexError
from vertex_client.quorum import AsyncQuorum, Key, Progress, Quorum, Reshared, Share
from vertex_client.routes.signing import ToSign
from vertex_client.vertex import AsyncVertex, Vertex

__all__ = [
    "AsyncQuorum",
    "AsyncVertex",
    "BadAnswer",
    "Key",
    "Progress",
    "Quorum",
    "QuorumError",
    "Reshared",
    "Share",
    "ToSign",
    "Unreachable",
    "Vertex",
    "VertexError",
]
