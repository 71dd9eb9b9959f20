"""Receipts and the statements that they are about, carried through a session's room: everybody re-sends all it
holds."""

from dataclasses import dataclass

from django.db import connection, transaction

from keys import receipts
from keys.models import ProtocolSession, Statement
from keys.relays import relay
from keys.sessions.kinds import kind_of
from keys.sessions.lease import Lease
from keys.sessions.rooms import forgotten, put_back
from relay.client import Message, RelayRefused

RECEIPT, STATEMENT = "receipt/", "statement/"
SETTLED = "settled"  # "its sender needs nothing more of this room": a hint, unsigned

# Of one exchange; the rest goes with the next.
MAX_OUTGOING_BYTES, MAX_OUTGOING = 4 << 20, 1_000


@dataclass(frozen=True)
class Carried:
    """What an exchange brought: how many messages were posted, receipts verified and new, preimages not verified."""

    sent: int
    receipts: list[bytes]
    statements: list[bytes]


def carry(session: ProtocolSession, lease: Lease, *, wait: float, settled: bool = False) -> Carried:
    """One exchange: post what the room lacks of this session's subject, keep what is new. Bad receipts are dropped.

    ``settled``: tell the room as well, after all that is held here, that this party needs nothing more of it.
    A room that the relay has forgotten is put back; its receipts then go with the next exchange.
    """
    party = bytes(session.share.identity.public).hex()
    kind = kind_of(session)
    signers = kind.signers(session)
    outgoing, posted = _outgoing(session, party, list(signers), settled=settled)
    lease.renew()
    connection.close()
    client = relay(session.relay)
    milliseconds = 0 if outgoing else int(wait * 1000)
    try:
        answer = client.exchange(session.room, party=party, after=session.cursor, wait=milliseconds, messages=outgoing)
    except RelayRefused as refusal:
        if not forgotten(refusal):
            raise
        put_back(session)
        lease.update(cursor="", posted=[])
        session.cursor, session.posted = "", []
        return Carried(0, [], [])
    new = Carried(len(outgoing), [], [])
    quiet, parties = set(session.settled), signers.get(bytes(session.sid or b""), set())
    with transaction.atomic():
        for message in answer.messages:
            if message.session == SETTLED and message.sender in parties:
                quiet.add(message.sender)
            elif message.session.startswith(STATEMENT):
                new.statements.append(message.body)
            elif message.session.startswith(RECEIPT) and _keep(message.body, session, signers):
                new.receipts.append(message.body)
        lease.update(cursor=answer.cursor, posted=posted, settled=sorted(quiet))
    session.cursor, session.posted, session.settled = answer.cursor, posted, sorted(quiet)
    return new


def _outgoing(
    session: ProtocolSession, party: str, subjects: list[bytes], *, settled: bool
) -> tuple[list[Message], list[str]]:
    posted = set(session.posted)
    messages: list[Message] = []
    size = 0
    held = [
        (RECEIPT + receipts.fingerprint(encoded).hex(), encoded)
        for subject in subjects
        for encoded, _ in receipts.held(subject)
    ]
    statements = Statement.objects.filter(subject=bytes(session.sid or b""))
    held += [(STATEMENT + bytes(row.digest).hex(), bytes(row.preimage)) for row in statements]
    if settled:
        held.append((SETTLED, b""))
    for slot, body in held:
        if slot in posted:
            continue
        size += len(body)
        if messages and (size > MAX_OUTGOING_BYTES or len(messages) == MAX_OUTGOING):
            break
        messages.append(Message(slot, 0, party, "", body))
        posted.add(slot)
    return messages, sorted(posted)


def _keep(encoded: bytes, session: ProtocolSession, signers: dict[bytes, set[str]]) -> bool:
    """Keep a receipt that a subject's parties issue about it, or one that tells them something; nobody else's: anybody
    can sign receipts."""
    try:
        receipt = receipts.parse(encoded)
    except receipts.BadReceipt:
        return False
    kind = kind_of(session)
    theirs = receipt.party.hex() in signers.get(receipt.subject, ()) and kind.takes(receipt)
    return (theirs or kind.hints(session, receipt)) and receipts.keep(encoded, receipt)
