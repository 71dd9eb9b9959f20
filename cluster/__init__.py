"""Embedded servers, a relay and n vertices as real processes: what demo, bench and fault tests stand on."""

from cluster.cluster import Cluster
from cluster.process import StartError
from cluster.vertex import Vertex

__all__ = ["Cluster", "StartError", "Vertex"]
