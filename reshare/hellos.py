"""What a party's hello says of the past of a sharing: the highest k it has seen, and the receipts that decide."""

from keys import receipts
from mpc.wire import MAX_K_STEP, MAX_RECEIPT_BYTES, MAX_RECEIPTS
from reshare import acceptor
from reshare.look import attempt_of, facts_of
from reshare.models import Reshare
from reshare.rule.facts import borne


def highest_k(row: Reshare) -> int:
    """The highest k that this party has seen for the sharing that it brings; 0 for a joiner, who brings none.

    Of others only old parties are believed, and of them as in lifecycle.md's step 7: the (f + 1)-th highest, and none
    that is further from what this party has seen itself than honest ones come, so that liars can't use up the numbers.
    """
    if row.old_share is None or row.old_share.gid is None:
        return 0
    me, gid = bytes(row.identity.public), bytes(row.old_share.gid)
    record = acceptor.read(me, gid)
    attempts = list(Reshare.objects.filter(gid=gid, identity=row.identity, rid__isnull=False))
    known = [attempt_of(attempt) for attempt in attempts]
    heard: dict[bytes, int] = {}
    for attempt, each in zip(known, attempts, strict=True):
        for fact in facts_of(attempt.rid, each):
            if fact.party in attempt.old and fact.party != me:
                heard[fact.party] = max(fact.k, heard.get(fact.party, 0))
    said = [receipt.k for receipt in record.said]
    promised = [record.promised.k] if record.promised is not None else []
    own = max([0, *said, *promised, *(attempt.k for attempt in known)])
    near = sorted((k for k in heard.values() if k <= own + MAX_K_STEP), reverse=True)
    return max([own, *near[borne(known) :][:1]])


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
