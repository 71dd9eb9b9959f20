"""Probes, version and metrics."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from tests.api import Api, error_of
from vertex import health, liveness


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "readiness", health.Readiness())


def passing(monkeypatch: pytest.MonkeyPatch, **changed: Callable[[], bool]) -> None:
    monkeypatch.setattr(health, "CHECKS", dict.fromkeys(health.CHECKS, lambda: True) | changed)


def test_live_needs_nothing(nobody: Api) -> None:
    assert nobody.call("GET /health/live").json() == {"status": "live"}


def test_ready_when_all_parts_are(nobody: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    passing(monkeypatch)
    assert nobody.call("GET /health/ready/").json() == {"status": "ready"}


@pytest.mark.parametrize("part", ["database", "redis", "relay", "reconciled", "worker", "listen"])
def test_a_missing_part_is_named(nobody: Api, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    def broken() -> bool:
        raise redis.ConnectionError("password=hunter2")

    passing(monkeypatch, **{part: broken})
    response = nobody.call("GET /health/ready")
    assert error_of(response) == (503, "not_ready")
    assert response.json()["err_msg"] == f"not ready: {part}"
    assert "Retry-After" in response.headers


def test_checks_are_not_repeated_within_a_second(nobody: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    passing(monkeypatch, relay=lambda: bool(asked.append(1)) or True)
    for _ in range(3):
        nobody.call("GET /health/ready")
    assert len(asked) == 1


def test_the_real_checks(db: None, settings: Any) -> None:
    settings.VERTEX_RELAY_URL = "http://127.0.0.1:9"  # nobody listens there
    for name in ("reconciled", "heartbeat:worker", "heartbeat:listen"):
        liveness.connection().delete(f"{settings.VERTEX_NAME}:{name}")
    assert health.Readiness().failing() == ["relay", "reconciled", "worker", "listen"]
    liveness.reconciled_set(True)
    liveness.beat("worker")
    liveness.beat("listen")
    assert health.Readiness().failing() == ["relay"]


def test_version(nobody: Api) -> None:
    assert nobody.call("GET /version").json() == {"version": "0.1.0"}


def test_metrics_are_for_scrapers_and_admins(
    nobody: Api, alice: Api, admin: Api, new_operator: Callable[..., Any], settings: Any
) -> None:
    assert error_of(nobody.call("GET /metrics")) == (401, "access_denied")
    assert error_of(alice.call("GET /metrics")) == (400, "you_have_to_be_admin")
    assert b"vertex_access_denied_total" in admin.call("GET /metrics").content
    assert new_operator("val", "viewer")[1].call("GET /metrics").status_code == 200
    assert error_of(Api("").call("GET /metrics")) == (401, "access_denied")
    settings.VERTEX_METRICS_TOKEN = "scraper"
    assert Api("Bearer scraper").call("GET /metrics").status_code == 200
    for route in ("GET /keys", "GET /admin/list-all-system-keys", "GET /audit/events"):
        assert error_of(Api("Bearer scraper").call(route)) == (401, "access_denied")
