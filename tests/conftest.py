"""Hooks for all tests. The servers come from the plugin tests.servers, which pyproject.toml loads."""

import os

import pytest

SKIPPED: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped:
        SKIPPED.append(report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped:
        SKIPPED.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI, where everything can be installed, a skipped test is a failed one."""
    if SKIPPED and exitstatus == pytest.ExitCode.OK and os.environ.get("VERTEX_CI") == "1":
        print("\nskipped in CI:", *SKIPPED, sep="\n  ")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
