"""Fixtures of the tests of `keys`."""

from tests.api import admin, alice, bob, new_operator, new_user, nobody, worker
from tests.life import vertex

__all__ = ["admin", "alice", "bob", "new_operator", "new_user", "nobody", "vertex", "worker"]
