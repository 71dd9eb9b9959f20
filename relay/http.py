"""HTTP over bare ASGI: who may come in, bodies that are measured while they stream in, answers."""

import hmac
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from relay.errors import RETRY_AFTER, Refusal
from relay.settings import digest
from relay.wire import Error

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
T = TypeVar("T")

JSON, MSGPACK = b"application/json", b"application/msgpack"
MAX_QUERY = 1024


class HungUp(Exception):
    """The client went away; there is nobody to answer."""


def header(scope: Scope, name: bytes) -> bytes | None:
    """The header's value; refuses one that comes twice, since two readers might take different ones."""
    values = [value for key, value in scope["headers"] if key == name]
    if len(values) > 1:
        raise Refusal("bad_request_params", f"the header {name.decode()} stands there twice")
    return values[0] if values else None


def authorise(scope: Scope, api_keys: Iterable[bytes]) -> None:
    """Refuses who shows none of the keys; time does not tell which one, or how much of it, was right."""
    token = header(scope, b"authorization") or b""
    shown = digest(token[7:] if token[:7].lower() == b"bearer " else token)
    if not sum(hmac.compare_digest(shown, key) for key in api_keys):
        raise Refusal("access_denied")


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The request's body of at most `limit` bytes; more are refused before they are read."""
    length = header(scope, b"content-length") or b"0"
    if not length.isdigit() or int(length[:20]) > limit:
        raise Refusal("too_large", f"at most {limit} bytes are taken here")
    chunks, size, more = [], 0, True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise HungUp
        chunks.append(event.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise Refusal("too_large", f"at most {limit} bytes are taken here")
        more = event.get("more_body", False)
    return b"".join(chunks)


def read_query(scope: Scope, kind: type[T]) -> T:
    """The query's parameters, each at most once."""
    raw = scope["query_string"]
    try:
        if len(raw) > MAX_QUERY:
            raise ValueError
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, strict_parsing=bool(raw), max_num_fields=16)
    except ValueError:
        raise Refusal("bad_request_params", "the query is malformed") from None
    if len(dict(pairs)) != len(pairs):
        raise Refusal("bad_request_params", "a parameter of the query stands there twice")
    try:
        return msgspec.convert(dict(pairs), kind, strict=False)
    except msgspec.ValidationError as error:
        raise Refusal("bad_request_params", f"the query is malformed: {error}") from None


def decode(decoder: msgspec.json.Decoder[T] | msgspec.msgpack.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:  # says where and which type, nothing of the body
        raise Refusal("bad_request_params", f"the body is malformed: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal("bad_request_params", "the body can't be decoded") from None


async def answer(send: Send, status: int, content: object, kind: bytes = JSON) -> None:
    body = (msgspec.json if kind == JSON else msgspec.msgpack).encode(content)
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *([(b"retry-after", str(RETRY_AFTER).encode())] if status in (429, 503) else []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def answer_refusal(send: Send, refusal: Refusal) -> None:
    await answer(send, refusal.status, Error(err_msg=refusal.message, err_type=refusal.err_type))
