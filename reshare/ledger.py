"""The deletion ledger as a reshare keeps it: a row per old party and attempt, its statement, and what receipts say."""

from collections.abc import Iterable, Mapping
from typing import Any

from audit import services as audit
from audit.models import Deletion
from keys.models import KeyShare
from keys.selectors import shown_key
from mpc.identity import encode_keygen_id
from reshare import notices
from reshare.models import Reshare
from reshare.rule.facts import about
from reshare.rule.types import Attempt, Kind, Ledger, OrderKind, Receipt
from reshare.rule.view import View


def own_rows(identity: bytes, rows: Iterable[Reshare]) -> dict[bytes, Ledger]:
    """State of this party's ledger rows, by rid."""
    attempts = [row.attempt for row in rows]
    found = Deletion.objects.filter(attempt__in=attempts, party=identity).values_list("attempt", "state")
    return {bytes.fromhex(attempt): Ledger(state) for attempt, state in found}


def share_here(row: Reshare, party: bytes) -> KeyShare | None:
    """The old share of a party, if it is on this vertex: the row's own, or another party's of the same vertex."""
    if party == bytes(row.identity.public):
        return row.old_share
    return KeyShare.objects.filter(identity__public=party, gid=row.gid).first()


def statement_of(row: Reshare, party: bytes, stored: Iterable[bytes]) -> dict[str, Any]:
    """What the page about the deletion of this party's share shows (audit.statement.DeletionStatement)."""
    own = party == bytes(row.identity.public)
    share = share_here(row, party)
    generation = row.old_share.generation if row.old_share else 1
    exports = share.exports.order_by("created_at") if share else ()
    return {
        "key": {
            "key_id": str(share.id) if share else "",
            "scheme": row.scheme,
            "public_key": shown_key(row.scheme, row.public_key) or "",
            "generation": generation,
            "gid": bytes(row.gid or b"").hex(),
        },
        "old": _quorum(row.old_parties, row.old_threshold or 0, generation, share),
        "new": _quorum(row.new_parties, row.new_threshold, generation + 1, row.new_share if own else None),
        "rid": row.attempt,
        "digest": bytes(row.digest).hex() if row.digest is not None else "",
        "deletions_required": row.deletions_required or 0,
        "stored": sorted(encode_keygen_id(each) for each in stored),
        "exports": [{"time": e.created_at.isoformat(), "caller": e.caller, "kind": e.kind} for e in exports],
    }


def _quorum(parties: list[str], threshold: int, generation: int, share: KeyShare | None) -> dict[str, Any]:
    return {
        "threshold": threshold,
        "parties": [encode_keygen_id(bytes.fromhex(party)) for party in parties],
        "generation": generation,
        "key_id": str(share.id) if share else "",
    }


def open_row(row: Reshare, party: bytes, stored: Iterable[bytes] = ()) -> Deletion:
    """The ledger row of an old party; opened again it stays as it is."""
    share = share_here(row, party)
    user = share.user if share is not None else row.user
    return audit.deletion_open(
        attempt=row.attempt,
        party=party,
        keygen_id=encode_keygen_id(party),
        own=share is not None,
        gid=bytes(row.gid or b""),
        key_id=share.id if share is not None else None,
        statement=statement_of(row, party, stored),
        requested_by=f"user:{user.id}",
        owner=user.owner_name,
    )


def follow(row: Reshare, attempt: Attempt, view: View) -> None:
    """Bring the rows of all old parties to what the receipts say. The own row is the rule's to book, but for this
    party's `ABORTED`: an operator's confirmation of an aborted row orders the erase (orders.confirmed)."""
    heard = [receipt for receipt in view.receipts if about(receipt, attempt)]
    stored = {receipt.party for receipt in heard if receipt.kind == Kind.STORED}
    complete = attempt.rid in view.facts.stored
    opened = {bytes(deletion.party): deletion for deletion in Deletion.objects.filter(attempt=row.attempt)}
    for party in attempt.old:
        if party == view.me and row.old_share is None:
            continue
        deletion = opened.get(party) or open_row(row, party, stored)
        if complete and deletion.ready_at is None:
            audit.deletion_ready(deletion=deletion, statement=statement_of(row, party, stored))
            if deletion.state == Ledger.PENDING:
                notices.deletion_changed(row, deletion, Ledger.PENDING)
        state = _own_abort(row, deletion, attempt, view) if party == view.me else _said(party, heard)
        if (deletion.own and party != view.me) or state in (None, deletion.state):
            continue
        if audit.deletion_mark(attempt=row.attempt, party=party, state=state):
            notices.deletion_changed(row, deletion, state)


def _own_abort(row: Reshare, deletion: Deletion, attempt: Attempt, view: View) -> Ledger | None:
    """`ABORTED` where this party has cast it, by whatever: unless its operator's order to erase, which comes after it,
    has made the row `confirmed`. Asked under the ledger row's lock, so that no order comes in between."""
    vote = view.acceptor.vote(attempt.rid)
    if vote is None or vote.kind != Kind.ABORTED or deletion.state == Ledger.ABORTED:
        return None
    Deletion.objects.select_for_update().get(pk=deletion.pk)
    ordered = Reshare.objects.filter(id=row.id, orders__has_key=str(OrderKind.ERASE)).exists()
    return None if ordered else Ledger.ABORTED


def _said(party: bytes, heard: Iterable[Receipt]) -> Ledger | None:
    kinds = {receipt.kind for receipt in heard if receipt.party == party}
    for kind, state in (
        (Kind.DELETED, Ledger.ERASED),
        (Kind.CONFIRMED, Ledger.CONFIRMED),
        (Kind.ABORTED, Ledger.ABORTED),
    ):
        if kind in kinds:
            return state
    return None


def attestation(
    row: Reshare, share: KeyShare | None, checks: Mapping[str, bool], *, kind: str, method: str
) -> dict[str, Any]:
    """What `DELETED` states besides its ballot: and what every receipt does: keystore, method, checks, exports."""
    deletion = Deletion.objects.filter(attempt=row.attempt, party=bytes(row.identity.public)).first()
    return {
        "method": method,
        "keystore": kind,
        "time": share.erased_at.isoformat() if share is not None and share.erased_at else "",
        "checks": dict(checks),
        "exports": share.exports.count() if share is not None else 0,
        "exports_destroyed": deletion.exports_destroyed if deletion is not None else False,
    }
