"""Fixtures of the tests of `reshare`."""

from tests.life import vertex

__all__ = ["vertex"]
