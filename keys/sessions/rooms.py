"""A session's place in its room at the relay; and rooms that the relay has forgotten, put back as they were."""

from datetime import timedelta

from django.conf import settings

from keys import clock
from keys.models import ProtocolSession
from keys.relays import inbox, relay
from relay.client import Joined, RelayRefused, RelayUnavailable
from vertex.errors import ApiError

PUT_BACK_LIFE = timedelta(days=1)  # it is put back again where that is not enough
FORGOTTEN = ("room_not_found", "not_joined")
ROOM_REFUSALS = {
    "room_not_found": "the room is unknown or has expired",
    "room_full": "the room is full",
    "room_used": "the room was used before",
    "room_size": "the room has another size than this call needs",
    "room_kind": "the room is used for another kind of call",
}


class RoomRefused(ApiError):
    """The room did not take this party: those who are in it are not told."""


def join(session: ProtocolSession, *, min_size: int, max_size: int) -> Joined:
    """Take this party's place in the session's room; idempotent."""
    try:
        return relay(session.relay).join(
            session.room,
            party=bytes(session.share.identity.public).hex(),
            inbox=inbox(),
            kind=session.kind,
            until=int(session.deadline.timestamp()),
            min_size=min_size,
            max_size=max_size,
        )
    except RelayRefused as refusal:
        raise RoomRefused("bad_request_params", ROOM_REFUSALS.get(refusal.err_type, refusal.message)) from refusal
    except RelayUnavailable as error:
        raise RoomRefused("not_ready", "the relay does not answer", retry_after=5) from error


def forgotten(refusal: BaseException | None) -> bool:
    """Whether the relay refused because it does not know the room, or us in it."""
    return isinstance(refusal, RelayRefused) and refusal.err_type in FORGOTTEN


def put_back(session: ProtocolSession) -> None:
    """The room again, of the size that its sessions were told, and our place in it. Raises as the relay's client does;
    RelayRefused also where the room's size was never told here: only who knows the room can put it back.

    The others come when they look, which may be long after the session's deadline: the room must live until then.
    """
    if session.room_size is None:
        raise RelayRefused("room_not_found", "the room is unknown")
    client = relay(session.relay)
    client.put_room(session.room, room_size=session.room_size)
    client.join(
        session.room,
        party=bytes(session.share.identity.public).hex(),
        inbox=inbox(),
        kind=session.kind,
        until=int(max(session.deadline, clock.now() + PUT_BACK_LIFE).timestamp()),
        min_size=1,
        max_size=session.room_size,
    )


def join_again(session: ProtocolSession) -> Joined:
    """Ask a room whose news may have been lost; one that the relay has forgotten is put back. Raises ApiError."""
    sizes = {"min_size": 1, "max_size": settings.VERTEX_MAX_PARTIES * 2}
    try:
        return join(session, **sizes)
    except RoomRefused as refused:
        if not forgotten(refused.__cause__):
            raise
    try:
        put_back(session)
    except (RelayRefused, RelayUnavailable) as error:
        raise RoomRefused("not_ready", "the room can't be put back now") from error
    return join(session, **sizes)
