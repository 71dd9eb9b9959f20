"""Reads: reshares as their owners, admins and pages may see them."""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from keys import receipts
from keys.auth import TokenPrincipal
from keys.models import ProtocolSession
from keys.selectors import seen_by, shown_key
from mpc.identity import encode_keygen_id
from reshare import decisions
from reshare.look import attempt_of, facts_of
from reshare.models import Reshare
from reshare.rule.facts import about
from reshare.rule.types import Kind, Receipt
from reshare.ways import ways_on
from vertex.errors import ApiError

State = Reshare.State


def reshares_seen_by(principal: TokenPrincipal) -> QuerySet[Reshare]:
    """All reshares that this principal may read about: a user's own, any for admins."""
    rows = Reshare.objects.select_related("identity", "session", "old_share", "new_share", "user__owner")
    return seen_by(principal, rows)


def reshare_of(rows: QuerySet[Reshare], name: str) -> Reshare:
    """The reshare that a `reshare_id` or `rid` (hex) names; raises `not_found`."""
    row: Reshare | None = None
    try:
        row = rows.filter(rid=bytes.fromhex(name)).first() if len(name) == 64 else rows.filter(id=UUID(name)).first()
    except ValueError:
        row = None
    if row is None:
        raise ApiError("not_found", "there is no such reshare")
    return row


def receipts_about(row: Reshare) -> list[Receipt]:
    """The receipts that count for an attempt, as the rule reads them."""
    if row.rid is None:
        return []
    attempt = attempt_of(row)
    return [fact for fact in facts_of(attempt.rid, row) if about(fact, attempt)]


def progress(row: Reshare) -> dict[str, Any]:
    """Who has stored, voted and deleted, and how many are still needed."""
    heard = receipts_about(row)
    said = {(receipt.kind, receipt.party) for receipt in heard}
    votes = {
        receipt.party: str(receipt.kind).lower() for receipt in heard if receipt.kind in (Kind.CONFIRMED, Kind.ABORTED)
    }
    old = [bytes.fromhex(party) for party in row.old_parties]
    new = [bytes.fromhex(party) for party in row.new_parties]
    parties = [
        {
            "keygen_id": encode_keygen_id(party),
            "here": party == bytes(row.identity.public),
            "role": _role(party, old, new),
            "stored": (Kind.STORED, party) in said if party in new else None,
            "failed": (Kind.FAILED, party) in said if party in new else None,
            "vote": votes.get(party) if party in old else None,
            "deleted": (Kind.DELETED, party) in said if party in old else None,
            "completed": (Kind.COMPLETED, party) in said if party in new else None,
        }
        for party in sorted({*old, *new})
    ]
    needed = row.deletions_required or 0
    confirmed = sum(1 for kind, _ in said if kind == Kind.CONFIRMED)
    deleted = max((len(each) for each in _by_ballot(heard).values()), default=0)
    return {
        "parties": parties,
        "stored": sum(1 for kind, _ in said if kind == Kind.STORED),
        "confirmed": confirmed,
        "deleted": deleted,
        "confirmations_needed": max(0, needed - confirmed),
        "deletions_needed": max(0, needed - deleted),
        "old_shares_left": len(old) - len({party for kind, party in said if kind == Kind.DELETED}),
    }


def _by_ballot(heard: list[Receipt]) -> dict[Any, set[bytes]]:
    deleted: dict[Any, set[bytes]] = {}
    for receipt in heard:
        if receipt.kind == Kind.DELETED:
            deleted.setdefault(receipt.ballot, set()).add(receipt.party)
    return deleted


def _role(party: bytes, old: list[bytes], new: list[bytes]) -> str:
    if party not in old:
        return "joining"
    return "remaining" if party in new else "departing"


def reshare_line(row: Reshare) -> dict[str, Any]:
    """A reshare in a list."""
    return {
        "reshare_id": str(row.id),
        "rid": row.attempt or None,
        "state": row.state,
        "role": row.role,
        "scheme": row.scheme,
        "key_id": str(row.new_share_id) if row.new_share_id else None,
        "old_key_id": str(row.old_share_id) if row.old_share_id else None,
        "public_key": shown_key(row.scheme, row.public_key),
        "created_at": row.created_at,
        "completed_at": row.completed_at,
        "alarms": row.alarms,
    }


def reshare_detail(row: Reshare) -> dict[str, Any]:
    """All that may be said of a reshare: quorums, progress, what it waits for, the pause in which nobody could sign."""
    pause = pause_of(row)
    ways = ways_on(row)
    return {
        **reshare_line(row),
        "k": row.k,
        "gid": bytes(row.gid).hex() if row.gid is not None else None,
        "digest": bytes(row.digest).hex() if row.digest is not None else None,
        "old_quorum": {"threshold": row.old_threshold, "parties": _ids(row.old_parties)},
        "new_quorum": {"threshold": row.new_threshold, "parties": _ids(row.new_parties)},
        "deletions_required": row.deletions_required,
        **progress(row),
        "complete": row.state in (State.COMPLETE, State.CLEAN),
        "clean": row.state == State.CLEAN,
        "known_by_all": row.state == State.CLEAN and row.ended_at is not None,
        "ways_on": ways.to_data() if ways is not None else None,
        "decisions": decisions.shown(row),
        "pause_seconds": round(pause.total_seconds(), 3) if pause is not None else None,
        "conflicts": row.conflicts,
        "waiting": _waiting(row.session),
        "error": row.session.error if row.session is not None else None,
    }


def pause_of(row: Reshare) -> timedelta | None:
    """From the first erase that any party attests, by its own clock, to completion here: nobody could sign."""
    if row.completed_at is None or row.rid is None:
        return None
    times = [row.erased_at] if row.erased_at is not None else []
    for _, receipt in receipts.held(bytes(row.rid)):
        stated = receipt.body.get("time") if receipt.kind == receipts.DELETED else None
        with suppress(ValueError, TypeError):
            time = datetime.fromisoformat(str(stated))
            times += [time] if time.tzinfo is not None else []
    return max(timedelta(0), row.completed_at - min(times)) if times else None


def _ids(parties: list[str]) -> list[str]:
    return [encode_keygen_id(bytes.fromhex(party)) for party in parties]


def _waiting(session: ProtocolSession | None) -> str | None:
    """What the protocol waits for, in words."""
    states = ProtocolSession.State
    if session is None or session.state in (states.SETTLING, states.DONE, states.FAILED):
        return None
    if session.state in (states.JOINING, states.WAITING):
        return f"room {session.room} is not full: {session.room_size or '?'} parties are needed"
    return f"round {session.round}: messages of the other parties"


def receipt_lines(row: Reshare) -> list[dict[str, Any]]:
    """The receipts held about an attempt, decoded for pages."""
    if row.rid is None:
        return []
    return [
        {"kind": receipt.kind, "keygen_id": encode_keygen_id(receipt.party), "k": receipt.k, "encoded": encoded.hex()}
        for encoded, receipt in receipts.held(bytes(row.rid))
    ]
