"""Inboxes: hints about rooms, told once, resumed from a cursor."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from relay.client import Inbox, Message, Relay, RelayRefused
from relay.settings import INBOX_NEWS
from relay.wire import MAX_NEWS
from tests.relay.conftest import Party

LONG, SOON = 10_000, 5.0
DAY = 86_400


@pytest.fixture
def room(relay: Relay, alice: Party, bob: Party, carol: Party) -> str:
    """Full, of a durable kind, its news read."""
    room = relay.create_room(3)
    for party in (alice, bob, carol):
        party.join(room, kind="reshare")
    return room


def post(relay: Relay, room: str, sender: Party, round: int, receiver: Party | None = None) -> None:
    message = Message("s", round, sender.id, receiver.id if receiver else "", b"x")
    relay.exchange(room, party=sender.id, messages=[message])


def events(inbox: Inbox) -> list[str]:
    return [news.event for news in inbox.news]


def test_messages_of_a_durable_room_are_news_to_those_they_are_for(
    relay: Relay, room: str, alice: Party, bob: Party, carol: Party
) -> None:
    cursors = {party.id: relay.inbox(party.inbox).cursor for party in (alice, bob, carol)}

    def heard(party: Party) -> list[str]:
        answer = relay.inbox(party.inbox, after=cursors[party.id])
        assert {news.room for news in answer.news} <= {room}
        cursors[party.id] = answer.cursor
        return events(answer)

    post(relay, room, alice, 1)
    assert [heard(party) for party in (alice, bob, carol)] == [[], ["message"], ["message"]]
    post(relay, room, alice, 1, receiver=bob)
    assert [heard(party) for party in (alice, bob, carol)] == [[], ["message"], []]
    post(relay, room, alice, 1)
    assert [heard(party) for party in (alice, bob, carol)] == [[], [], []], "the same bytes again are no news"


def test_messages_of_a_signing_room_are_no_news(relay: Relay, alice: Party, bob: Party) -> None:
    room = relay.create_room(2)
    alice.join(room)
    bob.join(room)
    post(relay, room, alice, 1)
    assert relay.inbox(bob.inbox).news == ()


def test_unread_news_are_not_told_twice_but_news_after_reading_are(
    relay: Relay, room: str, alice: Party, bob: Party
) -> None:
    for number in range(3):
        post(relay, room, alice, number)
    first = relay.inbox(bob.inbox)
    assert events(first) == ["full", "message"]
    post(relay, room, alice, 3)
    assert events(relay.inbox(bob.inbox, after=first.cursor)) == ["message"]


def test_an_answer_that_was_lost_is_given_again(relay: Relay, room: str, alice: Party, bob: Party) -> None:
    post(relay, room, alice, 1)
    assert relay.inbox(bob.inbox) == relay.inbox(bob.inbox)


def test_who_waits_is_woken(relay: Relay, alice: Party, bob: Party) -> None:
    room = relay.create_room(2)
    alice.join(room)
    start = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(relay.inbox, alice.inbox, wait=LONG)
        bob.join(room)
        assert events(waiting.result(timeout=60)) == ["full"]
    assert time.monotonic() - start < SOON


def test_many_inboxes_are_awaited_in_one_event_loop(relay: Relay) -> None:
    parties = [Party(relay) for _ in range(20)]
    room = relay.create_room(21)
    for party in parties:
        party.join(room, max_size=21)
    last = Party(relay)

    async def listen() -> list[Inbox]:
        try:
            waits = [asyncio.create_task(relay.inbox_async(party.inbox, wait=LONG)) for party in parties]
            await asyncio.to_thread(last.join, room, max_size=21)
            return await asyncio.gather(*waits)
        finally:
            await relay.aclose()

    start = time.monotonic()
    assert [events(inbox) for inbox in asyncio.run(listen())] == [["full"]] * 20
    assert time.monotonic() - start < SOON


def test_a_cursor_from_before_a_flush_starts_again(relay: Relay, memory: redis.Redis, alice: Party, bob: Party) -> None:
    before = relay.inbox(alice.inbox)
    epoch, _ = before.cursor.split(":")
    ahead = f"{epoch}:{int((time.time() + 3600) * 1000)}-0"  # even if the clock went back
    assert relay.inbox(alice.inbox, after=ahead).epoch == before.epoch
    memory.flushdb()
    room = relay.create_room(2)
    alice.join(room)
    bob.join(room)
    after = relay.inbox(alice.inbox, after=ahead, wait=LONG)
    assert events(after) == ["full"]
    assert after.epoch != before.epoch


def test_inboxes_are_trimmed_read_in_parts_and_forgotten_a_day_after_the_last_read(
    relay: Relay, memory: redis.Redis, alice: Party, bob: Party
) -> None:
    key = f"relay:inbox:{alice.inbox}"
    room = relay.create_room(2)
    alice.join(room)
    bob.join(room)
    assert DAY - 30 < memory.ttl(key) <= DAY
    news = memory.xrange(key)[0][1]
    for _ in range(INBOX_NEWS + 400):
        memory.xadd(key, news)
    other = relay.create_room(2)
    alice.join(other)
    bob.join(other)
    assert INBOX_NEWS <= memory.xlen(key) < INBOX_NEWS + 200
    memory.expire(key, 100)
    part = relay.inbox(alice.inbox)
    assert len(part.news) == MAX_NEWS
    assert DAY - 30 < memory.ttl(key) <= DAY
    assert DAY - 30 < memory.ttl(f"{key}:read") <= DAY
    while part.news:
        last, part = part, relay.inbox(alice.inbox, after=part.cursor)
    assert last.news[-1].room == other


def test_an_inbox_that_is_read_but_never_written_leaves_nothing(
    relay: Relay, memory: redis.Redis, alice: Party
) -> None:
    assert relay.inbox(alice.inbox).news == ()
    assert list(memory.scan_iter("relay:inbox:*")) == []


@pytest.mark.parametrize("inbox", ["", "short", "../rooms", "F" * 64, "a" * 129])
def test_what_is_no_inbox(relay: Relay, inbox: str) -> None:
    with pytest.raises(RelayRefused, match=r"^not_found:"):
        relay.inbox(inbox)
