"""Rooms that a relay has forgotten (its memory was flushed): put back as they were, with our place in them."""

from keys.models import ProtocolSession
from keys.relays import inbox, relay
from relay.client import RelayRefused

FORGOTTEN = ("room_not_found", "not_joined")


def forgotten(refusal: BaseException | None) -> bool:
    """Whether the relay refused because it does not know the room, or us in it."""
    return isinstance(refusal, RelayRefused) and refusal.err_type in FORGOTTEN


def put_back(session: ProtocolSession) -> None:
    """The room again, of the size that its sessions were told, and our place in it. Raises as the relay's client does;
    RelayRefused also where the room's size was never told here: only who knows the room can put it back."""
    if session.room_size is None:
        raise RelayRefused("room_not_found", "the room is unknown")
    client = relay(session.relay)
    client.put_room(session.room, room_size=session.room_size)
    client.join(
        session.room,
        party=bytes(session.share.identity.public).hex(),
        inbox=inbox(),
        kind=session.kind,
        until=int(session.deadline.timestamp()),
        min_size=1,
        max_size=session.room_size,
    )
