"""What one party knows about one `gid`, gathered for the rule: rows, journal, keystore and verified receipts."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from keys import clock, receipts
from keys.keystore import keystore
from keys.models import KeyShare
from keys.shares import journal_name, session_keys_left, share_key_exists
from keys.stored import proves_possession
from mpc.reshare import ReshareStatement
from reshare import acceptor, elsewhere, ledger, sharing_orders, statements
from reshare.models import Reshare
from reshare.rule.facts import BY_NEW
from reshare.rule.types import Attempt, Ballot, Deadline, Kind, Mode, New, Old, Order, OrderKind, Receipt, Run
from reshare.rule.view import View, unfinished

OLD_STATES = frozenset(str(state) for state in Old)
NEW_STATES = frozenset(str(state) for state in New)


@dataclass(frozen=True)
class Look:
    """A View, and the rows that it was read from; attempts in which this party has no part have none."""

    view: View
    rows: dict[bytes, Reshare]  # by rid
    old_share: KeyShare | None


def look(identity: bytes, gid: bytes) -> Look:
    """Read everything afresh."""
    rows = {
        bytes(row.rid or b""): row
        for row in Reshare.objects.select_related("new_share__identity", "identity").filter(
            identity__public=identity, gid=gid, rid__isnull=False
        )
    }
    old_share = (
        KeyShare.objects.select_related("identity")
        .filter(identity__public=identity, gid=gid, state__in=OLD_STATES)
        .first()
    )
    record = acceptor.read(identity, gid)
    heard = [fact for rid, row in rows.items() for fact in facts_of(rid, row)]
    others, more = _elsewhere(identity, gid, rows, record.said)
    view = View(
        me=identity,
        gid=gid,
        attempts=(*map(attempt_of, rows.values()), *others),
        acceptor=record,
        old=Old(old_share.state) if old_share else None,
        old_key=old_share is not None and share_key_exists(old_share),
        new={rid: state for rid, row in rows.items() if (state := _new_state(row)) is not None},
        new_keys=frozenset(rid for rid, row in rows.items() if _new_key_exists(identity, row)),
        ledger=ledger.own_rows(identity, rows.values()),
        receipts=frozenset([*heard, *more]),
        runs={rid: Run(row.run) for rid, row in rows.items() if row.run},
        overdue=frozenset(_overdue(rows.values())),
        sessions=old_share is not None and session_keys_left(old_share),
    )
    return Look(replace(view, orders=_orders(view, rows)), rows, old_share)


def _orders(view: View, rows: dict[bytes, Reshare]) -> frozenset[Order]:
    """What people have asked for. To supersede is ordered of the attempts that hang; a later one may be dealt once that
    is said of every other attempt without a known end."""
    orders = {Order(OrderKind(kind), rid) for rid, row in rows.items() for kind in row.orders}
    hanging = {order.rid for order in orders if order.kind == OrderKind.SUPERSEDE}
    orders = {order for order in orders if order.kind != OrderKind.SUPERSEDE}
    for rid in rows:
        if hanging and unfinished(view) - {rid} <= hanging:
            orders.add(Order(OrderKind.SUPERSEDE, rid))
    return frozenset(orders) | sharing_orders.read(
        view.me, view.gid, acceptor=view.acceptor, attempts=view.attempts, receipts=view.receipts
    )


def _new_state(row: Reshare) -> New | None:
    """How far the share that an attempt made has come; None where there is none, or none any more: once it was active
    it may be dealt again (`retiring`) and given up, which is the next sharing's affair."""
    state = row.new_share.state if row.new_share is not None else None
    if state == Old.RETIRING:
        return New.ACTIVE
    return New(state) if state in NEW_STATES else None


def attempt_of(row: Reshare) -> Attempt:
    """The rule's words for an attempt's row."""
    return Attempt(
        rid=bytes(row.rid or b""),
        k=row.k or 0,
        gid=bytes(row.gid or b""),
        digest=bytes(row.digest) if row.digest is not None else None,
        old=tuple(bytes.fromhex(party) for party in row.old_parties),
        t=row.old_threshold or 0,
        new=tuple(bytes.fromhex(party) for party in row.new_parties),
        new_t=row.new_threshold,
        d=row.deletions_required or 0,
    )


