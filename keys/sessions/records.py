"""What the keystore's journal holds of a durable session as long as its key exists: which key that is, and the last
round that was sent. No restored database touches it: it tells what a restored one has forgotten, and what to destroy.
"""

from typing import NamedTuple
from uuid import UUID

from keys.keystore import JournalChanged, keystore
from keys.models import ProtocolSession
from keys.sessions.lease import LeaseLost

NOTHING_SENT = -1
_PREFIX = "session/"
State = ProtocolSession.State


class SessionRecord(NamedTuple):
    """``<reference of the data key> <round>``; earlier versions wrote the round alone."""

    data_key: str | None
    sent: int

    def encode(self) -> bytes:
        return f"{self.data_key or ''} {self.sent}".strip().encode()


def record_read(session_id: UUID) -> SessionRecord | None:
    """Raises Tampered."""
    entry = keystore().journal.read(_name(session_id))
    if entry is None:
        return None
    data_key, _, sent = entry.decode().rpartition(" ")
    return SessionRecord(data_key or None, int(sent))


def record_write(session_id: UUID, record: SessionRecord, *, known: SessionRecord | None) -> None:
    """Write in place of the record that this worker knows (None: of none); raises LeaseLost where another worker has
    written or destroyed it since."""
    journal, name = keystore().journal, _name(session_id)
    try:
        journal.swap(name, known.encode() if known else None, record.encode())
    except JournalChanged as error:
        if journal.read(name) != record.encode():  # else it is ours: what carries the calls has tried twice
            raise LeaseLost(str(session_id)) from error


def session_material_destroy(session: ProtocolSession) -> None:
    """Destroy a session's key, that of its row and that of its record, then the record; what the database still holds
    opens no more. Idempotent."""
    _keys_destroy(session.id, session.data_key)
    keystore().journal.destroy(_name(session.id))


def session_key_exists(session_id: UUID) -> bool:
    """Whether the key that a session's record names is in the keystore, whatever its row says."""
    record = record_read(session_id)
    return record is not None and record.data_key is not None and keystore().keys.exists(record.data_key)


def forgotten_destroy() -> None:
    """At start: destroy the keys of sessions that the database does not know to have begun, or knows to have ended.

    Workers may be at theirs meanwhile. A session's row is there, and `running`, before its record is: so the records
    are listed first, and what runs is left to who takes it up. The record of a session that may still be claimed stays,
    without its key: what it has sent must not be said anew.
    """
    for name in keystore().journal.list(_PREFIX):
        session_id = UUID(hex=name.removeprefix(_PREFIX))
        row = ProtocolSession.objects.filter(id=session_id).first()
        if row is None or row.finished_at is not None:
            session_material_destroy(row or ProtocolSession(id=session_id))
        elif row.state not in (State.RUNNING, State.SETTLING):
            _keys_destroy(session_id)


def _keys_destroy(session_id: UUID, *known: str | None) -> None:
    record = record_read(session_id)
    for ref in {*known, record.data_key if record else None} - {None}:
        keystore().keys.destroy(str(ref))


def _name(session_id: UUID) -> str:
    return f"{_PREFIX}{session_id.hex}"
