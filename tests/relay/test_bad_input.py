"""What strangers and clumsy clients send: the right error, in the right form, and nothing stored."""

import json
import secrets
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import httpx
import msgspec
import pytest
import redis

from cluster.relay import Relay as Server
from relay.client import Relay, RelayUnavailable
from relay.wire import MAX_JSON
from tests.relay.conftest import Party

# The same in every process: they stand in the names of tests.
ME, OTHER, INBOX = "a1" * 32, "b2" * 32, "c3" * 32
ROOM, NO_ROOM = "3f2b8a10-0d5e-4c7a-9b1f-6e8d7c5b4a39", "00000000-0d5e-4c7a-9b1f-6e8d7c5b4a39"
EXCHANGE = f"/relay/rooms/{ROOM}/exchange"


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers={"Authorization": server.api_key}, timeout=20) as client:
        yield client


@pytest.fixture
def room(relay: Relay) -> None:
    relay.put_room(ROOM, room_size=2)
    relay.join(ROOM, party=ME, inbox=INBOX, kind="sign", until=int(time.time()) + 60, min_size=1, max_size=2)


def error(response: httpx.Response) -> tuple[int, str]:
    body = response.json()
    assert set(body) == {"err_msg", "err_type"}
    assert body["err_msg"]
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    return response.status_code, body["err_type"]


def joining(**other: Any) -> dict[str, Any]:
    good = {
        "party": OTHER,
        "inbox": INBOX,
        "kind": "sign",
        "until": int(time.time()) + 60,
        "min_size": 1,
        "max_size": 9,
    }
    return {name: value for name, value in (good | other).items() if value is not ...}


BAD_JSON: list[tuple[str, str, Any]] = [
    *[
        ("POST", "/relay/rooms", body)
        for body in ({}, [], None, 3, {"room_size": 0}, {"room_size": -1}, {"room_size": 65}, {"room_size": 1 << 70})
    ],
    *[("POST", "/relay/rooms", {"room_size": size}) for size in ("2", 2.5, True, None, [2])],
    ("POST", "/relay/rooms", {"room_size": 2, "more": 1}),
    ("PUT", f"/relay/rooms/{NO_ROOM}", {"room_size": "2"}),
    *[
        ("POST", f"/relay/rooms/{ROOM}/join", joining(**other))
        for other in (
            {"party": ...},
            {"party": OTHER[:-1]},
            {"party": OTHER + "00"},
            {"party": OTHER.upper()},
            {"party": OTHER + "\n"},
            {"party": 7},
            {"inbox": "../" + INBOX},
            {"inbox": None},
            {"kind": ""},
            {"kind": "sign\n"},
            {"kind": "a" * 33},
            {"until": "tomorrow"},
            {"until": 1},
            {"until": -1},
            {"until": 1 << 41},
            {"until": time.time() + 60.5},
            {"min_size": -1},
            {"max_size": 1 << 17},
            {"extra": "x"},
        )
    ],
    ("POST", f"/relay/rooms/{ROOM}/refuse", {"party": ME, "err_type": 'x","event":"full'}),
    ("POST", f"/relay/rooms/{ROOM}/refuse", {"party": ME}),
    ("POST", f"/relay/rooms/{ROOM}/done", {"party": [ME]}),
]


@pytest.mark.parametrize(("method", "path", "body"), BAD_JSON)
def test_a_malformed_body_is_refused(
    http: httpx.Client, room: None, memory: redis.Redis, method: str, path: str, body: Any
) -> None:
    before = memory.dbsize(), memory.hgetall(f"relay:room:{ROOM}")
    assert error(http.request(method, path, json=body)) == (400, "bad_request_params")
    assert (memory.dbsize(), memory.hgetall(f"relay:room:{ROOM}")) == before


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b'{"room_size":2}x', b"[" * 10_000, b'{"room_size":NaN}', b'{"room_size":2,"room_size":'],
)
def test_a_body_that_is_no_json_is_refused(http: httpx.Client, memory: redis.Redis, content: bytes) -> None:
    assert error(http.post("/relay/rooms", content=content)) == (400, "bad_request_params")


