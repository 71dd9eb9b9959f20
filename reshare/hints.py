"""Promises for attempts that are unknown here. All they tell is how high a proposal must go (lifecycle.md, step 7): who
promised the higher ballot may be the only one that knows its attempt, and its proposer must still hear of it."""

from keys import receipts
from reshare.models import Reshare


def belongs(receipt: receipts.Receipt, row: Reshare) -> bool:
    """Whether a receipt is a promise that an old party of this row's sharing gave, to whatever attempt at it."""
    return (
        receipt.kind == receipts.PROMISED
        and receipt.party.hex() in row.old_parties
        and receipt.gid == bytes(row.gid or b"")
    )


def worth_keeping(receipt: receipts.Receipt) -> bool:
    """Not so many about one sharing as no honest party signs."""
    return len(_promises(receipt.gid, [receipt.party])) < receipts.MAX_PER_SIGNER


def others(row: Reshare) -> list[tuple[bytes, receipts.Receipt]]:
    """(encoded, receipt) of what the old parties of an attempt's sharing have promised to other attempts at it."""
    parties = [bytes.fromhex(party) for party in row.old_parties]
    return [each for each in _promises(bytes(row.gid or b""), parties) if each[1].subject != bytes(row.rid or b"")]


def _promises(gid: bytes, parties: list[bytes]) -> list[tuple[bytes, receipts.Receipt]]:
    return [each for each in receipts.of_sharing(gid, parties) if each[1].kind == receipts.PROMISED]
