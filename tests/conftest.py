"""Fixtures for all tests. The servers come from the plugin tests.servers, which pyproject.toml loads."""
