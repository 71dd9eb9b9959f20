"""The audit app by itself: what it announces is heard by nobody but the test."""

import pytest

from audit import signals
from tests.audit.logged import events

__all__ = ["events"]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for signal in (signals.deletion_confirmed, signals.deletion_rejected):
        monkeypatch.setattr(signal, "receivers", [])
        signal.sender_receivers_cache.clear()