def facts_of(rid: bytes, row: Reshare) -> Iterable[Receipt]:
    """The receipts held about an attempt that speak of it: the right `gid` and ballot, a `STORED` with a valid
    proof."""
    statement = statements.of(row)
    for _, receipt in receipts.held(rid):
        if receipt.gid == bytes(row.gid or b"") and (fact := fact_of(receipt, row, statement)) is not None:
            yield fact


def _elsewhere(
    me: bytes, gid: bytes, rows: dict[bytes, Reshare], said: frozenset[Receipt]
) -> tuple[list[Attempt], list[Receipt]]:
    """What is held of a sharing about attempts without a row here: attempts in which this party has no part, with what
    is said of them; what old parties have promised; and what this party has said by its journal, which may remember
    more than a restored database."""
    parties = {me, *(bytes.fromhex(party) for row in rows.values() for party in row.old_parties)}
    # Those of the key generation that made the sharing have k = 0: it is no attempt.
    unknown = [each for _, each in receipts.of_sharing(gid, parties) if each.k > 0 and each.subject not in rows]
    others = elsewhere.attempts(rows.values(), {each.subject for each in unknown}) if unknown else []
    heard = [fact for other in others for fact in facts_of(bytes(other.rid or b""), other)]
    for fact in map(_fact, unknown):
        if fact.mode is not None or fact in said:
            heard.append(fact)
    return [attempt_of(other) for other in others], heard


def _fact(receipt: receipts.Receipt) -> Receipt:
    """A receipt in the rule's words; a promise whose body says nothing readable has no mode."""
    mode, reported = _promise(receipt.body) if receipt.kind == receipts.PROMISED else (None, None)
    kind, digest = Kind(receipt.kind), receipt.digest or None
    return Receipt(kind, receipt.party, receipt.subject, receipt.k, digest, mode, reported)


def fact_of(receipt: receipts.Receipt, row: Reshare, statement: ReshareStatement | None) -> Receipt | None:
    """What the rule reads of a receipt; None where it can't count for this attempt."""
    fact = _fact(receipt)
    if receipt.party.hex() not in (row.new_parties if fact.kind in BY_NEW else row.old_parties):
        return None
    if fact.kind == Kind.PROMISED:
        # Who deals promises the attempt's own ballot; only a carry goes higher.
        if fact.mode is None or (fact.mode == Mode.DEALING and receipt.k != row.k):
            return None
    elif fact.kind != Kind.DELETED and receipt.k != row.k:
        return None
    if fact.kind == Kind.STORED:
        share = statements.public_share(statement, receipt.party) if statement is not None else None
        if share is None or not proves_possession(receipt, scheme=row.scheme, public_share=share):
            return None
    return fact


def _promise(body: dict[str, object]) -> tuple[Mode | None, Ballot | None]:
    try:
        mode = Mode(str(body.get("mode")))
    except ValueError:
        return None, None
    match body.get("accepted"):
        case None:
            return mode, None
        case [int(k), bytes(rid)] if len(rid) == 32:
            return mode, Ballot(k, rid)
    return None, None


def _new_key_exists(identity: bytes, row: Reshare) -> bool:
    if row.new_share is not None and row.new_share.gid is not None:
        return share_key_exists(row.new_share)
    if row.new_gid is None:
        return False
    return keystore().journal.read(journal_name(identity, bytes(row.new_gid))) is not None


def _overdue(rows: Iterable[Reshare]) -> Iterable[tuple[Deadline, bytes]]:
    now = clock.now()
    for row in rows:
        for deadline, seconds in ((Deadline.STORE_BY, row.store_by), (Deadline.VOTE_BY, row.vote_by)):
            if row.began_at and seconds is not None and now > row.began_at + timedelta(seconds=seconds):
                yield deadline, bytes(row.rid or b"")
