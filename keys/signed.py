"""A signing session's requests as they are stored, what the protocol is given of them, and what the answers say.

The parameters of a session are those of its one request, or ``{"items": […]}``: of each request of a batch its
parameters, or ``{"error": …}`` where this vertex refused it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from keys.models import ProtocolSession
from mpc.batch import BatchRequest, Request, Result
from mpc.errors import Abort
from mpc.frost.signing import FrostRequest
from mpc.schemes import scheme_of
from mpc.sign import Signature, SignRequest
from vertex.errors import ApiError

Item = dict[str, Any]


def is_batch(session: ProtocolSession) -> bool:
    """Whether one room serves several requests."""
    return "items" in session.params


def items_of(session: ProtocolSession) -> list[Item]:
    """The parameters of each request."""
    return list(session.params["items"]) if is_batch(session) else [session.params]


def request_of(session: ProtocolSession, item: Item, index: int = 0) -> Request:
    """What the protocol signs."""
    common: dict[str, Any] = {
        "room": session.room,
        "size": session.room_size or 0,
        "path": tuple(item["path"]),
        "index": index,
    }
    if scheme_of(session.share.scheme).pairwise:
        return SignRequest(digest=bytes.fromhex(item["digest"]), **common)
    tweak = bytes.fromhex(item["tweak"]) if item["tweak"] is not None else None
    return FrostRequest(message=bytes.fromhex(item["message"]), tweak=tweak, **common)


def batch_of(session: ProtocolSession) -> BatchRequest:
    """The same of a batch."""
    requests = [
        None if "error" in item else request_of(session, item, index) for index, item in enumerate(items_of(session))
    ]
    return BatchRequest(room=session.room, size=session.room_size or 0, items=tuple(requests))


def signature_answer(result: Signature | bytes) -> dict[str, Any]:
    """A signature as the routes give it."""
    if isinstance(result, bytes):
        return {"signature": result.hex()}
    return {"r": f"{result.r:064x}", "s": f"{result.s:064x}", "v": result.v, "der": result.der.hex()}


def batch_answer(session: ProtocolSession, results: Sequence[Result]) -> list[dict[str, Any]]:
    """For each request its signature, or why there is none: this vertex's own reason first."""
    answers: list[dict[str, Any]] = []
    for item, result in zip(items_of(session), results, strict=True):
        if "error" in item:
            answers.append({"Error": item["error"]})
        elif isinstance(result, Abort):
            answers.append({"Error": ApiError("executor_result", result.reason).body})
        else:
            answers.append({"Signature": signature_answer(result)})
    return answers


def told_of(session: ProtocolSession, indices: Iterable[int]) -> list[dict[str, Any]]:
    """What the event log says of these requests; nothing of those that were refused here."""
    items = items_of(session)
    asked = [items[index] for index in indices if "error" not in items[index]]
    return [{"session": str(session.id), "digest": item["digest"]} for item in asked]


def without_messages(session: ProtocolSession) -> dict[str, Any]:
    """A session's parameters once it has ended: a message is the caller's, its digest says which one it was."""
    kept = [{name: value for name, value in item.items() if name != "message"} for item in items_of(session)]
    return {"items": kept} if is_batch(session) else kept[0]
