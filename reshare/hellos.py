"""What a party's hello says of the past of a sharing: the highest k it has seen, and the receipts that decide."""

from keys import receipts
from mpc.wire import MAX_RECEIPT_BYTES, MAX_RECEIPTS
from reshare import acceptor
from reshare.models import Reshare


def highest_k(row: Reshare) -> int:
    """The highest k that this party has seen for the sharing that it brings; 0 for a joiner, who brings none."""
    if row.old_share is None or row.old_share.gid is None:
        return 0
    gid = bytes(row.old_share.gid)
    record = acceptor.read(bytes(row.identity.public), gid)
    heard = [receipt.k for rid in _rids(gid) for _, receipt in receipts.held(rid)]
    said = [receipt.k for receipt in record.said]
    return max([0, *heard, *said, record.promised.k if record.promised else 0])


def known_receipts(row: Reshare) -> list[bytes]:
    """The completion certificate of the sharing that this party brings: the `DELETED` that made it live."""
    if row.old_share is None or row.old_share.gid is None:
        return []
    made = Reshare.objects.filter(new_gid=row.old_share.gid, rid__isnull=False).values_list("rid", flat=True).distinct()
    deleted = [
        encoded
        for rid in made
        if rid is not None
        for encoded, receipt in receipts.held(bytes(rid))
        if receipt.kind == receipts.DELETED and len(encoded) <= MAX_RECEIPT_BYTES
    ]
    return deleted[:MAX_RECEIPTS]


def _rids(gid: bytes) -> list[bytes]:
    rids = Reshare.objects.filter(gid=gid, rid__isnull=False).values_list("rid", flat=True).distinct()
    return [bytes(rid) for rid in rids if rid is not None]
