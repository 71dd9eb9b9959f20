"""A pytest plugin, loaded by name before all others: PostgreSQL and Redis for the tests.

Where DATABASE_URL and REDIS_URL are not set it starts embedded servers once a run and names them in the environment,
before Django's settings are read. Workers of pytest-xdist inherit those, each with a Redis database of its own.
"""

import os
import re
import secrets
from collections.abc import Generator

import pytest

from cluster.database import ensure_role
from cluster.embedded import EmbeddedServers, open_servers

OURS = "VERTEX_TEST_EMBEDDED"
DEFAULTS = {
    "VERTEX_NAME": "test",
    "VERTEX_INSECURE_HTTP": "1",
    "VERTEX_TWO_PERSON": "0",
    "VERTEX_RATE": "100000000/min",
    "VERTEX_GUESS_RATE": "100000000/min",
}
SERVERS = pytest.StashKey[EmbeddedServers]()


def _worker_redis() -> None:
    number = re.sub(r"\D", "", os.environ["PYTEST_XDIST_WORKER"])
    os.environ["REDIS_URL"] = re.sub(r"/\d*$", f"/{int(number) + 1}", os.environ["REDIS_URL"])


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    # A wrapper runs before every other implementation, pytest-django's among them.
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    for name in ("VERTEX_SECRET_KEY", "VERTEX_MASTER_KEY", "VERTEX_ADMIN_TOKEN"):
        os.environ.setdefault(name, secrets.token_hex(32))
    if "PYTEST_XDIST_WORKER" in os.environ:
        _worker_redis()
    else:
        servers = open_servers(os.environ, tmpfs=True)
        if isinstance(servers, EmbeddedServers):
            early_config.stash[SERVERS] = servers
            os.environ |= {
                "DATABASE_URL": servers.database_url("postgres"),
                "REDIS_URL": servers.redis_url(0),
                OURS: "1",
            }
            # The role that migrations grant rights to; the tests themselves connect as the owner.
            ensure_role(servers, "vertex_app", secrets.token_hex(16))
            early_config.add_cleanup(servers.close)
    yield
