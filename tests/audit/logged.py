"""A short event log to attack, the vertex's key, and the two ways to check it."""

from io import StringIO
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from audit import chain, heads
from audit.models import Event
from audit.services import record

KEY = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def sign(message: bytes) -> bytes:
    return KEY.sign(message, ec.ECDSA(SHA256()))


def append(number: int, **data: Any) -> Event:
    with transaction.atomic():
        return record(action="test.happened", actor="system", subject=f"thing {number}", data={"n": number, **data})


@pytest.fixture
def events(db: None) -> list[Event]:
    return [append(number, word="é\u2028", nested=[{"b": None, "a": [True, 10**30]}]) for number in range(1, 6)]


def as_owner(*statements: str) -> None:
    """What an intruder does who owns the tables."""
    tables = ("audit_event", "audit_audithead")
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
        for statement in statements:
            cursor.execute(statement)
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only")


def rechain(first: int = 1) -> None:
    """What a patient intruder does: give every event from `first` on the hashes that fit what stands there now."""
    previous = bytes(Event.objects.get(seq=first - 1).hash) if first > 1 else chain.EMPTY
    for event in Event.objects.filter(seq__gte=first).order_by("seq"):
        entry = event.entry
        fields = {name: getattr(entry, name) for name in ("seq", "time", "action", "actor", "subject", "data")}
        forged = chain.entry_hash(**fields, previous=previous)
        changes = f"previous = '\\x{previous.hex()}', hash = '\\x{forged.hex()}'"
        as_owner(f"UPDATE audit_event SET {changes} WHERE seq = {event.seq}")
        previous = forged


def countersigned(event: Event, key: ec.EllipticCurvePrivateKey = OTHER, vertex: str = "peer") -> str:
    """A peer's word about an event, as its `audit_heads` writes it."""
    statement = heads.seen_statement(
        vertex=vertex,
        party="somebody",
        number=1,
        receipt=bytes(32),
        seq=event.seq,
        digest=bytes(event.hash),
        time=timezone.now(),
    )
    return heads.Head.parse(statement, key.sign(statement.encode(), ec.ECDSA(SHA256()))).to_line()


def verify(**options: Any) -> str:
    out = StringIO()
    call_command("audit_verify", stdout=out, **options)
    return out.getvalue()
