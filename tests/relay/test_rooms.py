"""Rooms: made, joined, full, refused, ended; and how long each lives."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from relay.client import Joined, Relay, RelayRefused
from tests.relay.conftest import Party, identity

DAY = 86_400
NO_ROOM = "00000000-0d5e-4c7a-9b1f-6e8d7c5b4a39"
SLACK = 30  # seconds that a test may have taken


def refused(err_type: str) -> "pytest.RaisesExc[RelayRefused]":
    return pytest.raises(RelayRefused, match=f"^{err_type}:")


def lives(memory: redis.Redis, room: str, seconds: int) -> bool:
    """Whether everything of the room goes after `seconds`, give or take what the test took."""
    left = [memory.ttl(key) for key in memory.scan_iter(f"relay:room:{room}*")]
    listed = memory.zscore("relay:rooms", room) - time.time()
    return bool(left) and all(seconds - SLACK < ttl <= seconds for ttl in (*left, listed))


def test_a_room_fills_in_the_order_of_its_joins(relay: Relay, alice: Party, bob: Party) -> None:
    room = relay.create_room(2)
    assert alice.join(room) == Joined(full=False, room_size=2, joined=1, refused=None, filled=None)
    full = bob.join(room)
    assert full == Joined(full=True, room_size=2, joined=2, refused=None, filled=full.filled)
    assert full.filled
    assert bob.join(room) == alice.join(room) == full, "joining again changes nothing"


def test_who_fills_a_room_hears_it_in_the_answer_and_the_others_in_their_inbox(
    relay: Relay, alice: Party, bob: Party
) -> None:
    room = relay.create_room(2)
    alice.join(room)
    full = bob.join(room)
    (news,) = relay.inbox(alice.inbox).news
    assert (news.room, news.event, news.filled, news.room_size) == (room, "full", full.filled, 2)
    assert relay.inbox(bob.inbox).news == ()


def test_rooms_are_ordered_by_when_they_filled_even_across_a_flush(relay: Relay, memory: redis.Redis) -> None:
    first, second, third = (relay.create_room(1) for _ in range(3))
    order = [Party(relay).join(room).filled for room in (second, first, third)]
    memory.flushdb()
    order.append(Party(relay).join(relay.create_room(1)).filled)
    assert order == sorted(set(order))


def test_of_many_who_join_at_once_only_as_many_as_fit_are_in(relay: Relay) -> None:
    room = relay.create_room(3)

    def join(party: Party) -> Joined | str:
        try:
            return party.join(room)
        except RelayRefused as error:
            return error.err_type

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(join, [Party(relay) for _ in range(6)]))
    joined = [answer for answer in answers if isinstance(answer, Joined)]
    assert sorted(answer.joined for answer in joined) == [1, 2, 3]
    assert [answer.joined for answer in joined if answer.full] == [3]
    assert answers.count("room_full") == 3


@pytest.mark.parametrize(
    ("asked", "err_type"),
    [
        ({"kind": "keygen"}, "room_kind"),
        ({"min_size": 4}, "room_size"),
        ({"max_size": 2}, "room_size"),
        ({"until": 1}, "bad_request_params"),
        ({"kind": "Sign!"}, "bad_request_params"),
        ({"inbox": "short"}, "bad_request_params"),
    ],
)
def test_a_join_that_does_not_fit_is_refused_and_takes_no_place(
    relay: Relay, alice: Party, bob: Party, asked: dict[str, object], err_type: str
) -> None:
    room = relay.create_room(3)
    alice.join(room)
    with refused(err_type):
        bob.join(room, **asked)
    assert bob.join(room).joined == 2


def test_a_full_room_takes_nobody_else(relay: Relay, alice: Party, bob: Party) -> None:
    room = relay.create_room(1)
    alice.join(room)
    with refused("room_full"):
        bob.join(room)


def test_a_party_can_not_be_joined_again_with_another_inbox(relay: Relay, alice: Party) -> None:
    room = relay.create_room(2)
    alice.join(room)
    with refused("party_taken"):
        alice.join(room, inbox=identity())


@pytest.mark.parametrize("room", [NO_ROOM, NO_ROOM.upper(), "../inboxes/" + "0" * 64, ""])
def test_an_unknown_room(relay: Relay, alice: Party, room: str) -> None:
    for call in (
        lambda: alice.join(room),
        lambda: relay.exchange(room, party=alice.id),
        lambda: relay.refuse(room, party=alice.id, err_type="too_late"),
        lambda: relay.done(room, party=alice.id),
    ):
        with refused("room_not_found"):
            call()


def test_a_room_ends_when_all_are_done_and_is_remembered_as_used(
    relay: Relay, memory: redis.Redis, alice: Party, bob: Party
) -> None:
    room = relay.create_room(2)
    alice.join(room)
    bob.join(room)
    relay.exchange(room, party=alice.id)
    relay.done(room, party=alice.id)
    relay.done(room, party=alice.id)
    assert relay.exchange(room, party=bob.id).messages == (), "one party, even twice, does not end it"
    relay.done(room, party=bob.id)
    assert list(memory.scan_iter(f"relay:room:{room}*")) == [f"relay:room:{room}".encode()]
    assert 0 < memory.ttl(f"relay:room:{room}") <= 3600
    assert memory.zscore("relay:rooms", room) is None
    relay.done(room, party=bob.id)
    for call in (
        lambda: alice.join(room),
        lambda: relay.exchange(room, party=alice.id),
        lambda: relay.put_room(room, room_size=2),
    ):
        with refused("room_used"):
            call()


def test_only_who_joined_is_done(relay: Relay, alice: Party, bob: Party) -> None:
    room = relay.create_room(2)
    alice.join(room)
    with refused("not_joined"):
        relay.done(room, party=bob.id)


def test_a_room_can_be_put_back_after_a_flush(relay: Relay, memory: redis.Redis, alice: Party, bob: Party) -> None:
    room = relay.create_room(2)
    alice.join(room)
    memory.flushdb()
    for _ in range(2):
        relay.put_room(room, room_size=2)
    with refused("room_size"):
        relay.put_room(room, room_size=3)
    assert [alice.join(room).joined, bob.join(room).joined] == [1, 2]


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [("sign", 120), ("keygen", DAY), ("import", DAY), ("reshare", 30 * DAY), ("refresh", 30 * DAY)],
)
def test_how_long_a_full_room_lives(
    relay: Relay, memory: redis.Redis, alice: Party, bob: Party, kind: str, seconds: int
) -> None:
    room = relay.create_room(2)
    alice.join(room, kind=kind)
    bob.join(room, kind=kind)
    assert lives(memory, room, seconds)


def test_how_long_a_room_waits_to_be_full(relay: Relay, memory: redis.Redis) -> None:
    room = relay.create_room(4)
    assert lives(memory, room, DAY), "as long as nobody joined"
    for ahead, seconds in [(100, 100), (5000, 5000), (200, 5000)]:
        Party(relay).join(room, until=int(time.time()) + ahead)
        assert lives(memory, room, seconds), "the latest of those who wait"


def test_nobody_keeps_a_room_for_ever(relay: Relay, memory: redis.Redis, alice: Party) -> None:
    room = relay.create_room(2)
    alice.join(room, until=int(time.time()) + 400 * DAY)
    assert lives(memory, room, 30 * DAY)


@pytest.mark.parametrize(
    ("kind", "full", "heeded"),
    [("sign", False, True), ("sign", True, True), ("reshare", False, True), ("reshare", True, False)],
)
def test_a_refusal_is_heeded_while_a_room_fills_or_signs(
    relay: Relay, alice: Party, bob: Party, carol: Party, kind: str, full: bool, heeded: bool
) -> None:
    room = relay.create_room(2)
    alice.join(room, kind=kind)
    if full:
        bob.join(room, kind=kind)
    relay.refuse(room, party=carol.id, err_type="policy_validation_failed")
    hint = "policy_validation_failed" if heeded else None
    assert relay.exchange(room, party=alice.id).refused == hint
    told = [(news.room, news.err_type) for news in relay.inbox(alice.inbox).news if news.event == "refused"]
    assert told == ([(room, hint)] if heeded else [])


def test_who_comes_to_a_refused_room_hears_why_and_is_not_in_it(relay: Relay, alice: Party, bob: Party) -> None:
    room = relay.create_room(2)
    relay.refuse(room, party=alice.id, err_type="key_id_not_exists")
    relay.refuse(room, party=alice.id, err_type="a_second_hint")
    assert bob.join(room) == Joined(full=False, room_size=2, joined=0, refused="key_id_not_exists", filled=None)
    with refused("not_joined"):
        relay.exchange(room, party=bob.id)


def test_a_room_that_was_refused_and_left_still_says_why(relay: Relay, alice: Party, bob: Party) -> None:
    room = relay.create_room(2)
    alice.join(room)
    relay.refuse(room, party=alice.id, err_type="executor_result")
    relay.done(room, party=alice.id)
    assert bob.join(room).refused == "executor_result"
