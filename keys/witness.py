"""Heads of audit chains in receipts: this vertex's own, which peers thereby keep, and what it has seen of theirs.

A receipt's body carries ``audit_head`` = [seq, hash (32 bytes), number]. The number is counted in the keystore's
journal, which no restored database touches: of two heads of one party the higher number was shared later. A chain only
grows, so a later head with a lower seq, or two hashes for one seq, proves that the log was cut, rewritten or restored:
the two receipts, signed by that party, are the evidence. What lies between two heads their hashes alone don't tell:
`audit_verify --against` holds the log itself against what peers have seen.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q

from audit import heads
from audit import services as audit
from audit.models import Event
from audit.selectors import chain_head
from keys import node
from keys.keystore import JournalChanged, KeystoreUnavailable, keystore
from keys.models import PeerHead
from mpc.identity import encode_keygen_id

log = structlog.get_logger()
FIELD = "audit_head"
RECORD = "audit/head"
_LOCK = 0x68656164  # "head": any constant that nothing else in this database locks
_MAX = 2**63 - 1  # of a seq or number: what the database holds
CUT, TWO_CHAINS = "cut", "two chains"


class Shared(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A head as a receipt carries it."""

    seq: int
    hash: bytes  # 32
    number: int


def share() -> list[Any]:
    """Worker: the chain's end for a receipt about to be signed, durably counted before it leaves.

    If the head shared before is no longer in the chain, that is recorded and the alarm raised first; the receipt still
    leaves, and tells the peers. Raises RuntimeError within a transaction, whose own event may never be committed.
    """
    if connection.in_atomic_block:
        raise RuntimeError("a head is shared outside of transactions: only what is committed may be promised")
    with _exclusively():
        last = _last()
        if last is not None and not _holds(last):
            _tell_cut(last)
        return _count(last)


def check_own() -> bool:
    """Worker, at start: whether the log still holds the head that was shared last; if not, say so once."""
    with _exclusively():
        last = _last()
        if last is None or _holds(last):
            return True
        _tell_cut(last)
        _count(last)
        return False


def head_in(body: dict[str, Any]) -> Shared | None:
    """The head that a receipt's body carries; None where there is none, or what can't be one."""
    try:
        head = msgspec.convert(body.get(FIELD), Shared)
    except msgspec.ValidationError:
        return None
    fits = len(head.hash) == 32 and 0 <= head.seq <= _MAX and 1 <= head.number <= _MAX
    return head if fits else None


def keep_head(*, party: bytes, fingerprint: bytes, body: dict[str, Any]) -> None:
    """Keep the head of a receipt that was just kept, inside that transaction; compared once it is committed."""
    head = head_in(body)
    if head is not None:
        fields = {"party": party, "seq": head.seq, "hash": head.hash, "number": head.number}
        PeerHead.objects.get_or_create(receipt=fingerprint, defaults=fields)
        transaction.on_commit(compare, robust=True)


def countersigned(party: bytes) -> Iterator[str]:
    """Worker: the heads seen of a party as lines that `audit_verify --against` takes, each signed by this vertex."""
    for row in PeerHead.objects.filter(party=party).order_by("number", "id"):
        statement = heads.seen_statement(
            vertex=settings.VERTEX_NAME,
            party=encode_keygen_id(party),
            number=row.number,
            receipt=bytes(row.receipt),
            seq=row.seq,
            digest=bytes(row.hash),
            time=row.received_at,
        )
        yield heads.Head.parse(statement, node.sign(statement.encode())).to_line()


def compare() -> int:
    """Hold heads that were not compared yet against the others of their party; the sweep does it too. How many."""
    waiting = list(PeerHead.objects.filter(compared=False).order_by("id").values_list("id", flat=True)[:500])
    return sum(_compare(row_id) for row_id in waiting)


@transaction.atomic
def _compare(row_id: int) -> bool:
    row = PeerHead.objects.select_for_update().get(id=row_id)
    if row.compared:
        return False
    found = _rival(row)
    row.compared = True
    if found is not None:
        row.rival, row.conflict = found
    row.save(update_fields=["compared", "rival", "conflict"])
    if found is not None:
        party = encode_keygen_id(bytes(row.party))
        log.error("audit_head_conflict", party=party, why=row.conflict)
        evidence = {"why": row.conflict, "first": _described(found[0]), "second": _described(row)}
        audit.record(action="audit.head_conflict", actor="system", subject=party, data=evidence)
    return True


def _rival(row: PeerHead) -> tuple[PeerHead, str] | None:
    """A head of the same party that can't be of one growing chain with this one; a pair is found from one side only."""
    others = PeerHead.objects.filter(party=row.party).exclude(id=row.id).exclude(rival=row)
    same = others.filter(Q(seq=row.seq) | Q(number=row.number)).exclude(seq=row.seq, hash=row.hash)
    if (other := same.first()) is not None:
        return other, TWO_CHAINS
    # Neighbours only: after one cut, later heads of the new chain are not told again.
    before = others.filter(number__lt=row.number).order_by("-number").first()
    after = others.filter(number__gt=row.number).order_by("number").first()
    if before is not None and before.seq > row.seq:
        return before, CUT
    if after is not None and after.seq < row.seq:
        return after, CUT
    return None


def _described(head: PeerHead) -> dict[str, Any]:
    hexes = {"hash": bytes(head.hash).hex(), "receipt": bytes(head.receipt).hex()}
    return {"seq": head.seq, "number": head.number, **hexes}


@contextmanager
def _exclusively() -> Iterator[None]:
    """One worker at a time counts: a session-level lock, so that nothing is written under the log's own lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _last() -> Shared | None:
    data = keystore().journal.read(RECORD)
    return None if data is None else msgspec.msgpack.decode(data, type=Shared)


def _count(last: Shared | None) -> list[Any]:
    """The chain's end under the next number, in the journal. Raises KeystoreUnavailable where another worker has
    counted since: this one was frozen, and its lock was taken from it."""
    seq, digest = chain_head()
    head = Shared(seq, digest, last.number + 1 if last is not None else 1)
    journal, before, now = keystore().journal, msgspec.msgpack.encode(last), msgspec.msgpack.encode(head)
    try:
        journal.swap(RECORD, before if last is not None else None, now)
    except JournalChanged as error:
        if journal.read(RECORD) != now:  # else it is counted: what carries the calls has tried twice
            raise KeystoreUnavailable("another worker has shared a head of the event log meanwhile") from error
    return [head.seq, head.hash, head.number]


def _holds(last: Shared) -> bool:
    return last.seq == 0 or Event.objects.filter(seq=last.seq, hash=last.hash).exists()


def _tell_cut(last: Shared) -> None:
    seq, digest = chain_head()
    shared = {"seq": last.seq, "hash": last.hash.hex(), "number": last.number}
    found = {"seq": seq, "hash": digest.hex()}
    log.error("audit_log_cut", shared=shared, found=found)
    with transaction.atomic():
        data = {"shared": shared, "found": found}
        audit.record(action="audit.cut", actor="system", subject=settings.VERTEX_NAME, data=data)
