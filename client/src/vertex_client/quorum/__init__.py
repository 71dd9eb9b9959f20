"""Several vertices as one: what their parties must do at the same time, and what they know together."""

from vertex_client.quorum.blocking import Quorum
from vertex_client.quorum.keys import Key, Reshared, Share
from vertex_client.quorum.progress import PartyProgress, Progress
from vertex_client.quorum.quorum import AsyncQuorum

__all__ = ["AsyncQuorum", "Key", "PartyProgress", "Progress", "Quorum", "Reshared", "Share"]
