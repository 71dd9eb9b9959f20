"""The event log: gapless and chained, append-only in the database, checkable as table and as file."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.management import CommandError, call_command
from django.core.management.sql import emit_post_migrate_signal
from django.db import IntegrityError, connection, transaction
from pytest_django import Settings

from audit import chain, log, selectors
from audit.models import AuditHead, Event
from audit.services import head_sign, record

KEY = ec.generate_private_key(ec.SECP256R1())
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def sign(message: bytes) -> bytes:
    return KEY.sign(message, ec.ECDSA(SHA256()))


def append(number: int, **data: Any) -> Event:
    with transaction.atomic():
        return record(action="test.happened", actor="system", subject=f"thing {number}", data={"n": number, **data})


@pytest.fixture
def events(db: None) -> list[Event]:
    return [append(number, word="é\u2028", nested=[{"b": None, "a": [True, 10**30]}]) for number in range(1, 6)]


def as_superuser(statement: str) -> None:
    """What an intruder does who owns the tables."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_event DISABLE TRIGGER append_only")
        cursor.execute(statement)
        cursor.execute("ALTER TABLE audit_event ENABLE ALWAYS TRIGGER append_only")


def verify(**options: Any) -> str:
    out = StringIO()
    call_command("audit_verify", stdout=out, **options)
    return out.getvalue()


def test_events_are_numbered_from_one_and_chained(events: list[Event]) -> None:
    assert [event.seq for event in events] == [1, 2, 3, 4, 5]
    assert bytes(events[0].previous) == chain.EMPTY
    assert [bytes(event.previous) for event in events[1:]] == [bytes(event.hash) for event in events[:-1]]
    assert verify() == f"ok: 5 events, head {bytes(events[4].hash).hex()}\n"


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


@pytest.mark.parametrize(
    ("statement", "bad"),
    [
        pytest.param("UPDATE audit_event SET data = '{\"n\": 9}' WHERE seq = 3", 3, id="data changed"),
        pytest.param(
            "UPDATE audit_event SET data = data || '{\"n\": 3.0}' WHERE seq = 3", 3, id="data of another type"
        ),
        pytest.param("UPDATE audit_event SET actor = 'admin' WHERE seq = 2", 2, id="actor changed"),
        pytest.param("UPDATE audit_event SET action = 'a.b' WHERE seq = 4", 4, id="action changed"),
        pytest.param("UPDATE audit_event SET subject = 'x' WHERE seq = 1", 1, id="subject changed"),
        pytest.param(
            "UPDATE audit_event SET action = action || 's', actor = right(actor, -1) WHERE seq = 1", 1, id="field moved"
        ),
        pytest.param(
            "UPDATE audit_event SET time = time + interval '1 microsecond' WHERE seq = 5", 5, id="time changed"
        ),
        pytest.param("DELETE FROM audit_event WHERE seq = 3", 3, id="dropped"),
        pytest.param("DELETE FROM audit_event WHERE seq = 1", 1, id="first dropped"),
        pytest.param(
            "DELETE FROM audit_event WHERE seq = 3; UPDATE audit_event SET seq = seq - 1 WHERE seq > 3",
            3,
            id="gap closed",
        ),
        pytest.param(
            "INSERT INTO audit_event SELECT 6, time, action, actor, subject, data, hash, '\\x00' FROM audit_event"
            " WHERE seq = 5",
            6,
            id="forged tail",
        ),
        pytest.param(
            "UPDATE audit_event SET seq = 9 WHERE seq = 2; UPDATE audit_event SET seq = 2 WHERE seq = 3;"
            "UPDATE audit_event SET seq = 3 WHERE seq = 9",
            2,
            id="swapped",
        ),
    ],
)
def test_verify_names_the_first_bad_event(events: list[Event], statement: str, bad: int) -> None:
    as_superuser(statement)
    with pytest.raises(CommandError, match=f"event {bad}: "):
        verify()


