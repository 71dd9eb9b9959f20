"""Fixtures of the tests of `reshare`."""

from tests.keys.conftest import provider, tokens, vault
from tests.life import vertex

__all__ = ["provider", "tokens", "vault", "vertex"]
