"""The event log: gapless and chained, append-only in the database, checkable as table and as file."""

import json
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from django.core.management import CommandError, call_command
from django.core.management.sql import emit_post_migrate_signal
from django.db import IntegrityError, connection, transaction
from pytest_django import Settings

from audit import chain, log, selectors
from audit.models import AuditHead, Event
from audit.services import head_sign, record
from tests.audit.logged import KEY, append, sign, verify


def test_events_are_numbered_from_one_and_chained(events: list[Event]) -> None:
    assert [event.seq for event in events] == [1, 2, 3, 4, 5]
    assert bytes(events[0].previous) == chain.EMPTY
    assert [bytes(event.previous) for event in events[1:]] == [bytes(event.hash) for event in events[:-1]]
    assert verify().startswith(f"ok: 5 events, head {bytes(events[4].hash).hex()}\n")


def test_the_hash_is_what_the_documentation_says() -> None:
    fixed = chain.entry_hash(
        seq=1,
        time=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        action="key.created",
        actor="admin",
        subject="x",
        data={"b": 1, "a": "é"},
        previous=chain.EMPTY,
    )
    assert fixed.hex() == "2efa796d538af3fdbbc3e8904617877ea5f339b55698ed8eb49bd006228bea3f"


@pytest.mark.django_db(transaction=True)
def test_concurrent_appends_leave_no_gap() -> None:
    start = threading.Barrier(8)

    def work(writer: int) -> None:
        start.wait()
        for number in range(5):
            append(number, writer=writer)
        connection.close()

    threads = [threading.Thread(target=work, args=(writer,)) for writer in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert selectors.chain_head()[0] == 40
    assert verify().startswith("ok: 40 events")


@pytest.mark.parametrize("table", ["audit_event", "audit_audithead"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET seq = seq", "DELETE FROM {}", "DELETE FROM {} WHERE false"])
def test_the_database_refuses_changes_even_to_the_owner(events: list[Event], table: str, statement: str) -> None:
    head_sign(vertex="a", sign=sign)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format(table))
    assert verify().startswith("ok: 5 events")


def test_a_row_of_the_log_can_be_neither_saved_nor_deleted(events: list[Event]) -> None:
    events[0].action = "test.other"
    for change in (events[0].save, events[0].delete):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            change()


@pytest.mark.parametrize(
    ("right", "expected"),
    [
        ("SELECT", {"audit_event", "audit_audithead", "audit_deletion", "django_migrations"}),
        ("INSERT", {"audit_event", "audit_audithead", "audit_deletion"}),
        ("UPDATE", {"audit_deletion"}),
        ("DELETE", {"audit_deletion"}),
        ("TRUNCATE", set()),
        ("TRIGGER", set()),
    ],
)
def test_after_a_migration_the_application_role_can_only_append(
    db: None, settings: Settings, right: str, expected: set[str]
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP ROLE IF EXISTS some_vertex_app")
        cursor.execute("CREATE ROLE some_vertex_app")
        cursor.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO some_vertex_app, PUBLIC")
        settings.VERTEX_APP_ROLE = "some_vertex_app"
        emit_post_migrate_signal(verbosity=0, interactive=False, db="default")
        cursor.execute(
            "SELECT relname FROM pg_class WHERE has_table_privilege('some_vertex_app', oid, %s)"
            " AND relname IN ('audit_event', 'audit_audithead', 'audit_deletion', 'django_migrations')",
            [right],
        )
        assert {row[0] for row in cursor.fetchall()} == expected
        cursor.execute("DROP OWNED BY some_vertex_app")
        cursor.execute("DROP ROLE some_vertex_app")


def test_granting_to_a_role_that_is_not_there_changes_nothing(db: None, settings: Settings) -> None:
    settings.VERTEX_APP_ROLE = "nobody_of_that_name"
    with pytest.raises(CommandError, match="no role"):
        call_command("grant_app_role")


@pytest.mark.django_db(transaction=True)
def test_an_event_needs_a_transaction() -> None:
    with pytest.raises(RuntimeError, match="transaction"):
        record(action="test.happened", actor="system", subject="", data={})
    assert not Event.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "event",
    [
        pytest.param({"data": {"ratio": 0.5}}, id="float"),
        pytest.param({"data": {"text": "a\0b"}}, id="nul"),
        pytest.param({"data": {"text": "\ud800"}}, id="surrogate"),
        pytest.param({"data": {1: "x"}}, id="key not text"),
        pytest.param({"data": {"raw": b"x"}}, id="bytes"),
        pytest.param({"data": {"long": "x" * 70_000}}, id="too long"),
        pytest.param({"data": json.loads("[" * 20 + "]" * 20)}, id="too deep"),
        pytest.param({"actor": "somebody"}, id="actor"),
        pytest.param({"actor": "user:42"}, id="user without id"),
        pytest.param({"action": "Nothing"}, id="action"),
    ],
)
def test_if_the_event_cannot_be_written_the_step_does_not_happen(event: dict[str, Any]) -> None:
    fields = {"action": "test.happened", "actor": "system", "subject": "", "data": {}} | event

    @transaction.atomic
    def step() -> None:
        AuditHead.objects.create(seq=1, hash=b"", time="2026-01-01T00:00Z", statement="a step", signature=b"")
        record(**fields)

    with pytest.raises(ValueError, match=r"."):
        step()
    assert not AuditHead.objects.exists()
    assert not Event.objects.exists()


def test_the_head_is_signed_once_until_something_is_appended(events: list[Event]) -> None:
    first = head_sign(vertex="a", sign=sign)
    assert head_sign(vertex="a", sign=sign).pk == first.pk
    fields = json.loads(first.statement)
    assert (fields["format"], fields["vertex"], fields["seq"]) == ("vertex-audit-head/1", "a", 5)
    assert fields["hash"] == bytes(events[4].hash).hex()
    KEY.public_key().verify(bytes(first.signature), first.statement.encode(), ec.ECDSA(SHA256()))
    append(6)
    assert selectors.current_head() is None
    assert head_sign(vertex="a", sign=sign).seq == 6


def test_log_lines_round_trip(events: list[Event]) -> None:
    assert [chain.Entry.from_line(line) for line in list(log.export())] == [event.entry for event in events]
