"""Mutation testing of the checks of `mpc/`: `python -m tests.mutants`, described in docs/development.md."""
