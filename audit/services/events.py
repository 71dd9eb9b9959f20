"""Appending to the event log, and signing its head."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection
from django.utils import timezone

from audit import chain, heads, selectors
from audit.models import AuditHead, Event
from vertex.requests import request_id

# Any constant that nothing else in this database locks: "audit".
_LOCK = 0x6175646974
_ACTION = re.compile(r"[a-z_]+(\.[a-z_]+)+\Z")
_ACTOR = re.compile(r"(admin|system|user:[0-9a-f-]{36}|operator:.{1,150})\Z")
_MAX_DATA = 65_536


def record(*, action: str, actor: str, subject: str, data: dict[str, Any]) -> Event:
    """Append an event, as the last statement of the transaction that does what it tells of.

    The id of the request that it is done for, if one is bound, becomes a part of `data`.
    From here to the commit no other event can be appended: no work, no I/O after it. Raises RuntimeError outside a
    transaction, ValueError for an actor, action or data that the chain can't hold; then nothing may be committed.
    """
    [event] = record_each(action=action, actor=actor, subject=subject, data=[data])
    return event


def record_each(*, action: str, actor: str, subject: str, data: Sequence[dict[str, Any]]) -> list[Event]:
    """Append an event for each of `data`, in order and in one statement; otherwise like `record`."""
    if not data:
        return []
    if not connection.in_atomic_block:
        raise RuntimeError("an event is recorded in the transaction that it tells of")
    if not _ACTION.match(action) or not _ACTOR.match(actor):
        raise ValueError(f"not an action and actor of the event log: {action}, {actor}")
    if caused := request_id():
        data = [{"request_id": caused} | each for each in data]
    if any(len(chain.canonical(each)) > _MAX_DATA for each in data):
        raise ValueError("too long for an event")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    # READ COMMITTED: this statement sees what the lock's last holder committed.
    seq, previous = selectors.chain_head()
    now, events = timezone.now(), []
    for number, each in enumerate(data, seq + 1):
        fields: dict[str, Any] = {
            "seq": number,
            "time": now,
            "action": action,
            "actor": actor,
            "subject": subject,
            "data": each,
            "previous": previous,
        }
        previous = chain.entry_hash(**fields)
        events.append(Event(**fields, hash=previous))
    return Event.objects.bulk_create(events)


def head_sign(*, vertex: str, sign: Callable[[bytes], bytes]) -> AuditHead:
    """Sign the chain's end with the vertex's identity key, unless the newest signed head is the end already.

    `sign` gives an ECDSA signature (P-256, SHA-256, DER) over the statement's bytes.
    """
    if (current := selectors.current_head()) is not None:
        return current
    seq, digest = selectors.chain_head()
    now = timezone.now()
    statement = heads.own_statement(vertex=vertex, seq=seq, digest=digest, time=now)
    return AuditHead.objects.create(
        seq=seq, hash=digest, time=now, statement=statement, signature=sign(statement.encode())
    )
