"""Fixtures of the tests of the API's conventions."""

from tests.api import admin, alice, bob, new_operator, new_user, nobody

__all__ = ["admin", "alice", "bob", "new_operator", "new_user", "nobody"]
