"""Messages: one body a slot, everybody gets what is theirs once, whoever waits is woken."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext

import pytest
import redis

from relay.client import Exchanged, Message, Relay, RelayUnavailable
from tests.relay.conftest import Party
from tests.relay.test_rooms import refused

LONG = 10_000  # milliseconds
SOON = 5.0  # seconds: well before LONG is over


@pytest.fixture
def room(relay: Relay, alice: Party, bob: Party, carol: Party) -> str:
    room = relay.create_room(3)
    for party in (alice, bob, carol):
        party.join(room)
    return room


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def note(sender: Party, receiver: Party | None, body: bytes, round: int = 1, session: str = "s") -> Message:
    return Message(session, round, sender.id, receiver.id if receiver else "", body)


def bodies(answer: Exchanged) -> list[bytes]:
    return [message.body for message in answer.messages]


def test_everybody_gets_broadcasts_and_what_is_addressed_to_them_but_nothing_of_their_own(
    relay: Relay, room: str, alice: Party, bob: Party, carol: Party
) -> None:
    sent = [note(alice, None, b"all"), note(alice, bob, b"to bob"), note(alice, carol, b"to carol")]
    assert relay.exchange(room, party=alice.id, messages=sent).messages == ()
    assert relay.exchange(room, party=bob.id).messages == (sent[0], sent[1])
    assert relay.exchange(room, party=carol.id).messages == (sent[0], sent[2])


def test_a_cursor_resumes_where_it_was_left(relay: Relay, room: str, alice: Party, bob: Party) -> None:
    relay.exchange(room, party=alice.id, messages=[note(alice, None, b"1", 1), note(alice, None, b"2", 2)])
    first = relay.exchange(room, party=bob.id)
    assert bodies(first) == [b"1", b"2"]
    nothing = relay.exchange(room, party=bob.id, after=first.cursor)
    assert nothing.messages == ()
    relay.exchange(room, party=alice.id, messages=[note(alice, None, b"3", 3)])
    for cursor, expected in [(first.cursor, [b"3"]), (nothing.cursor, [b"3"]), ("", [b"1", b"2", b"3"])]:
        assert bodies(relay.exchange(room, party=bob.id, after=cursor)) == expected


def test_the_same_message_again_is_accepted_and_stored_once(relay: Relay, room: str, alice: Party, bob: Party) -> None:
    message = note(alice, bob, b"once")
    for batch in ([message], [message], [message, message]):
        relay.exchange(room, party=alice.id, messages=batch)
    assert bodies(relay.exchange(room, party=bob.id)) == [b"once"]


@pytest.mark.parametrize("earlier", ["stored before", "in the same batch"])
def test_another_body_for_a_slot_is_refused_with_its_whole_batch(
    relay: Relay, room: str, alice: Party, bob: Party, earlier: str
) -> None:
    first, other = note(alice, bob, b"first"), note(alice, bob, b"other")
    before, batch = ([first], [other]) if earlier == "stored before" else ([], [first, other])
    relay.exchange(room, party=alice.id, messages=before)
    with refused("slot_taken"):
        relay.exchange(room, party=alice.id, messages=[note(alice, bob, b"good", 7), *batch])
    assert bodies(relay.exchange(room, party=bob.id)) == [message.body for message in before]


def test_session_round_and_receiver_make_slots_of_their_own(
    relay: Relay, room: str, alice: Party, bob: Party, carol: Party
) -> None:
    sent = [
        note(alice, bob, b"1"),
        note(alice, bob, b"2", round=2),
        note(alice, bob, b"3", session="t"),
        note(alice, None, b"4"),
        note(alice, carol, b"5"),
    ]
    relay.exchange(room, party=alice.id, messages=sent)
    assert bodies(relay.exchange(room, party=bob.id)) == [b"1", b"2", b"3", b"4"]


def test_nobody_posts_for_another(relay: Relay, room: str, alice: Party, bob: Party, carol: Party) -> None:
    with refused("bad_request_params"):
        relay.exchange(room, party=alice.id, messages=[note(bob, carol, b"forged")])
    assert relay.exchange(room, party=carol.id).messages == ()


def test_only_who_joined_exchanges(relay: Relay, room: str, alice: Party) -> None:
    stranger = Party(relay)
    relay.exchange(room, party=alice.id, messages=[note(alice, None, b"ours")])
    with refused("not_joined"):
        relay.exchange(room, party=stranger.id, messages=[note(stranger, None, b"mine")])


def timed(call: "Future[Exchanged]", start: float) -> tuple[Exchanged, float]:
    answer = call.result(timeout=60)
    return answer, time.monotonic() - start


@pytest.mark.parametrize("private", [True, False])
def test_who_waits_is_woken_by_a_message(
    relay: Relay, room: str, alice: Party, bob: Party, pool: ThreadPoolExecutor, private: bool
) -> None:
    start = time.monotonic()
    waiting = pool.submit(relay.exchange, room, party=bob.id, wait=LONG)
    relay.exchange(room, party=alice.id, messages=[note(alice, bob if private else None, b"wake")])
    answer, took = timed(waiting, start)
    assert bodies(answer) == [b"wake"]
    assert took < SOON


def test_a_wait_ends_empty_handed_when_its_time_is_over(relay: Relay, room: str, bob: Party) -> None:
    start = time.monotonic()
    answer = relay.exchange(room, party=bob.id, wait=150)
    assert answer.messages == ()
    assert 0.15 <= time.monotonic() - start < SOON


def test_who_wants_two_waits_for_two(
    relay: Relay, room: str, alice: Party, bob: Party, carol: Party, pool: ThreadPoolExecutor
) -> None:
    start = time.monotonic()
    waiting = pool.submit(relay.exchange, room, party=bob.id, wait=LONG, want=2)
    relay.exchange(room, party=alice.id, messages=[note(alice, bob, b"one")])
    relay.exchange(room, party=carol.id, messages=[note(carol, bob, b"two")])
    answer, took = timed(waiting, start)
    assert bodies(answer) == [b"one", b"two"]
    assert took < SOON


def test_who_wants_two_gets_the_one_there_is_when_time_is_over(
    relay: Relay, room: str, alice: Party, bob: Party
) -> None:
    relay.exchange(room, party=alice.id, messages=[note(alice, bob, b"one")])
    start = time.monotonic()
    assert bodies(relay.exchange(room, party=bob.id, wait=150, want=2)) == [b"one"]
    assert time.monotonic() - start >= 0.15


def test_a_refusal_wakes_who_waits(relay: Relay, room: str, alice: Party, bob: Party, pool: ThreadPoolExecutor) -> None:
    start = time.monotonic()
    waiting = pool.submit(relay.exchange, room, party=bob.id, wait=LONG)
    relay.refuse(room, party=alice.id, err_type="policy_validation_failed")
    answer, took = timed(waiting, start)
    assert (answer.refused, answer.messages) == ("policy_validation_failed", ())
    assert took < SOON


def test_who_wants_two_hears_of_a_refusal_with_what_there_is(relay: Relay, room: str, alice: Party, bob: Party) -> None:
    relay.exchange(room, party=alice.id, messages=[note(alice, bob, b"one")])
    relay.refuse(room, party=alice.id, err_type="policy_validation_failed")
    answer = relay.exchange(room, party=bob.id, wait=LONG, want=2)
    assert (bodies(answer), answer.refused) == ([b"one"], "policy_validation_failed")


def test_a_lost_subscription_loses_no_message(
    relay: Relay, memory: redis.Redis, room: str, alice: Party, bob: Party, pool: ThreadPoolExecutor
) -> None:
    waiting = pool.submit(relay.exchange, room, party=bob.id, wait=LONG)
    memory.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    relay.exchange(room, party=alice.id, messages=[note(alice, bob, b"kept")])
    assert bodies(waiting.result(timeout=60)) == [b"kept"]


def test_a_flush_ends_the_wait_and_an_old_cursor_starts_again(
    relay: Relay, memory: redis.Redis, room: str, alice: Party, bob: Party
) -> None:
    relay.exchange(room, party=alice.id, messages=[note(alice, bob, b"before")])
    old = relay.exchange(room, party=bob.id).cursor
    memory.flushdb()
    with refused("room_not_found"):
        relay.exchange(room, party=bob.id, after=old, wait=100)
    relay.put_room(room, room_size=3)
    alice.join(room)
    bob.join(room)
    relay.exchange(room, party=alice.id, messages=[note(alice, bob, b"before")])
    # As if the clock had gone back: the position is ahead of all that the new room will hold for an hour.
    epoch, position = old.split(":")
    milliseconds, _, number = position.partition("-")
    ahead = f"{epoch}:{int(milliseconds) + 3_600_000}-{number}"
    assert bodies(relay.exchange(room, party=bob.id, after=ahead)) == [b"before"]


def test_two_parties_and_40_kilobytes(
    relay: Relay, room: str, alice: Party, bob: Party, pool: ThreadPoolExecutor
) -> None:
    sent = {alice.id: bytes(range(256)) * 160, bob.id: bytes(reversed(range(256))) * 160}

    def swap(me: Party, other: Party) -> Exchanged:
        return relay.exchange(room, party=me.id, wait=LONG, messages=[note(me, other, sent[me.id])])

    ours, theirs = pool.map(swap, (alice, bob), (bob, alice))
    assert (bodies(ours), bodies(theirs)) == ([sent[bob.id]], [sent[alice.id]])


def test_messages_live_as_long_as_their_room(relay: Relay, memory: redis.Redis, room: str, alice: Party) -> None:
    relay.exchange(room, party=alice.id, messages=[note(alice, None, b"x")])
    kept = {key: memory.expiretime(key) for key in memory.scan_iter(f"relay:room:{room}*")}
    assert {key.decode().rpartition(":")[2] for key in kept} == {room, "parties", "log", "bodies"}
    assert set(kept.values()) == {memory.expiretime(f"relay:room:{room}")}


@pytest.mark.parametrize(
    ("sizes", "err_type"),
    [
        ([1000], None),
        ([1001], "too_large"),
        ([900, 900, 900], None),
        ([1000, 1000, 1000], "too_large"),  # the request's body
        ([1] * 5, None),
        ([1] * 6, "room_limit"),
    ],
)
def test_limits_of_one_batch(tight: Relay, sizes: list[int], err_type: str | None) -> None:
    party = Party(tight)
    room = tight.create_room(2)
    party.join(room)
    batch = [note(party, None, b"x" * size, round=i) for i, size in enumerate(sizes)]
    with refused(err_type) if err_type else nullcontext():
        tight.exchange(room, party=party.id, messages=batch)


def test_a_room_holds_so_many_bytes_and_a_repeated_message_none(tight: Relay) -> None:
    party = Party(tight)
    room = tight.create_room(2)
    party.join(room)
    batches = [[note(party, None, b"x" * 800, round=i)] for i in range(5)]
    for batch in [*batches[:4], *batches[:4]]:
        tight.exchange(room, party=party.id, messages=batch)
    with refused("room_limit"):
        tight.exchange(room, party=party.id, messages=batches[4])


def test_a_long_answer_comes_in_parts(tight: Relay) -> None:
    sender, receiver = Party(tight), Party(tight)
    room = tight.create_room(2)
    for party in (sender, receiver):
        party.join(room)
    sent = [note(sender, None, bytes([i]) * 700, round=i) for i in range(4)]
    for message in sent:
        tight.exchange(room, party=sender.id, messages=[message])
    parts, cursor = [], ""
    for _ in range(3):
        answer = tight.exchange(room, party=receiver.id, after=cursor)
        parts.append(answer.messages)
        cursor = answer.cursor
    assert parts == [tuple(sent[:2]), tuple(sent[2:]), ()]


def test_no_more_rooms_than_the_limit_and_expired_ones_do_not_count(tight: Relay, memory: redis.Redis) -> None:
    rooms = [tight.create_room(2) for _ in range(3)]
    with pytest.raises(RelayUnavailable, match="429"):
        tight.create_room(2)
    memory.delete(f"relay:room:{rooms[0]}")
    memory.zadd("relay:rooms", {rooms[0]: time.time() - 1})
    tight.create_room(2)
    with refused("bad_request_params"):
        tight.create_room(5)
