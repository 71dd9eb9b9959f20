"""batch-sign: several requests in one call, each in a room of its own or all in one."""

from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from keys import operations
from keys.models import ApiUser, KeyShare, Operation
from keys.relays import resolve
from keys.selectors import key_of
from keys.sessions.services import session_cancel, session_open, telling_the_room
from keys.signed import Item
from keys.signing import check_request, sign_request
from vertex.errors import ApiError

MAX_SHARED = 200  # requests of a batch times counterparties, in one room: what a relay carries for it
Fields = dict[str, Any]


def batch_request(
    *, user: ApiUser, operation: Operation, scheme: str, requests: list[Fields], deadline: datetime
) -> None:
    """Join the room of a batch, or those of its requests. ``requests``: validated fields, each with key and room.

    What is refused of single requests is in the answer; raises ApiError for what the batch as a whole can't be.
    """
    rooms = {fields["room_uuid"] for fields in requests}
    if len(rooms) == len(requests):
        _rooms_of_their_own(user, operation, scheme, requests, deadline)
    elif len(rooms) > 1:
        raise ApiError("bad_request_params", "a batch has one room for all requests, or one for each")
    elif len({(fields["key_id"], fields.get("relay_address")) for fields in requests}) > 1:
        raise ApiError("bad_request_params", "in one room all requests are for the same key, at the same relay")
    else:
        _one_room(user, operation, scheme, requests, deadline)


def batch_cancel(*, operation_id: UUID) -> None:
    """End what has dealt nothing yet of a batch that waited too long."""
    session_cancel(operation_id=operation_id)
    pending = Operation.objects.filter(parent=operation_id, state=Operation.State.PENDING)
    for part_id in pending.values_list("id", flat=True):
        session_cancel(operation_id=part_id)


def _rooms_of_their_own(
    user: ApiUser, operation: Operation, scheme: str, requests: list[Fields], deadline: datetime
) -> None:
    """As many single calls."""
    for part, fields in zip(operations.split(operation, parts=len(requests)), requests, strict=True):
        room, relay_address = str(fields["room_uuid"]), fields.get("relay_address")
        try:
            with telling_the_room(room, relay_address):
                sign_request(user=user, operation=part, scheme=scheme, fields=fields, deadline=deadline)
        except ApiError as error:
            with transaction.atomic():
                operations.finish(operation_id=part.id, error=error)


def _one_room(user: ApiUser, operation: Operation, scheme: str, requests: list[Fields], deadline: datetime) -> None:
    """One session for all. The room hears of a refusal only if nothing is left to sign: the others' hellos tell what
    they were asked for."""
    room, relay_address = str(requests[0]["room_uuid"]), requests[0].get("relay_address")
    with telling_the_room(room, relay_address):
        relay_url = resolve(relay_address)
        key, items, said = _checked(user, scheme, requests)
    if key is None or not said:
        with suppress(ApiError), telling_the_room(room, relay_address):
            raise ApiError(items[0]["error"]["err_type"], "every request was refused")
        with transaction.atomic():
            operations.finish(operation_id=operation.id, result=[{"Error": item["error"]} for item in items])
        return
    session_open(
        kind="sign",
        share=key,
        operation=operation,
        params={"items": items},
        relay_url=relay_url,
        room=room,
        min_size=key.threshold or 0,
        max_size=min(len(key.parties), 1 + MAX_SHARED // len(requests)),
        deadline=deadline,
        actor=f"user:{user.id}",
        data=said,
    )


def _checked(
    user: ApiUser, scheme: str, requests: list[Fields]
) -> tuple[KeyShare | None, list[Item], list[dict[str, Any]]]:
    """The batch's key, each request's parameters or error, and what the event log says of those that may be signed."""
    items: list[Item] = []
    said: list[dict[str, Any]] = []
    try:
        key = key_of(user=user, key_id=requests[0]["key_id"], scheme=scheme)
    except ApiError as error:
        return None, [{"error": error.body}] * len(requests), said
    if len(requests) * ((key.threshold or 1) - 1) > MAX_SHARED:
        raise ApiError("batch_too_large", f"in one room, requests times counterparties are at most {MAX_SHARED}")
    for fields in requests:
        try:
            checked = check_request(key=key, fields=fields)
        except ApiError as error:
            items.append({"error": error.body})
        else:
            items.append(checked.params)
            said.append(checked.said)
    return key, items, said