def rewrite(event: Event) -> None:
    """Change an event and give it the hash that fits."""
    forged = chain.entry_hash(
        seq=event.seq, time=event.time, action="test.other", actor="admin", subject="", data={}, previous=event.previous
    )
    as_superuser(
        f"UPDATE audit_event SET action = 'test.other', actor = 'admin', subject = '', data = '{{}}',"
        f" hash = '\\x{forged.hex()}' WHERE seq = {event.seq}"
    )


def test_an_event_rewritten_with_its_hash_is_missed_by_the_next_one(events: list[Event]) -> None:
    rewrite(events[2])
    with pytest.raises(CommandError, match="event 4: does not follow"):
        verify()


def test_a_rechained_past_contradicts_the_signed_head(events: list[Event]) -> None:
    head_sign(vertex="a", sign=sign)
    rewrite(events[4])
    with pytest.raises(CommandError, match="event 5: a signed head names another"):
        verify()


def test_a_cut_tail_contradicts_the_signed_head(events: list[Event]) -> None:
    head_sign(vertex="a", sign=sign)
    as_superuser("DELETE FROM audit_event WHERE seq > 3")
    with pytest.raises(CommandError, match=r"event 5: .*no longer there"):
        verify()


@pytest.mark.django_db(transaction=True)
def test_concurrent_appends_leave_no_gap() -> None:
    start = threading.Barrier(6)

    def work(writer: int) -> None:
        start.wait()
        for number in range(5):
            append(number, writer=writer)
        connection.close()

    threads = [threading.Thread(target=work, args=(writer,)) for writer in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert selectors.chain_head()[0] == 30
    assert verify().startswith("ok: 30 events")


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


# An exported log, checked without the database.


@pytest.fixture
def exported(events: list[Event], tmp_path: Path) -> Path:
    head_sign(vertex="a", sign=sign)
    out = StringIO()
    call_command("audit_export", stdout=out)
    path = tmp_path / "log.jsonl"
    path.write_text(out.getvalue())
    (tmp_path / "key.pem").write_bytes(PEM)
    return path


def test_an_export_verifies_offline(exported: Path) -> None:
    assert len(exported.read_text().splitlines()) == 6
    assert verify(file=exported, pubkey=exported.with_name("key.pem")).startswith("ok: 5 events")


def swap(lines: list[str]) -> list[str]:
    return [lines[0], lines[2], lines[1], *lines[3:]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda lines: [line.replace('"n":3', '"n":4') for line in lines], "event 3", id="changed"),
        pytest.param(lambda lines: lines[:1] + lines[2:], "event 2", id="dropped"),
        pytest.param(lambda lines: lines[:2] + lines[1:], "event 3", id="repeated"),
        pytest.param(swap, "event 2", id="swapped"),
        pytest.param(lambda lines: lines[:3] + lines[5:], "event 5", id="tail cut"),
        pytest.param(lambda lines: [*lines, "{}"], "not an exported event", id="foreign line"),
        pytest.param(lambda lines: [*lines, "nonsense"], "does not hold", id="not json"),
        pytest.param(lambda lines: [lines[0].replace('"n":1', '"n": 1'), *lines[1:]], "canonical", id="not canonical"),
        pytest.param(lambda lines: [*lines, '{"head":"{}","signature":""}'], "not an exported head", id="empty head"),
        pytest.param(lambda lines: [*lines[:5], lines[5].replace("a", "b", 1)], "does not hold", id="head changed"),
        pytest.param(
            lambda lines: [*lines[:5], lines[5].replace('\\"vertex\\":\\"a\\"', '\\"vertex\\":\\"b\\"')],
            "not signed by this key",
            id="head of another vertex",
        ),
    ],
)
def test_a_changed_export_is_refused(exported: Path, change: Callable[[list[str]], list[str]], message: str) -> None:
    lines = exported.read_text().splitlines()
    changed = change(lines)
    assert changed != lines
    exported.write_text("\n".join(changed))
    with pytest.raises(CommandError, match=message):
        verify(file=exported, pubkey=exported.with_name("key.pem"))


def test_log_lines_round_trip(events: list[Event]) -> None:
    assert [chain.Entry.from_line(line) for line in list(log.export())] == [event.entry for event in events]
