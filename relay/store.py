"""Rooms and inboxes in Redis: each operation is one Lua script, so it happens whole or not at all."""

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
from redis.asyncio import Redis

from relay import settings as lives
from relay.errors import Refusal
from relay.settings import Settings, full_life
from relay.wakes import Waiter, Wakes
from relay.wire import MAX_NEWS, Exchanged, ExchangeQuery, Inbox, InboxQuery, Join, Joined, Message, News

_LUA = Path(__file__).with_name("lua")
_SLOT = msgspec.msgpack.Decoder(tuple[str, int, str, str])
_CONSTANTS = f"local INBOX_LIFE, INBOX_NEWS = {lives.INBOX_LIFE}, {lives.INBOX_NEWS}\n"


class Store:
    """What the relay remembers. Raises Refusal, and RedisError when Redis fails."""

    def __init__(self, redis: Redis, settings: Settings, wakes: Wakes) -> None:
        self._settings, self._wakes = settings, wakes
        self._scripts = {
            name: redis.register_script(_CONSTANTS + "".join((_LUA / f"{part}.lua").read_text() for part in parts))
            for name, parts in {
                **{name: ("common", "room", name) for name in ("make", "join", "exchange", "refuse", "done")},
                "inbox": ("common", "inbox"),
            }.items()
        }

    async def _run(self, script: str, *args: str | int | bytes) -> list[Any]:
        answer: list[Any]
        refused, *answer = await self._scripts[script](args=args)
        if refused:
            raise Refusal(refused.decode())
        return answer

    async def make(self, size: int, uuid: str | None = None) -> str:
        """A new room, or with `uuid` that very one, which may stand already with the same size."""
        if size > self._settings.max_room_size:
            raise Refusal("bad_request_params", f"a room takes at most {self._settings.max_room_size} parties")
        uuid = uuid or str(uuid4())
        await self._run("make", uuid, size, self._settings.max_rooms, lives.UNJOINED_LIFE)
        return uuid

    async def join(self, uuid: str, join: Join) -> Joined:
        size, joined, filled, refused = await self._run(
            "join",
            uuid,
            join.party,
            join.inbox,
            join.kind,
            join.until,
            join.min_size,
            join.max_size,
            lives.LONGEST_WAIT,
            full_life(join.kind),
        )
        return Joined(
            full=bool(filled),
            room_size=int(size),
            joined=joined,
            refused=refused.decode() or None,
            filled=int(filled) if filled else None,
        )

    async def exchange(self, uuid: str, query: ExchangeQuery, messages: Sequence[Message], waiter: Waiter) -> Exchanged:
        """Stores `messages`, then waits for `query.want` others; a refused room or the end of the time ends it."""
        deadline = _now() + query.wait / 1000
        with self._wakes.waiting(f"room:{uuid}:{query.party}", waiter):
            while True:
                waiter.reset()
                over = _now() >= deadline or waiter.gone
                answer = await self._exchange(uuid, query, 0 if over else query.want, messages)
                if over or answer.messages or answer.refused:
                    return answer
                messages = ()
                await waiter.sleep(deadline - _now())

    async def _exchange(self, uuid: str, query: ExchangeQuery, want: int, messages: Sequence[Message]) -> Exchanged:
        limits = self._settings
        posted: list[str | bytes] = []
        for message in messages:
            slot = msgspec.msgpack.encode((message.session, message.round, message.sender, message.receiver))
            posted += (slot, message.receiver, message.body)
        epoch, position, refused, *found = await self._run(
            "exchange",
            uuid,
            query.party,
            *_split(query.after),
            want,
            _candidate(),
            limits.max_messages,
            limits.max_room_bytes,
            limits.max_answer,
            *posted,
        )
        slots = map(_SLOT.decode, found[::2])
        return Exchanged(
            messages=tuple(Message(*slot, body) for slot, body in zip(slots, found[1::2], strict=True)),
            cursor=f"{epoch.decode()}:{position.decode()}",
            refused=refused.decode() or None,
        )

    async def refuse(self, uuid: str, party: str, err_type: str) -> None:
        await self._run("refuse", uuid, party, err_type)

    async def done(self, uuid: str, party: str) -> None:
        await self._run("done", uuid, party, lives.USED_LIFE)

    async def inbox(self, inbox: str, query: InboxQuery, waiter: Waiter) -> Inbox:
        """News after the cursor; waits for the first one until time is over."""
        deadline = _now() + query.wait / 1000
        with self._wakes.waiting(f"inbox:{inbox}", waiter):
            while True:
                waiter.reset()
                over = _now() >= deadline or waiter.gone
                epoch, position, *news = await self._run("inbox", inbox, *_split(query.after), _candidate(), MAX_NEWS)
                if over or news:
                    return Inbox(
                        news=tuple(msgspec.json.decode(item, type=News) for item in news),
                        cursor=f"{epoch.decode()}:{position.decode()}",
                        epoch=epoch.decode(),
                    )
                await waiter.sleep(deadline - _now())


def _now() -> float:
    return asyncio.get_running_loop().time()


def _split(cursor: str) -> tuple[str, str]:
    epoch, _, position = cursor.partition(":")
    return epoch, position


def _candidate() -> str:
    return secrets.token_hex(8)
