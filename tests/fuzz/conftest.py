"""One real vertex whose calls wait for a second, and what its user's requests may name."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from cluster.cluster import Cluster
from cluster.embedded import Servers
from tests.cluster.conftest import cluster_servers
from tests.cluster.outside import Caller, at_once

__all__ = ["cluster_servers"]

PATIENCE = 60.0  # seconds


@dataclass(frozen=True)
class Target:
    """Where to call, with whose tokens, and what is there, by the names of parameters and fields."""

    url: str
    tokens: dict[str, str]
    ids: dict[str, list[Any]]


def done(caller: Caller, route: str, body: Any = None) -> Any:
    """The result of a call that takes longer than this vertex lets anybody wait."""
    begun = caller.call(route, body, prefer="respond-async")
    assert begun.status in (200, 202), begun.body
    if begun.status == 200:
        return begun.body
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        operation = caller.ok(f"GET {begun.headers['Location']}")
        if operation["state"] != "pending":
            assert operation["state"] == "done", operation
            return operation["result"]
        time.sleep(0.1)
    raise AssertionError(f"{route}: not done in {PATIENCE} s")


@pytest.fixture(scope="session")
def target(cluster_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The user has a key whose two parties are both here, one whose reshare waits for votes, and new ones."""
    settings = {"VERTEX_SYNC_TIMEOUT": "1", "VERTEX_ASYNC_TIMEOUT": "60"}
    with Cluster(1, tmp_path_factory.mktemp("fuzz"), servers=cluster_servers, settings=settings, say=print) as cluster:
        [vertex] = cluster.vertices
        admin = Caller(vertex.url, vertex.admin_token)
        made = admin.ok("GET /admin/create-user")
        user = Caller(vertex.url, made["api_key"])
        active, moving, pair = ([done(user, "GET /ecdsa/create") for _ in range(2)] for _ in range(3))

        def together(route: str, keys: list[Any], **fields: Any) -> None:
            room = user.ok("POST /create-room", {"room_size": len(keys)})["room_uuid"]
            ids = [key["keygen_id"] for key in keys]
            common = {"room_uuid": room, "keygen_ids": ids, **fields}
            at_once(*(lambda key=key: done(user, route, common | {"key_id": key["key_id"]}) for key in keys))

        together("POST /ecdsa/keygen", active, num_parties=2, threshold=2)
        together("POST /ecdsa/keygen", moving, num_parties=2, threshold=2)
        together("POST /ecdsa/reshare/existing-party", moving, new_threshold=2)
        reshares = user.ok("GET /reshares")["results"]
        ids = [key["keygen_id"] for key in pair]
        yield Target(
            vertex.url,
            {"user": made["api_key"], "admin": vertex.admin_token},
            {
                "key_id": [key["key_id"] for key in (active[0], moving[0], pair[0])],
                "room_uuid": [user.ok("POST /create-room", {"room_size": 2})["room_uuid"] for _ in range(20)],
                "name": [name for reshare in reshares for name in (reshare["reshare_id"], reshare["rid"]) if name],
                "user_id": [made["user_id"]],
                "keygen_ids": [ids, [key["keygen_id"] for key in active]],
                "others_keygen_ids": [ids, [pair[1]["keygen_id"]]],
            },
        )
