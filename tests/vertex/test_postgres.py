"""Connections to PostgreSQL that notice a peer which has vanished."""

from typing import Any

import psycopg
import pytest
from django.db import connection

from vertex import postgres

SERVER = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 -c tcp_user_timeout=25000"
CLIENT = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}


@pytest.mark.parametrize(
    ("given", "pool", "handed"),
    [
        ({}, 0, {"options": SERVER}),
        ({}, 4, {"options": SERVER, "pool": {"min_size": 1, "max_size": 4, "timeout": 10}}),
        ({"sslmode": "verify-full"}, 0, {"options": SERVER, "sslmode": "verify-full"}),
        ({"options": "-c search_path=ours"}, 0, {"options": f"{SERVER} -c search_path=ours"}),
        ({"keepalives_idle": 60}, 0, {"options": SERVER, "keepalives_idle": 60}),
    ],
)
def test_what_the_driver_is_told(given: dict[str, Any], pool: int, handed: dict[str, Any]) -> None:
    assert postgres.options(given, pool=pool) == CLIENT | handed


def test_the_server_is_told_too_and_the_urls_own_options_hold(db: None) -> None:
    """Over a socket the server reads back its settings as 0: it is their source that tells."""
    handed = connection.get_connection_params()
    wanted = {*CLIENT, "host", "port", "user", "password", "dbname"} & set(handed)
    told = {name: handed[name] for name in wanted}
    own = {"options": "-c statement_timeout=4321 -c tcp_keepalives_count=2"}
    asked = "SELECT name FROM pg_settings WHERE source = 'client' AND name LIKE 'tcp_%' ORDER BY name"
    with psycopg.connect(**told | {"options": postgres.options(own, pool=0)["options"]}) as made:
        names = [name for (name,) in made.execute(asked)]
        [timeout] = made.execute("SHOW statement_timeout").fetchone() or [""]
    assert names == ["tcp_keepalives_count", "tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_user_timeout"]
    assert timeout == "4321ms"
    assert connection.settings_dict["OPTIONS"]["options"] == SERVER
