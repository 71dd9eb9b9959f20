"""The demo's user: one at each vertex, with the vertices as one quorum of the Python client."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from vertex_client import Key, Quorum, QuorumError, Vertex
from vertex_client.routes.signing import HashAlgo

from cluster import vertex as processes
from cluster.cluster import Cluster

POLL = 0.1  # seconds between two looks at a state
PATIENCE = 60.0  # seconds that a state may take


def user_at(vertex: processes.Vertex) -> Vertex:
    """A new user at a vertex."""
    with Vertex(vertex.url, admin_token=vertex.admin_token) as admin:
        return Vertex(vertex.url, admin.create_user("demo").api_key)


@contextmanager
def quorum_of(cluster: Cluster) -> Iterator[Quorum]:
    """All vertices of a cluster, by their names."""
    with Quorum({vertex.name: user_at(vertex) for vertex in cluster.vertices}) as quorum:
        yield quorum


def shown(names: Collection[str]) -> str:
    """Vertices as the story names them: A, B."""
    return ", ".join(name.upper() for name in names)


def states(quorum: Quorum, key: Key) -> set[str]:
    """The states of a key's shares now."""
    return set(quorum.look(key).states.values())


def mixed(*parts: Key) -> Key:
    """Shares of different generations, held out as one key."""
    return replace(parts[-1], shares=tuple(share for part in parts for share in part.shares))


def sign_refusals(
    quorum: Quorum, key: Key, message: bytes, signers: Sequence[str], hash_algo: HashAlgo = "sha256"
) -> dict[str, str]:
    """The `err_type` that each signer gets; RuntimeError if anybody gets a signature."""
    try:
        quorum.sign(key, message, by=signers, hash_algo=hash_algo)
    except QuorumError as error:
        if not error.answers:
            return error.err_types
    raise RuntimeError(f"one of {shown(signers)} has signed")


def until(holds: Callable[[], bool], what: str) -> None:
    """Waits until something holds; RuntimeError names it when that takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {PATIENCE:.0f} s: {what}")
        time.sleep(POLL)
