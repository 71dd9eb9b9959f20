"""Promises for attempts that are unknown here. All they tell is how high a proposal must go (lifecycle.md, step 7): who
promised the higher ballot may be the only one that knows its attempt, and its proposer must still hear of it."""

from collections.abc import Collection, Iterator

from keys import receipts
from reshare.models import Reshare


def belongs(receipt: receipts.Receipt, row: Reshare) -> bool:
    """Whether a receipt is a promise that an old party of this row's sharing gave to another attempt at it."""
    return (
        receipt.kind == receipts.PROMISED
        and receipt.party.hex() in row.old_parties
        and receipt.gid == bytes(row.gid or b"")
    )


def worth_keeping(receipt: receipts.Receipt) -> bool:
    """Not so many about one sharing as no honest party signs."""
    of_party = receipts.said(receipts.PROMISED, [receipt.party])
    return sum(each.gid == receipt.gid for _, each in of_party) < receipts.MAX_PER_SIGNER


def held(rows: Collection[Reshare]) -> Iterator[tuple[bytes, receipts.Receipt]]:
    """(encoded, receipt) of the promises held for none of these rows' attempts, which are all known of one sharing."""
    known = {bytes(row.rid or b"") for row in rows}
    parties = {bytes.fromhex(party) for row in rows for party in row.old_parties}
    gids = {bytes(row.gid or b"") for row in rows}
    for encoded, receipt in receipts.said(receipts.PROMISED, parties):
        if receipt.gid in gids and receipt.subject not in known:
            yield encoded, receipt
