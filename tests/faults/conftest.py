"""Servers of their own: these tests stop them."""

from collections.abc import Iterator

import pytest

from cluster.embedded import Servers, open_servers
from tests.faults.disks import DiskServers


@pytest.fixture(scope="session")
def fault_servers() -> Iterator[Servers]:
    """Embedded ones even where the other tests were given some: nobody else's PostgreSQL is crashed here."""
    servers = open_servers({}, tmpfs=True, embedded=DiskServers)
    yield servers
    servers.close()
