"""Receipts and the statements that they are about, carried through a session's room: everybody re-sends all it
holds."""

from dataclasses import dataclass

from django.db import connection, transaction

from keys import receipts
from keys.models import ProtocolSession, Statement
from keys.relays import inbox, relay
from keys.sessions.lease import Lease
from relay.client import Message, RelayRefused

RECEIPT, STATEMENT = "receipt/", "statement/"


@dataclass(frozen=True)
class Carried:
    """What an exchange brought, receipts verified and stored, and preimages not yet verified; False when nothing
    moved."""

    sent: int
    receipts: list[bytes]
    statements: list[bytes]

    def __bool__(self) -> bool:
        return bool(self.sent or self.receipts or self.statements)


def carry(session: ProtocolSession, lease: Lease, *, wait: float) -> Carried:
    """One exchange: post what the room lacks of this session's subject, keep what is new. Bad receipts are dropped."""
    party = bytes(session.share.identity.public).hex()
    outgoing, posted = _outgoing(session, party)
    lease.renew()
    connection.close()
    client = relay(session.relay)
    milliseconds = 0 if outgoing else int(wait * 1000)
    try:
        answer = client.exchange(session.room, party=party, after=session.cursor, wait=milliseconds, messages=outgoing)
    except RelayRefused as refusal:
        if refusal.err_type not in ("room_not_found", "not_joined"):
            raise
        _restore_room(session, party)
        lease.update(cursor="", posted=[])
        session.cursor, session.posted = "", []
        return carry(session, lease, wait=wait)
    new = Carried(len(outgoing), [], [])
    with transaction.atomic():
        for message in answer.messages:
            if message.session.startswith(STATEMENT):
                new.statements.append(message.body)
            elif message.session.startswith(RECEIPT) and _keep(session, message.body):
                new.receipts.append(message.body)
        lease.update(cursor=answer.cursor, posted=posted)
    session.cursor, session.posted = answer.cursor, posted
    return new


def _outgoing(session: ProtocolSession, party: str) -> tuple[list[Message], list[str]]:
    subject = bytes(session.sid or b"")
    posted = set(session.posted)
    messages = []
    held = [(RECEIPT + receipts.fingerprint(encoded).hex(), encoded) for encoded, _ in receipts.held(subject)]
    held += [
        (STATEMENT + bytes(row.digest).hex(), bytes(row.preimage)) for row in Statement.objects.filter(subject=subject)
    ]
    for slot, body in held:
        if slot not in posted:
            messages.append(Message(slot, 0, party, "", body))
            posted.add(slot)
    return messages, sorted(posted)


def _keep(session: ProtocolSession, encoded: bytes) -> bool:
    try:
        receipt = receipts.parse(encoded)
    except receipts.BadReceipt:
        return False
    return receipt.subject == bytes(session.sid or b"") and receipts.keep(encoded, receipt)


def _restore_room(session: ProtocolSession, party: str) -> None:
    """After a flush of the relay: put the room back and take our place in it."""
    client = relay(session.relay)
    client.put_room(session.room, room_size=session.room_size or 1)
    client.join(
        session.room,
        party=party,
        inbox=inbox(),
        kind=session.kind,
        until=int(session.deadline.timestamp()),
        min_size=1,
        max_size=session.room_size or 1,
    )
