"""What is known of attempts that have no row here: promises to them, and attempts in which this party has no part.

A promise tells how high a proposal must go (lifecycle.md, step 7): who promised the higher ballot may be the only one
that knows its attempt, and its proposer must still hear of it. That another attempt is complete ends the one by which
a party was to join (step 4), though it takes part in neither quorum of that other one.
"""

from collections.abc import Collection

from keys import receipts
from keys.models import Statement
from mpc.reshare import ReshareStatement
from reshare import statements
from reshare.models import Reshare
from vertex.errors import ApiError


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


def promises(row: Reshare) -> list[tuple[bytes, receipts.Receipt]]:
    """(encoded, receipt) of what the old parties of an attempt's sharing have promised to other attempts at it."""
    parties = [bytes.fromhex(party) for party in row.old_parties]
    return [each for each in _promises(bytes(row.gid or b""), parties) if each[1].subject != bytes(row.rid or b"")]


def _promises(gid: bytes, parties: list[bytes]) -> list[tuple[bytes, receipts.Receipt]]:
    return [each for each in receipts.of_sharing(gid, parties) if each[1].kind == receipts.PROMISED]


def bystanders(statement: ReshareStatement) -> list[Reshare]:
    """Rows of other attempts at the same sharing, of parties that have no part in this one."""
    rows = Reshare.objects.select_related("identity", "session").filter(gid=statement.old.gid)
    return [row for row in rows.exclude(rid=statement.rid) if _stands_by(row, statements.described(statement))]


def attempts(rows: Collection[Reshare], subjects: Collection[bytes]) -> list[Reshare]:
    """Of these subjects of receipts the attempts that are known by their preimage alone, as rows that are not in the
    database. `rows` are this party's own at the sharing."""
    kept = Statement.objects.filter(subject__in=list(subjects)).values_list("preimage", flat=True)
    found = [each for preimage in kept if (each := _described(bytes(preimage))) is not None]
    return [each for each in found if any(_stands_by(row, each) for row in rows)]


def _described(preimage: bytes) -> Reshare | None:
    """None of a key generation's statement: who signs a promise may name whatever subject he likes."""
    try:
        return statements.described(statements.verified(preimage))
    except ApiError:
        return None


def _stands_by(row: Reshare, other: Reshare) -> bool:
    """Whether a party's row and another attempt are of one sharing, and the party is in neither quorum of the other."""
    me = bytes(row.identity.public).hex()
    return (
        bytes(row.gid or b"") == other.gid
        and bytes(row.public_key or b"") == other.public_key
        and (row.old_parties, row.old_threshold) == (other.old_parties, other.old_threshold)
        and me not in other.old_parties
        and me not in other.new_parties
    )
