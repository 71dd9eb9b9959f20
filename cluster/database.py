"""Roles and databases of a cluster: one migrated template, a copy of it for every vertex."""

import secrets
from contextlib import suppress

import psycopg
from psycopg import sql

from cluster.embedded import Servers


class Databases:
    """The owner (the role of the given URL) migrates and owns the tables; vertices connect as an application role."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        # A suffix of its own: on a server that was given, others may run a cluster too.
        self._suffix = secrets.token_hex(4)
        self._template = f"vertex_{self._suffix}_template"
        self._made: set[str] = set()
        self.role = f"vertex_app_{self._suffix}"
        self._password = secrets.token_hex(24)

    @property
    def template_url(self) -> str:
        """The template, as the owner: for migrations."""
        return self._servers.database_url(self._template)

    def prepare(self) -> None:
        """Makes the application role and an empty template."""
        ensure_role(self._servers, self.role, self._password)
        self._execute("CREATE DATABASE {}", self._template)
        self._made.add(self._template)

    def create(self, vertex: str) -> str:
        """Copies the template; returns the URL that the vertex connects to."""
        name = self._name(vertex)
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, self._template)
        self._made.add(name)
        return self._servers.database_url(name, user=self.role, password=self._password)

    def owner_url(self, vertex: str) -> str:
        """The database of a vertex as its owner: for tests that restore or inspect it."""
        return self._servers.database_url(self._name(vertex))

    def copy(self, vertex: str, label: str) -> str:
        """A copy of a vertex's database as it is now, for `put_back`; breaks the vertex's connections. Its name."""
        source = self._name(vertex)
        name = f"{source}_{label}"
        self._execute("ALTER DATABASE {} ALLOW_CONNECTIONS false", source)
        try:
            self._disconnect(source)
            self._execute("CREATE DATABASE {} TEMPLATE {}", name, source)
        finally:
            self._execute("ALTER DATABASE {} ALLOW_CONNECTIONS true", source)
        self._made.add(name)
        return name

    def put_back(self, vertex: str, copy: str) -> None:
        """A restored dump: the copy in place of today's database, connections to which break."""
        self._execute("DROP DATABASE {} WITH (FORCE)", self._name(vertex))
        self._execute("CREATE DATABASE {} TEMPLATE {}", self._name(vertex), copy)

    def drop_copy(self, copy: str) -> None:
        self._drop(copy)

    def _disconnect(self, name: str) -> None:
        with psycopg.connect(self._servers.database_url("postgres"), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [name]
            )

    def drop(self, vertex: str) -> None:
        self._drop(self._name(vertex))

    def drop_all(self) -> None:
        """Leaves a server as it was found; one that is gone has nothing left to drop."""
        with suppress(psycopg.OperationalError):
            for name in list(self._made):
                self._drop(name)
            self._execute("DROP ROLE IF EXISTS {}", self.role)

    def _name(self, vertex: str) -> str:
        return f"vertex_{self._suffix}_{vertex}"

    def _drop(self, name: str) -> None:
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        self._made.discard(name)

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self._servers.database_url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def ensure_role(servers: Servers, role: str, password: str) -> None:
    """A role that may log in and nothing else, unless it is there already."""
    with psycopg.connect(servers.database_url("postgres"), autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone() is None:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}").format(
                    sql.Identifier(role), sql.Literal(password)
                )
            )
