"""Envelopes and sealed payloads at their edges: what opens, and what does not without an exception."""

import pytest

from mpc.envelope import (
    HEADER_BYTES,
    conflict,
    frame_of,
    make_body,
    make_header,
    open_body,
    open_payload,
    seal_payload,
)
from mpc.protocol import BROADCAST, Frame
from tests.mpc.simulator import flipped, identity

A, B = identity("A"), identity("B")
SESSION, KEY = bytes(range(32)), bytes(range(32, 64))
HEADER = make_header("message", 1, SESSION, A.public, BROADCAST)
BODY = make_body(A, HEADER, b"content")
FRAME = Frame(1, A.public, BROADCAST, BODY)


def test_an_empty_content_is_a_content() -> None:
    body = make_body(A, HEADER, b"")
    assert len(body) == HEADER_BYTES + 64
    assert open_body(Frame(1, A.public, BROADCAST, body), "message", SESSION) == b""
    assert frame_of(body) == Frame(1, A.public, BROADCAST, body)


NOT_OPENED = {
    "one byte short of an envelope": Frame(1, A.public, BROADCAST, BODY[: HEADER_BYTES + 63]),
    "empty": Frame(1, A.public, BROADCAST, b""),
    "round 256": Frame(256, A.public, BROADCAST, BODY),
    "a negative round": Frame(-1, A.public, BROADCAST, BODY),
    "another round": Frame(2, A.public, BROADCAST, BODY),
    "a short sender": Frame(1, A.public[:-1], BROADCAST, BODY),
    "a sender split with the receiver": Frame(1, A.public + bytes(1), bytes(31), BODY),
    "another sender": Frame(1, B.public, BROADCAST, BODY),
    "a receiver": Frame(1, A.public, B.public, BODY),
    "another signature": Frame(1, A.public, BROADCAST, flipped(BODY)),
    "another content": Frame(1, A.public, BROADCAST, flipped(BODY, HEADER_BYTES)),
}


@pytest.mark.parametrize("frame", NOT_OPENED.values(), ids=NOT_OPENED)
def test_not_opened(frame: Frame) -> None:
    assert open_body(FRAME, "message", SESSION) == b"content"
    assert open_body(frame, "message", SESSION) is None


def test_what_is_too_short_is_no_frame() -> None:
    assert frame_of(BODY[: HEADER_BYTES + 63]) is None


def second(content: bytes = b"other", **changed: bytes) -> Frame:
    return Frame(1, A.public, BROADCAST, make_body(A, changed.get("header", HEADER), content))


UNKNOWN_KIND = HEADER[:1] + b"\x02" + HEADER[2:]
CONFLICTS = {
    "two contents in one slot": (FRAME, second(), True),
    "the same message twice": (FRAME, FRAME, False),
    "another round": (FRAME, second(header=make_header("message", 2, SESSION, A.public, BROADCAST)), False),
    "one of them forged": (FRAME, Frame(1, A.public, BROADCAST, flipped(second().body)), False),
    "the first one forged": (Frame(1, A.public, BROADCAST, flipped(BODY)), second(), False),
    "two scraps": (Frame(1, A.public, BROADCAST, b"a"), Frame(1, A.public, BROADCAST, b"b"), False),
    "a scrap and its beginning": (
        Frame(1, A.public, BROADCAST, HEADER[:1] + b"x"),
        Frame(1, A.public, BROADCAST, HEADER[:1]),
        False,
    ),
    "headers alone": (
        Frame(1, A.public, BROADCAST, HEADER + b"a"),
        Frame(1, A.public, BROADCAST, HEADER + b"b"),
        False,
    ),
    "a kind that is none": (
        Frame(1, A.public, BROADCAST, UNKNOWN_KIND + bytes(64)),
        Frame(1, A.public, BROADCAST, UNKNOWN_KIND + bytes(65)),
        False,
    ),
}


@pytest.mark.parametrize(("first", "other", "expected"), CONFLICTS.values(), ids=CONFLICTS)
def test_conflict(first: Frame, other: Frame, expected: bool) -> None:
    assert conflict(first, other) is expected


def test_an_empty_payload_is_a_payload() -> None:
    sealed = seal_payload(KEY, HEADER, b"")
    assert len(sealed) == 12 + 16
    assert open_payload(KEY, HEADER, sealed) == b""


NO_PAYLOAD = {
    "a short key": (KEY[:-1], seal_payload(KEY, HEADER, b"payload")),
    "a long key": (KEY + b"\0", seal_payload(KEY, HEADER, b"payload")),
    "nothing": (KEY, b""),
    "less than nonce and tag": (KEY, seal_payload(KEY, HEADER, b"")[:-1]),
    "less than a nonce": (KEY, bytes(5)),
    "a flipped bit": (KEY, flipped(seal_payload(KEY, HEADER, b"payload"))),
    "another nonce": (KEY, flipped(seal_payload(KEY, HEADER, b"payload"), 0)),
}


@pytest.mark.parametrize(("key", "content"), NO_PAYLOAD.values(), ids=NO_PAYLOAD)
def test_no_payload(key: bytes, content: bytes) -> None:
    assert open_payload(key, HEADER, content) is None
