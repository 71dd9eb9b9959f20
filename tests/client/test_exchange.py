"""One call over HTTP: what is repeated and what never, what errors become, and that no token shows."""

import asyncio
import json
import traceback
from dataclasses import replace
from typing import Any

import httpx
import pytest
from vertex_client import AsyncVertex, BadAnswer, Unreachable, Vertex, VertexError
from vertex_client import vertex as vertex_module
from vertex_client.answers import Backup, NewApiKey, PrivateKey
from vertex_client.calls import Call
from vertex_client.exchange import Access, exchange

from tests.client.vertices import ADMIN_TOKEN, API_KEY, URL, Answer, Memory, key_share, ok, refusal

ROOM = ok({"room_uuid": "r"})
KEY = ok(key_share())
REFUSED = httpx.ConnectError("nobody listens")
BROKEN = httpx.ReadError("the connection broke")
LATE = httpx.ReadTimeout("the time is over")
BUSY = refusal(503, "not_ready", Retry_After="7")
THROTTLED = refusal(429, "too_many_requests")

CREATES: Call[Any] = Vertex.create_room(2)
READS: Call[Any] = Vertex.key("K")
VOTES: Call[Any] = Vertex.abort("I")

# What is called, what comes back, how often it is sent, and the pauses between.
REPEATED: dict[str, tuple[Call[Any], list[Answer], int, list[float]]] = {
    "nobody listens: never left, so again": (VOTES, [REFUSED, REFUSED, BUSY], 3, [0.2, 0.4]),
    "nobody listens at all": (READS, [REFUSED], 4, [0.2, 0.4, 0.8]),
    "a read that broke": (READS, [BROKEN, KEY], 2, [0.2]),
    "a read too late": (READS, [LATE, KEY], 2, [0.2]),
    "a creating call that broke, under its key": (CREATES, [BROKEN, ROOM], 2, [0.2]),
    "a vote that broke may have been cast": (VOTES, [BROKEN], 1, []),
    "busy, and it says how long": (CREATES, [BUSY, ROOM], 2, [7.0]),
    "throttled without a word": (READS, [THROTTLED, KEY], 2, [0.2]),
    "a vote when busy": (VOTES, [BUSY], 1, []),
    "busy for ever": (READS, [BUSY], 4, [7.0, 7.0, 7.0]),
    "busy for a day": (READS, [refusal(503, "not_ready", Retry_After="86400"), KEY], 2, [30.0]),
    "busy in words": (READS, [refusal(503, "not_ready", Retry_After="soon"), KEY], 2, [0.2]),
    "a refusal": (READS, [refusal(400, "key_id_not_exists")], 1, []),
    "an internal problem": (CREATES, [refusal(500, "internal_problem")], 1, []),
}


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    kept: list[float] = []

    async def later(seconds: float) -> None:
        kept.append(seconds)

    monkeypatch.setattr(vertex_module.time, "sleep", kept.append)
    monkeypatch.setattr(vertex_module.asyncio, "sleep", later)
    return kept


def quietly(send: Any) -> None:
    try:
        send()
    except VertexError:
        pass


@pytest.mark.parametrize("name", REPEATED)
@pytest.mark.parametrize("kind", ["blocking", "asynchronous"])
def test_what_is_repeated(name: str, kind: str, pauses: list[float]) -> None:
    call, answers, times, expected = REPEATED[name]
    memory = Memory(answers)
    if kind == "blocking":
        quietly(lambda: memory.client().send(call))
    else:
        quietly(lambda: asyncio.run(memory.async_client().send(call)))
    assert len(memory.requests) == times
    assert pauses == expected
    assert len({request.headers.get("Idempotency-Key") for request in memory.requests}) == 1


def test_each_creating_call_has_a_key_of_its_own() -> None:
    memory = Memory([ROOM])
    client = memory.client()
    client.create_room(2)
    client.create_room(2)
    client.send(replace(CREATES, idempotency_key="mine"))
    first, second, mine = (request.headers["Idempotency-Key"] for request in memory.requests)
    assert len(first) == len(second) == 24
    assert first != second
    assert mine == "mine"


# What comes back, the error that it becomes, its type and status.
ERRORS: dict[str, tuple[Answer, type[VertexError], str, int]] = {
    "the contract's": (refusal(400, "share_erased"), VertexError, "share_erased", 400),
    "nobody listens": (REFUSED, Unreachable, "unreachable", 0),
    "a proxy's page": (httpx.Response(502, text="<html>"), BadAnswer, "bad_answer", 502),
    "JSON without a type": (httpx.Response(400, json={"detail": "no"}), BadAnswer, "bad_answer", 400),
    "JSON that is a list": (httpx.Response(500, json=["no"]), BadAnswer, "bad_answer", 500),
    "types that are none": (httpx.Response(400, json={"err_type": 1, "err_msg": 2}), BadAnswer, "bad_answer", 400),
    "a redirect is not followed": (
        httpx.Response(307, headers={"Location": "https://evil.example"}),
        BadAnswer,
        "bad_answer",
        307,
    ),
    "success that is no JSON": (httpx.Response(200, text="fine"), BadAnswer, "bad_answer", 200),
    "a field is missing": (ok({"key_id": "k"}), BadAnswer, "bad_answer", 0),
    "a field of another type": (ok(key_share(generation="1")), BadAnswer, "bad_answer", 0),
    "a bool is no number": (ok(key_share(generation=True)), BadAnswer, "bad_answer", 0),
    "no time": (ok(key_share(created_at="yesterday")), BadAnswer, "bad_answer", 0),
    "a list of other things": (ok(key_share(parties=[1])), BadAnswer, "bad_answer", 0),
    "null where none may be": (ok(key_share(state=None)), BadAnswer, "bad_answer", 0),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str, pauses: list[float]) -> None:
    answer, kind, err_type, status = ERRORS[name]
    memory = Memory([answer])
    with pytest.raises(VertexError) as caught:
        memory.client().key("K")
    assert type(caught.value) is kind
    assert (caught.value.err_type, caught.value.status) == (err_type, status)
    assert {request.url.host for request in memory.requests} == {"vertex.example"}