GOOD = ["s", 1, ME, OTHER, b"x"]
BAD_BATCHES: list[Any] = [
    {},
    "text",
    7,
    None,
    [None],
    [[]],
    [GOOD[:4]],
    [[*GOOD, 1]],
    [[7, *GOOD[1:]]],
    [["", *GOOD[1:]]],
    [["s" * 129, *GOOD[1:]]],
    [["s", -1, *GOOD[2:]]],
    [["s", "1", *GOOD[2:]]],
    [["s", 1 << 31, *GOOD[2:]]],
    [["s", 1, OTHER, ME, b"x"]],
    [["s", 1, "", ME, b"x"]],
    [["s", 1, ME, OTHER[:62], b"x"]],
    [["s", 1, ME, "\n", b"x"]],
    [["s", 1, ME, OTHER, "x"]],
    [["s", 1, ME, OTHER, None]],
    [["s", i, ME, "", b""] for i in range(4097)],
]


@pytest.mark.parametrize("batch", BAD_BATCHES, ids=lambda batch: repr(batch)[:40])
def test_a_malformed_batch_is_refused_whole(http: httpx.Client, room: None, memory: redis.Redis, batch: Any) -> None:
    if isinstance(batch, list) and len(batch) == 1:
        batch = [GOOD, *batch]
    response = http.post(EXCHANGE, params={"party": ME}, content=msgspec.msgpack.encode(batch))
    assert error(response) == (400, "bad_request_params")
    assert memory.exists(f"relay:room:{ROOM}:log", f"relay:room:{ROOM}:bodies") == 0


@pytest.mark.parametrize(
    "content", [b"\xc1", b"\xdd\xff\xff\xff\xff", b"\x91" * 5000, msgspec.msgpack.encode([GOOD])[:-1]]
)
def test_a_batch_that_is_no_msgpack_is_refused(http: httpx.Client, room: None, content: bytes) -> None:
    assert error(http.post(EXCHANGE, params={"party": ME}, content=content)) == (400, "bad_request_params")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "party",
        f"party={ME[1:]}",
        f"party={ME}&party={ME}",
        f"party={ME}&wait=-1",
        f"party={ME}&wait=10001",
        f"party={ME}&wait=1.5",
        f"party={ME}&wait=",
        f"party={ME}&want=0",
        f"party={ME}&want=4097",
        f"party={ME}&after=0-0",
        f"party={ME}&after=0123456789abcdef:0-0%0a",
        f"party={ME}&after=0123456789abcdef:{'9' * 19}-0",
        f"party={ME}&after=0123456789abcdef:*-$",
        f"party={ME}&other=1",
        f"party={ME}&after={'0' * 2000}",
        f"party={ME}&wait=%ff",
    ],
)
def test_a_malformed_query_is_refused(http: httpx.Client, room: None, query: str) -> None:
    assert error(http.post(f"{EXCHANGE}?{query}")) == (400, "bad_request_params")


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/", (404, "not_found")),
        ("GET", "/relay", (404, "not_found")),
        ("GET", "/relay/rooms", (405, "method_not_allowed")),
        ("DELETE", f"/relay/rooms/{ROOM}", (405, "method_not_allowed")),
        ("POST", "/relay/rooms/" + "0" * 36 + "/join", (404, "not_found")),
        ("POST", f"/relay/rooms/{ROOM.upper()}/join", (404, "not_found")),
        ("POST", f"/relay/rooms/{ROOM}%0a/join", (404, "not_found")),
        ("POST", f"/relay/rooms/{ROOM}/join/more", (404, "not_found")),
        ("PUT", f"/relay/inboxes/{INBOX}", (405, "method_not_allowed")),
        ("GET", "/relay/inboxes/zz", (404, "not_found")),
        ("POST", EXCHANGE + f"?party={ME}", (404, "room_not_found")),
    ],
)
def test_where_nothing_is(
    http: httpx.Client, memory: redis.Redis, method: str, path: str, expected: tuple[int, str]
) -> None:
    assert error(http.request(method, path)) == expected


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/relay/rooms"),
        ("PUT", f"/relay/rooms/{ROOM}"),
        *[("POST", f"/relay/rooms/{ROOM}/{verb}") for verb in ("join", "exchange", "refuse", "done")],
        ("GET", f"/relay/inboxes/{INBOX}"),
        ("GET", "/no/route"),
    ],
)
def test_every_route_needs_a_key(server: Server, memory: redis.Redis, method: str, path: str) -> None:
    for token in (None, "", "Bearer", "wrong", server.api_key[:-1], server.api_key + "0", "Bearer  " + server.api_key):
        headers = {"Authorization": token} if token is not None else {}
        response = httpx.request(method, server.url + path, headers=headers, content=b"x" * 1000)
        assert error(response) == (401, "access_denied")
    assert memory.dbsize() == 0


