"""The event log's table as an export, and checked as such: the same chain and heads as in a file (audit.exported)."""

from collections.abc import Iterator

from django.db import DataError

from audit import chain, selectors
from audit.exported import Checks, Report
from audit.heads import Head
from audit.models import AuditHead, Event

_CHUNK = 1000


def export() -> Iterator[str]:
    """The log's lines, without newlines: the events in order, and last the newest signed head."""
    head = selectors.last_head()
    for event in Event.objects.order_by("seq").iterator(chunk_size=_CHUNK):
        yield event.entry.to_line()
    if head is not None:
        yield _head(head).to_line()


def verify_table(checks: Checks) -> Report:
    """Check the table against its signed heads and what else is given. Raises Broken."""
    # Heads first: what is appended meanwhile is then under none of them, and no head is without its event.
    rows = list(AuditHead.objects.order_by("pk"))
    heads, bad = [], None
    for row in rows:
        try:
            heads.append(_head(row))
        except chain.Broken as broken:
            bad = bad or broken
    seq, digest = chain.verify(_entries(), checks.all_claims(heads))
    if bad is not None:
        raise bad
    checks.check_signatures(heads)
    return Report(seq, digest, max((head.seq for head in heads), default=0), checks)


def _entries() -> Iterator[chain.Entry]:
    """All rows in order; one that the driver can't even read (an intruder's) is named like any other bad event.

    Each chunk begins with the seq that the last one ended with: who owns the table may have dropped its key.
    """
    rows = Event.objects.order_by("seq")
    last: int | None = None
    while True:
        found = rows if last is None else rows.filter(seq__gte=last)
        try:
            chunk = list(found[:_CHUNK])
        except (DataError, ValueError, RecursionError):
            seqs = list(found.values_list("seq", flat=True)[:_CHUNK])
            yield from _one_by_one(seqs[1:] if seqs[0] == last else seqs)
            return
        yield from (event.entry for event in (chunk[1:] if chunk and chunk[0].seq == last else chunk))
        if len(chunk) < _CHUNK:
            return
        last = chunk[-1].seq


def _one_by_one(seqs: list[int]) -> Iterator[chain.Entry]:
    for seq in seqs:
        try:
            found = list(Event.objects.filter(seq=seq))
        except (DataError, ValueError, RecursionError) as error:
            raise chain.Broken(seq, "was changed: its row can't be read") from error
        yield from (event.entry for event in found)


def _head(row: AuditHead) -> Head:
    try:
        head = Head.parse(row.statement, bytes(row.signature))
    except ValueError as error:
        raise chain.Broken(row.seq, f"its signed head was changed: {error}") from error
    if (row.seq, bytes(row.hash)) != (head.seq, head.hash):
        raise chain.Broken(row.seq, "its signed head was changed: row and statement differ")
    return head
