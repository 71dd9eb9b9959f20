"""Which way on is open when an attempt hangs (lifecycle.md, step 7), as far as the receipts held here tell it.

For people and pages: whether a step may be taken is decided by `reshare.rule` alone.
"""

from dataclasses import asdict, dataclass
from typing import Any

from reshare.look import attempt_of, facts_of
from reshare.models import Reshare
from reshare.rule import facts as reading
from reshare.rule.facts import Facts
from reshare.rule.types import Attempt, Kind, Mode, Receipt


@dataclass(frozen=True, slots=True)
class Supersede:
    """Deal again: `needed` old parties that still hold their shares; `holding` have not said that theirs are gone."""

    open: bool
    ordered: bool
    holding: int
    needed: int


@dataclass(frozen=True, slots=True)
class Carry:
    """Propose the committed attempt again. `k` is the highest ballot proposed so far, `promised` who has answered it;
    `instead` (rid, hex) is the attempt that counts highest where it is another: that is the one to carry."""

    open: bool
    ordered: bool
    k: int | None
    promised: int
    needed: int
    instead: str | None


@dataclass(frozen=True, slots=True)
class Ways:
    """Both ways on of one attempt."""

    supersede: Supersede
    carry: Carry

    def to_data(self) -> dict[str, Any]:
        """As the API shows them."""
        return asdict(self)


def ways_on(row: Reshare) -> Ways | None:
    """The ways on of an attempt whose outcome is open; None where there is nothing to go on from."""
    if row.rid is None or row.state not in Reshare.OPEN:
        return None
    rows = Reshare.objects.filter(identity_id=row.identity_id, gid=row.gid, rid__isnull=False).select_related(
        "identity"
    )
    attempts = {bytes(each.rid or b""): attempt_of(each) for each in rows}
    heard = [fact for each in rows for fact in facts_of(bytes(each.rid or b""), each)]
    return of(attempts[bytes(row.rid)], tuple(attempts.values()), heard, set(row.orders))


def of(attempt: Attempt, attempts: tuple[Attempt, ...], heard: list[Receipt], orders: set[str]) -> Ways:
    """The same from the rule's words."""
    facts = reading.count(attempts, heard)
    gone = {receipt.party for receipt in heard if receipt.kind == Kind.DELETED}
    needed = reading.promises_needed(attempts)
    holding = len(set(attempt.old) - gone)
    supersede = Supersede(not facts.complete and holding >= needed, "supersede" in orders, holding, needed)
    return Ways(supersede, _carry(attempt, attempts, heard, facts, "carry" in orders))


def _carry(attempt: Attempt, attempts: tuple[Attempt, ...], heard: list[Receipt], facts: Facts, ordered: bool) -> Carry:
    carrying = [receipt for receipt in heard if receipt.mode == Mode.CARRYING and receipt.party in attempt.old]
    ballot = max((receipt.ballot for receipt in carrying if receipt.rid == attempt.rid), default=None)
    promises = [receipt for receipt in carrying if receipt.ballot == ballot]
    counted = reading.counting(promises, reading.reports_needed(attempts))
    other = counted is not None and counted.rid != attempt.rid
    return Carry(
        open=attempt.rid in facts.committed and not facts.complete and not other,
        ordered=ordered,
        k=ballot.k if ballot is not None else None,
        promised=len({receipt.party for receipt in promises}),
        needed=reading.promises_needed(attempts),
        instead=counted.rid.hex() if counted is not None and other else None,
    )
