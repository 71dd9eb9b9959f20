"""At start: database against keystore and journal. The journal is authoritative; a restored database catches up."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import structlog
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from audit import services as audit
from keys import keygen_receipts, witness
from keys.boxes import ensure_box
from keys.exporting import marks_restore
from keys.keystore import keystore
from keys.models import KeyShare, PartyIdentity
from keys.node import ensure_node
from keys.sessions.records import forgotten_destroy
from keys.shares import ShareUnusable, share_key_exists, share_row_from_journal
from keys.signing import bans_finish
from reshare import acceptor, certificates, statements
from reshare.certificates import Certificate
from reshare.decommission import decommissioned
from reshare.executor import advance
from reshare.models import Reshare
from reshare.receiving import told
from vertex.errors import ApiError
from vertex.liveness import reconciled_set

log = structlog.get_logger()
# What a durable answer rests on: PostgreSQL must keep what it has acknowledged.
DURABLE = ("fsync", "synchronous_commit", "full_page_writes")
LIVING = ("quarantined", "active", "retiring", "parked")


_HERE = Lock()
_LOCK = 0x7265_636F  # session-level advisory lock: one worker of all


class NotDurable(Exception):
    """A setting of the database would let it forget what it has acknowledged."""


@contextmanager
def alone() -> Iterator[bool]:
    """False where another thread, or another worker of this vertex, is at it."""
    here = _HERE
    if not here.acquire(blocking=False):
        yield False
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
            mine = bool(cursor.fetchone()[0])
        try:
            yield mine
        finally:
            if mine:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
    finally:
        here.release()


def reconcile() -> None:
    """Make rows again that only the journal knows, mark erased what has no key, take up what is owed; then say so."""
    ensure_node()
    ensure_box()
    check_durability()
    witness.check_own()
    forgotten_destroy()
    for name in keystore().journal.list("share/"):
        entry = keystore().journal.read(name)
        if entry is not None:
            _restore(json.loads(entry))
    marks_restore()
    for identity, gid, certificate in certificates.everywhere():
        _certified(identity, gid, certificate)
    for share in KeyShare.objects.select_related("identity").filter(state__in=LIVING):
        if not share_key_exists(share):
            _without_key(share)
    bans_finish()
    failures: list[Exception] = []
    for identity, gid in acceptor.all_records():
        party = PartyIdentity.objects.filter(public=identity).first()
        if party is not None and not decommissioned(party):
            try:
                advance(identity, gid)
            except Exception as error:
                log.exception("not_reconciled", gid=gid.hex())
                failures.append(error)
    if failures:
        raise failures[0]  # a share that must not act any more might: nothing works before it has been looked at
    reconciled_set(True)
    log.info("reconciled", vertex=settings.VERTEX_NAME)


def check_durability() -> None:
    """Raise NotDurable where fsync, synchronous_commit or full_page_writes is off."""
    with connection.cursor() as cursor:
        for setting in DURABLE:
            cursor.execute("SELECT current_setting(%s)", [setting])
            if cursor.fetchone()[0] == "off":
                raise NotDurable(f"PostgreSQL runs with {setting} off: shares could be lost or live twice")


def _restore(record: dict[str, object]) -> None:
    """A stored share whose row is missing or older: the database was restored."""
    known = KeyShare.objects.filter(id=str(record["key_id"])).exclude(state="created").exists()
    try:
        if not known:
            with transaction.atomic():
                _make_row_again(record)
    except (PartyIdentity.DoesNotExist, IntegrityError):
        # Its identity key, user or policy was lost with the database: it can't be used, and is reported.
        log.exception("share_row_not_restored", key=str(record["key_id"]))
        with transaction.atomic():
            audit.record(
                action="share.not_restored",
                actor="system",
                subject=str(record["key_id"]),
                data={"gid": str(record["gid"])},
            )
        return
    _say_stored_again(record)


def _make_row_again(record: dict[str, object]) -> None:
    """The share's row, and that of the attempt which made it, with their events or not at all."""
    share, _ = share_row_from_journal(record)
    extra = record.get("extra")
    if isinstance(extra, dict) and "preimage" in extra and "sid" not in extra:
        try:
            row = told(
                statements.verified(bytes.fromhex(extra["preimage"])),
                party=share,
                old_share=share.predecessor,
                new_share=share,
            )
            # A row of before the share was stored names none yet.
            Reshare.objects.filter(id=row.id, new_share=None).update(new_share=share)
            statements.learn(row, bytes.fromhex(extra["preimage"]))
        except (ApiError, ValueError):
            log.exception("preimage_in_journal_unusable", key=str(share.id))
    audit.record(action="share.row_restored", actor="system", subject=str(share.id), data={"gid": str(record["gid"])})


def _say_stored_again(record: dict[str, object]) -> None:
    """Of a key generation that no session here brings to its end: what its share's `STORED` says, and what follows."""
    extra = record.get("extra")
    if not (isinstance(extra, dict) and "sid" in extra and "preimage" in extra):
        return
    quarantined = KeyShare.objects.select_related("identity").filter(state=KeyShare.State.QUARANTINED)
    share = quarantined.filter(id=str(record["key_id"])).first()
    if share is None or share.sessions.filter(kind__in=("keygen", "import"), finished_at=None).exists():
        return
    try:
        keygen_receipts.restored(
            share,
            sid=bytes.fromhex(extra["sid"]),
            digest=bytes.fromhex(str(record["digest"])),
            preimage=bytes.fromhex(extra["preimage"]),
        )
    except ShareUnusable:  # its key is gone: the row is marked below
        log.exception("keygen_not_restored", key=str(share.id))


def _certified(identity: bytes, gid: bytes, certificate: Certificate) -> None:
    """An attempt that this party has accepted, or whose share it uses, and that the database may have lost: its row
    again, and what shows it."""
    shares = KeyShare.objects.filter(identity__public=identity).select_related("identity", "user")
    old = shares.filter(gid=gid).first()
    try:
        statement = statements.verified(certificate.preimage)
    except ApiError:
        log.exception("certificate_in_journal_unusable", gid=gid.hex())
        return
    party = old or shares.filter(gid=statement.gid_new).first()
    if party is None:
        return
    row = told(statement, party=party, old_share=old, new_share=None if old else party)
    statements.learn(row, certificate.preimage)
    certificates.restore(identity, gid)


def _without_key(share: KeyShare) -> None:
    """A row without its key is an erased share, not an error to repair."""
    with transaction.atomic():
        state = "erased" if share.state in ("active", "retiring") else "discarded"
        KeyShare.objects.filter(id=share.id).update(
            state=state, sealed_share=None, data_key=None, erased_at=timezone.now()
        )
        audit.record(action="share.key_missing", actor="system", subject=str(share.id), data={"was": share.state})
