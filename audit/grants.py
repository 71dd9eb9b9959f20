"""What the application's role may do: everything but change the past and the tables themselves.

The tables belong to the role that migrates; TRUNCATE, DROP and the triggers are the owner's alone.
"""

from django.db import connection
from psycopg import sql

APPEND_ONLY = ("audit_event", "audit_audithead")
_READ_ONLY = ("django_migrations",)


def grant(role: str) -> bool:
    """Give `role` its rights on every table of the schema; False if there is no such role or it owns the tables."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user = %s OR NOT EXISTS (SELECT FROM pg_roles WHERE rolname = %s)", [role, role])
        if cursor.fetchone()[0]:
            return False
        name = sql.Identifier(role)
        cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(name))
        cursor.execute(sql.SQL("GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {}").format(name))
        for table in connection.introspection.table_names(cursor):
            place = sql.Identifier(table)
            cursor.execute(sql.SQL("REVOKE ALL ON {} FROM {}, PUBLIC").format(place, name))
            cursor.execute(sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(_rights(table)), place, name))
    return True


def _rights(table: str) -> str:
    if table in _READ_ONLY:
        return "SELECT"
    return "SELECT, INSERT" if table in APPEND_ONLY else "SELECT, INSERT, UPDATE, DELETE"