def test_an_error_keeps_the_words_and_the_request_id() -> None:
    with pytest.raises(VertexError, match="it is bad_receipt") as caught:
        Memory([refusal(400, "bad_receipt", X_Request_Id="abc")]).client().key("K")
    assert (caught.value.err_msg, caught.value.request_id) == ("it is bad_receipt", "abc")


def test_fields_that_a_newer_vertex_adds_are_left_out() -> None:
    assert Memory([ok(key_share(colour="red"))]).client().key("K").key_id == "k"


def test_pages_follow_each_other() -> None:
    pages = [
        ok({"results": [key_share(key_id="1"), key_share(key_id="2")], "next": "/keys?after=2&limit=2"}),
        ok({"results": [key_share(key_id="3")], "next": None}),
    ]
    memory = Memory(pages)
    assert [share.key_id for share in memory.client().each(Vertex.keys(limit=2))] == ["1", "2", "3"]
    assert [str(request.url) for request in memory.requests] == [f"{URL}/keys?limit=2", f"{URL}/keys?after=2&limit=2"]

    async def collect() -> list[str]:
        return [share.key_id async for share in Memory(pages).async_client().each(AsyncVertex.keys(limit=2))]

    assert asyncio.run(collect()) == ["1", "2", "3"]


@pytest.mark.parametrize("following", ["@evil.example/keys", ".evil.example", "https://evil.example/", ":81/keys"])
def test_a_page_can_not_name_another_host(following: str) -> None:
    memory = Memory([ok({"results": [], "next": following})])
    with pytest.raises(BadAnswer, match="another host"):
        list(memory.client().each(Vertex.keys()))
    assert len(memory.requests) == 1


OPERATION = {
    "operation_id": "O",
    "action": "ecdsa.keygen",
    "state": "pending",
    "status": None,
    "result": None,
    "error": None,
    "created_at": "2026-11-25T12:00:00Z",
    "finished_at": None,
}
DONE = OPERATION | {"state": "done", "status": 200, "result": {"a": 1}, "finished_at": "2026-11-25T12:00:01Z"}
LOST = DONE | {"state": "failed", "status": 400, "error": {"err_type": "executor_result", "err_msg": "B is missing"}}


def test_an_asynchronous_call_from_begin_to_end(pauses: list[float]) -> None:
    memory = Memory([httpx.Response(202, json={"operation_id": "O"}), ok(OPERATION), ok(DONE)])
    client = memory.client()
    begun = client.begin(Vertex.refresh("ecdsa", "K", room_uuid="R"), seconds=600)
    assert begun.operation_id == "O"
    assert client.finished("O").result == {"a": 1}
    assert memory.requests[0].headers["Prefer"] == "respond-async, wait=600"
    assert pauses == [vertex_module.POLL]


def test_an_asynchronous_call_that_failed_or_is_late() -> None:
    with pytest.raises(VertexError, match="B is missing"):
        Memory([ok(LOST)]).client().finished("O")
    with pytest.raises(TimeoutError, match="operation O"):
        Memory([ok(OPERATION)]).client().finished("O", timeout=-1)
    with pytest.raises(TimeoutError, match="operation O"):
        asyncio.run(Memory([ok(OPERATION)]).async_client().finished("O", timeout=-1))


@pytest.mark.parametrize("url", ["ftp://a", "a.example", "https://u:p@a.example", "https://a.example?x=1", "https://"])
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        Access(url)


def test_tokens_do_not_travel_in_the_clear() -> None:
    with pytest.raises(ValueError, match=r"in the clear: use https"):
        Vertex("http://vertex.example", API_KEY)
    for local in ("http://127.0.0.1:8000", "http://[::1]:8000", "http://localhost"):
        assert Vertex(local, API_KEY).url == local
    assert Vertex("http://vertex.example", API_KEY, allow_http=True).asynchronous().access.allow_http


def test_tokens_are_shown_nowhere(pauses: list[float]) -> None:
    memory = Memory([REFUSED])
    client = memory.client()
    shown = [repr(client), repr(client.access), repr(client.asynchronous())]
    shown += [repr(memory.requests), repr(VOTES), repr(NewApiKey("u", API_KEY))]
    shown += [repr(PrivateKey(API_KEY)), repr(Backup(ADMIN_TOKEN, "plaintext"))]
    for call in (READS, VOTES):
        try:
            client.send(call)
        except VertexError:
            shown.append(traceback.format_exc())
    shown.append(json.dumps([str(request.url) for request in memory.requests]))
    assert len(memory.requests) == 8
    assert [text for text in shown if API_KEY in text or ADMIN_TOKEN in text] == []


def test_the_exchange_does_no_io() -> None:
    steps = exchange(Access(URL, API_KEY), READS)
    request = next(steps)
    assert isinstance(request, httpx.Request)
    with pytest.raises(StopIteration) as stopped:
        steps.send(KEY)
    assert stopped.value.value.key_id == "k"
