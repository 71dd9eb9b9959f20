"""The routes of rooms and inboxes: what comes in is validated here, what goes out is a type of relay.wire."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec

from relay.errors import Refusal
from relay.http import JSON, MSGPACK, HungUp, Receive, Scope, T, decode, read_body, read_query
from relay.settings import Settings
from relay.store import Store
from relay.wakes import Waiter
from relay.wire import INBOX, MAX_JSON, ROOM, Batch, Done, ExchangeQuery, InboxQuery, Join, Refuse, Room, RoomSize

_BATCH: msgspec.msgpack.Decoder[Batch] = msgspec.msgpack.Decoder(Batch)


@dataclass(frozen=True, slots=True)
class Request:
    """An authorised request; `name` is the room or inbox that its path names, or empty."""

    store: Store
    settings: Settings
    scope: Scope
    receive: Receive
    name: str

    async def json(self, kind: type[T]) -> T:
        return decode(msgspec.json.Decoder(kind), await read_body(self.scope, self.receive, MAX_JSON))

    @asynccontextmanager
    async def waiter(self) -> AsyncIterator[Waiter]:
        """For use when the body is read: what else comes is that the client hangs up, which ends the wait."""
        waiter = Waiter()
        hang_up = asyncio.create_task(self._hang_up(waiter))
        try:
            yield waiter
            if waiter.gone:
                raise HungUp
        finally:
            hang_up.cancel()

    async def _hang_up(self, waiter: Waiter) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        waiter.hang_up()


Handler = Callable[[Request], Awaitable[tuple[object, bytes]]]


async def room_make(request: Request) -> tuple[object, bytes]:
    size = await request.json(RoomSize)
    return Room(await request.store.make(size.room_size)), JSON


async def room_put(request: Request) -> tuple[object, bytes]:
    size = await request.json(RoomSize)
    return Room(await request.store.make(size.room_size, request.name)), JSON


async def join(request: Request) -> tuple[object, bytes]:
    body = await request.json(Join)
    if body.until <= time.time():
        raise Refusal("bad_request_params", "until has passed")
    return await request.store.join(request.name, body), JSON


async def exchange(request: Request) -> tuple[object, bytes]:
    query = read_query(request.scope, ExchangeQuery)
    body = await read_body(request.scope, request.receive, request.settings.max_body)
    messages = decode(_BATCH, body) if body else ()
    if any(message.sender != query.party for message in messages):
        raise Refusal("bad_request_params", "a message has another sender than the party that posts it")
    if any(len(message.body) > request.settings.max_message for message in messages):
        raise Refusal("too_large", f"a message holds at most {request.settings.max_message} bytes")
    async with request.waiter() as waiter:
        return await request.store.exchange(request.name, query, messages, waiter), MSGPACK


async def refuse(request: Request) -> tuple[object, bytes]:
    body = await request.json(Refuse)
    await request.store.refuse(request.name, body.party, body.err_type)
    return {}, JSON


async def done(request: Request) -> tuple[object, bytes]:
    body = await request.json(Done)
    await request.store.done(request.name, body.party)
    return {}, JSON


async def inbox(request: Request) -> tuple[object, bytes]:
    query = read_query(request.scope, InboxQuery)
    await read_body(request.scope, request.receive, 0)
    async with request.waiter() as waiter:
        return await request.store.inbox(request.name, query, waiter), JSON


_ROUTES: list[tuple[re.Pattern[str], Mapping[str, Handler]]] = [
    (re.compile(r"/relay/rooms"), {"POST": room_make}),
    (re.compile(rf"/relay/rooms/({ROOM.pattern})"), {"PUT": room_put}),
    (re.compile(rf"/relay/rooms/({ROOM.pattern})/join"), {"POST": join}),
    (re.compile(rf"/relay/rooms/({ROOM.pattern})/exchange"), {"POST": exchange}),
    (re.compile(rf"/relay/rooms/({ROOM.pattern})/refuse"), {"POST": refuse}),
    (re.compile(rf"/relay/rooms/({ROOM.pattern})/done"), {"POST": done}),
    (re.compile(rf"/relay/inboxes/({INBOX.pattern})"), {"GET": inbox}),
]


def find(method: str, path: str) -> tuple[Handler, str]:
    """The handler of a path without its trailing slash, and the id in the path."""
    for pattern, handlers in _ROUTES:
        if match := pattern.fullmatch(path):
            if method not in handlers:
                raise Refusal("method_not_allowed")
            return handlers[method], match[1] if match.lastindex else ""
    raise Refusal("not_found")