def test_a_key_is_taken_raw_and_as_bearer_but_not_twice(server: Server, memory: redis.Redis) -> None:
    for token in (server.api_key, f"Bearer {server.api_key}", f"bearer {server.api_key}"):
        response = httpx.post(f"{server.url}/relay/rooms/", headers={"Authorization": token}, json={"room_size": 1})
        assert response.status_code == 200
    twice = [("Authorization", server.api_key), ("Authorization", "wrong")]
    assert error(httpx.post(f"{server.url}/relay/rooms", headers=twice)) == (400, "bad_request_params")


def test_a_body_that_is_announced_too_long_is_refused_before_it_comes(
    tight_server: Server, memory: redis.Redis
) -> None:
    host, _, port = tight_server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as plug:
        head = f"POST {EXCHANGE}?party={ME} HTTP/1.1\r\nHost: x\r\nAuthorization: {tight_server.api_key}\r\n"
        plug.sendall(f"{head}Content-Length: 3001\r\n\r\n".encode())
        assert plug.recv(1000).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(("path", "limit"), [(f"{EXCHANGE}?party={ME}", 3000), ("/relay/rooms", MAX_JSON)])
def test_a_body_is_measured_while_it_streams_in(
    tight_server: Server, memory: redis.Redis, path: str, limit: int
) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * (limit // 10)

    headers = {"Authorization": tight_server.api_key}
    assert error(httpx.post(tight_server.url + path, headers=headers, content=endless())) == (413, "too_large")


def test_a_get_takes_no_body(http: httpx.Client, memory: redis.Redis) -> None:
    assert error(http.request("GET", f"/relay/inboxes/{INBOX}", content=b"x")) == (413, "too_large")


def test_only_so_many_wait_at_once(tight: Relay, memory: redis.Redis) -> None:
    room = tight.create_room(3)
    parties = [Party(tight), Party(tight)]
    for party in parties:
        party.join(room)
    with ThreadPoolExecutor(2) as pool:
        waits = [pool.submit(tight.inbox, party.inbox, wait=10_000) for party in parties]
        refused = next(as_completed(waits))
        with pytest.raises(RelayUnavailable, match="429"):
            refused.result()
        Party(tight).join(room)
        (other,) = set(waits) - {refused}
        assert [news.event for news in other.result(timeout=60).news] == ["full"]


def test_who_hangs_up_waits_no_more(tight_server: Server, tight: Relay) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(
            f"{tight_server.url}/relay/inboxes/{INBOX}?wait=10000",
            headers={"Authorization": tight_server.api_key},
            timeout=0.3,
        )
    deadline = time.monotonic() + 5
    while True:
        try:
            tight.inbox(INBOX)
            break
        except RelayUnavailable:
            assert time.monotonic() < deadline, "the one place to wait is still taken"


def test_errors_say_nothing_of_what_was_sent(http: httpx.Client, room: None) -> None:
    canary = secrets.token_hex(16)
    for response in (
        http.post("/relay/rooms", json={"room_size": canary}),
        http.post(EXCHANGE, params={"party": ME, "after": canary}),
        http.post(EXCHANGE, params={"party": ME}, content=msgspec.msgpack.encode([["s", 1, canary, canary, canary]])),
    ):
        assert response.status_code == 400
        assert canary not in json.dumps(response.json())
