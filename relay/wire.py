"""What client and server say to each other, as types that validate: neither side trusts the other."""

import re
from typing import Annotated, Literal

from msgspec import Meta, Struct

MAX_WAIT = 10_000  # milliseconds that one request may wait for news
MAX_BATCH = 4096  # messages of one exchange
MAX_NEWS = 500  # of one answer
MAX_JSON = 16 << 10  # bytes of a JSON body
MAX_ROUND = (1 << 31) - 1

ROOM = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
INBOX = re.compile(r"[0-9a-f]{16,128}")

Identity = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
ErrType = Annotated[str, Meta(pattern=r"\A[a-z_]{1,64}\Z")]
# Empty, or the epoch of the relay's memory and a position in a stream; opaque to clients.
Cursor = Annotated[str, Meta(pattern=r"\A([0-9a-f]{16}:[0-9]{1,18}-[0-9]{1,18})?\Z")]
RoomUuid = Annotated[str, Meta(pattern=rf"\A{ROOM.pattern}\Z")]
Size = Annotated[int, Meta(ge=1, le=1 << 16)]
Milliseconds = Annotated[int, Meta(ge=0, le=MAX_WAIT)]


class Message(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One message of a room. All but `body` is its slot, which takes one body; `receiver` "" is everybody."""

    session: Annotated[str, Meta(min_length=1, max_length=128)]
    round: Annotated[int, Meta(ge=0, le=MAX_ROUND)]
    sender: Identity
    receiver: Annotated[str, Meta(pattern=r"\A([0-9a-f]{64})?\Z")]
    body: bytes


Batch = Annotated[tuple[Message, ...], Meta(max_length=MAX_BATCH)]


class RoomSize(Struct, frozen=True, forbid_unknown_fields=True):
    room_size: Size


class Join(Struct, frozen=True, forbid_unknown_fields=True):
    """`until`: Unix seconds, how long this party waits for the room to fill. The room's size must be in min…max."""

    party: Identity
    inbox: Annotated[str, Meta(pattern=rf"\A{INBOX.pattern}\Z")]
    kind: Annotated[str, Meta(pattern=r"\A[a-z_]{1,32}\Z")]
    until: Annotated[int, Meta(ge=0, le=1 << 40)]
    min_size: Annotated[int, Meta(ge=0, le=1 << 16)]
    max_size: Annotated[int, Meta(ge=0, le=1 << 16)]


class Refuse(Struct, frozen=True, forbid_unknown_fields=True):
    party: Identity
    err_type: ErrType


class Done(Struct, frozen=True, forbid_unknown_fields=True):
    party: Identity


class ExchangeQuery(Struct, frozen=True, forbid_unknown_fields=True):
    party: Identity
    after: Cursor = ""
    wait: Milliseconds = 0
    want: Annotated[int, Meta(ge=1, le=MAX_BATCH)] = 1


class InboxQuery(Struct, frozen=True, forbid_unknown_fields=True):
    after: Cursor = ""
    wait: Milliseconds = 0


class Room(Struct, frozen=True):
    room_uuid: RoomUuid


class Joined(Struct, frozen=True):
    """`filled` orders the rooms of one relay by when they became full; None until this one is.

    With `refused`, another party's hint why this room is of no use; a party that had not joined is then not in it.
    """

    full: bool
    room_size: Size
    joined: int
    refused: ErrType | None
    filled: int | None


class Exchanged(Struct, frozen=True):
    """`messages` newer than the cursor that was asked with; the next exchange goes on `after` the new one."""

    messages: tuple[Message, ...]
    cursor: Cursor
    refused: ErrType | None


class News(Struct, frozen=True, omit_defaults=True):
    """Something happened in a room: a hint, told once, lost when the relay's memory is."""

    room: RoomUuid
    event: Literal["full", "message", "refused"]
    filled: int | None = None
    room_size: Size | None = None
    err_type: ErrType | None = None


class Inbox(Struct, frozen=True):
    """`epoch` changes when the relay lost its memory; the news then start again by themselves."""

    news: tuple[News, ...]
    cursor: Cursor
    epoch: str


class Error(Struct, frozen=True):
    err_msg: str
    err_type: ErrType
