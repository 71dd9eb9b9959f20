"""Opening, waking and ending protocol sessions. A request joins its room and starts nothing; a full room wakes a
worker."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from audit import services as audit
from keys import clock, operations, unbegun, witness
from keys.models import KeyShare, Operation, ProtocolSession
from keys.relays import inbox, relay, resolve
from keys.sessions.evidence import hand_over, record_of
from keys.sessions.kinds import kind_of, queue_of
from keys.sessions.lease import Lease, LeaseLost
from keys.sessions.records import session_material_destroy
from keys.sessions.rooms import ROOM_REFUSALS, RoomRefused, join, join_again
from mpc.errors import Blame
from relay.client import Joined, RelayRefused, RelayUnavailable
from vertex.celery import app
from vertex.errors import ApiError
from vertex.requests import caused_by

log = structlog.get_logger()
State = ProtocolSession.State
UNSTARTED = (State.JOINING, State.WAITING, State.READY)


@contextmanager
def telling_the_room(room: str, relay_address: str | None) -> Iterator[None]:
    """Tell a room that a call which names it is refused here, so that the others end at once."""
    try:
        yield
    except RoomRefused:
        raise
    except ApiError as error:
        try:
            relay(resolve(relay_address)).refuse(room, party=inbox(), err_type=error.err_type)
        except (ApiError, RelayRefused, RelayUnavailable):
            log.info("room_not_told", room=room)
        raise


def session_open(
    *,
    kind: str,
    share: KeyShare,
    operation: Operation | None,
    params: dict[str, Any],
    relay_url: str,
    room: str,
    min_size: int,
    max_size: int,
    deadline: datetime,
    actor: str,
    data: dict[str, Any] | list[dict[str, Any]],
    begin: Callable[[ProtocolSession], None] = lambda session: None,
) -> ProtocolSession:
    """Create the session with its audit event, then join its room; raises ApiError when the room refuses.

    ``data``: of its event; of a batch, of one event for each request.
    ``begin`` writes in the transaction that creates the session. Where the join fills the room the session is ready
    at once, else the relay's news make it so.
    """
    try:
        with transaction.atomic():
            if operation is not None:
                unbegun.still_wanted(operation)
            session = ProtocolSession.objects.create(
                kind=kind,
                share=share,
                operation=operation,
                params=params,
                relay=relay_url,
                room=room,
                deadline=deadline,
                # Also where this process does not live to write down what the relay answered.
                poll_at=clock.now() + timedelta(seconds=10 * settings.VERTEX_SWEEP),
            )
            begin(session)
            about = {"session": str(session.id), "room": room}
            audit.record_each(
                action=f"{kind}.requested",
                actor=actor,
                subject=str(share.id),
                data=[about | each for each in (data if isinstance(data, list) else [data])],
            )
    except IntegrityError as error:
        raise RoomRefused("bad_request_params", ROOM_REFUSALS["room_used"]) from error
    connection.close()
    try:
        joined = join(session, min_size=min_size, max_size=max_size)
    except ApiError as error:
        session_fail(session_id=session.id, error=error, actor=actor)
        raise
    room_news(session, joined)
    return session


def room_news(session: ProtocolSession, joined: Joined) -> None:
    """What the relay answered to a join."""
    if joined.refused:
        refused = RoomRefused(
            "executor_result", f"another party refused the call that names this room ({joined.refused})"
        )
        session_fail(session_id=session.id, error=refused, actor="system")
        raise refused
    if joined.full:
        room_full(room=session.room, filled=joined.filled, size=joined.room_size)
    else:
        ProtocolSession.objects.filter(id=session.id, state=State.JOINING).update(
            state=State.WAITING, room_size=joined.room_size
        )


def room_full(*, room: str, filled: int | None, size: int | None) -> None:
    """The relay says that a room is full: its sessions here are ready for a worker.

    The news may be faster than the answer to this party's own join, so it is the news that tells the size.
    """
    if size is None:
        return
    for session in ProtocolSession.objects.filter(room=room, state__in=(State.JOINING, State.WAITING)):
        deadline = clock.now() + kind_of(session).run_for
        with transaction.atomic():
            rows = ProtocolSession.objects.filter(id=session.id, state__in=(State.JOINING, State.WAITING)).update(
                state=State.READY,
                filled=filled,
                room_size=size,
                deadline=deadline,
                woken=True,
                poll_at=None,
            )
            if rows:
                enqueue(session.kind)


def room_message(*, room: str) -> None:
    """News in a room: wake its sessions here that have begun."""
    for session in ProtocolSession.objects.filter(room=room, state__in=(State.RUNNING, State.SETTLING)):
        wake(session)


def room_refused(*, room: str, err_type: str) -> None:
    """Another vertex refused the call that names this room: a session that has not begun ends now."""
    error = ApiError("executor_result", f"another party refused the call that names this room ({err_type[:40]})")
    for session in ProtocolSession.objects.filter(room=room, state__in=UNSTARTED):
        session_fail(session_id=session.id, error=error, actor="system")


def wake(session: ProtocolSession) -> None:
    """There is something to do for this session. A worker that has it now looks again before it parks it: another is
    asked only where nobody has it."""
    unfinished = ProtocolSession.objects.filter(id=session.id, finished_at=None)
    with transaction.atomic():
        if unfinished.update(woken=True, poll_at=None) and unfinished.exclude(lease_until__gt=Now()).exists():
            enqueue(session.kind)


def enqueue(kind: str) -> None:
    """Ask a worker, after the commit, to take the next session of this kind's queue; the sweep asks where the broker
    does not answer."""
    queue = queue_of(kind)
    transaction.on_commit(lambda: app.send_task("keys.session_run", args=[queue], queue=queue), robust=True)


def in_flight(key: KeyShare, *, besides: ProtocolSession | None = None) -> bool:
    """Whether a protocol that makes or deals this share is under way."""
    running = key.sessions.filter(finished_at=None, kind__in=["keygen", "import", "reshare"]).exclude(
        state=State.SETTLING
    )
    if besides is not None:
        running = running.exclude(id=besides.id)
    return running.exists()


def signer_lost() -> ApiError:
    """The error of a signature or export whose worker died: it is never run again."""
    return ApiError("executor_result", "the worker that ran this was lost; repeat the call with a new room")


def session_cancel(*, operation_id: UUID) -> bool:
    """End the session of a call that waited too long, if it has dealt nothing yet; True when it was ended."""
    session = ProtocolSession.objects.filter(operation_id=operation_id, state__in=UNSTARTED).first()
    if session is None:
        return False
    return session_fail(session_id=session.id, error=absent(session), actor="system")


def absent(session: ProtocolSession) -> ApiError:
    """The error of a room that did not fill in time."""
    size = session.room_size or "?"
    return ApiError(
        "executor_result",
        f"timed out before round 0: not all {size} parties joined room {session.room} in time; nothing was changed",
    )


def session_fail(
    *, session_id: UUID, error: ApiError, actor: str, lease: Lease | None = None, blame: Blame | None = None
) -> bool:
    """End a protocol that failed: its key is destroyed, its operation answers the error. True when it had not ended.

    ``blame``: who is to blame is recorded with its evidence, which the other parties get too.
    Without a lease, which any process may do, only a session that no worker has begun is ended: it has no key yet, or
    one of which a restored database knows nothing, and that the reconciliation destroys. Where its kind has receipts to
    carry, it goes on as `settling`. Raises LeaseLost: the session's key is then another worker's.
    """
    if lease is not None:
        lease.extend()
    session = ProtocolSession.objects.select_related("share__identity", "operation").get(id=session_id)
    if lease is not None and kind_of(session).durable:  # also where the row names no key: it may have been rolled back
        session_material_destroy(session)
    guard = Q(fence=lease.fence) if lease else Q(state__in=UNSTARTED, lease_until=None)
    ended: dict[str, Any] = {"state": State.FAILED, "finished_at": Now(), "lease_until": None, "fence": F("fence") + 1}
    request = session.operation.request_id if session.operation else ""
    with caused_by(request), transaction.atomic():
        held = ProtocolSession.objects.select_for_update().filter(guard, id=session_id, finished_at=None)
        if not held.exists():
            return False
        goes_on = kind_of(session).failed(session)
        ProtocolSession.objects.filter(id=session_id).update(
            **({"state": State.SETTLING} if goes_on else ended),
            sealed_seed=None,
            data_key=None,
            error={"err_type": error.err_type, "err_msg": error.message},
        )
        session.messages.all().delete()
        if session.operation_id:
            operations.finish(operation_id=session.operation_id, error=error)
        audit.record(
            action=f"{session.kind}.failed",
            actor=actor,
            subject=str(session.share_id),
            data={
                "session": str(session.id),
                "error": error.err_type,
                "message": error.message,
                **(record_of(blame) if blame else {}),
            },
        )
    if blame and blame.evidence:
        hand_over(session, blame.evidence)
    asked = not isinstance(error, RoomRefused)
    # Who was told to repeat the call has not left the room.
    if not goes_on and (asked or error.retry_after is None):
        leave(session, refused=error.err_type if asked else None)
    return True


def leave(session: ProtocolSession, *, refused: str | None = None) -> None:
    """Tell the relay that this party needs the room no more; a hint that may be lost."""
    client, party = relay(session.relay), bytes(session.share.identity.public).hex()
    connection.close()
    try:
        if refused:
            client.refuse(session.room, party=party, err_type=refused)
        client.done(session.room, party=party)
    except (RelayRefused, RelayUnavailable):
        log.info("relay_not_told", session=str(session.id))


def _signer_lost(session: ProtocolSession) -> None:
    try:
        held = Lease(session.id, session.fence)
        session_fail(session_id=session.id, error=signer_lost(), actor="system", lease=held)
    except LeaseLost:
        log.info("session_ended_meanwhile", session=str(session.id))


def sweep() -> int:
    """Take up what nobody works on: overdue, parked past its time, left by a dead worker. Returns how many.

    By the database's clock: this process' own may have jumped.
    """
    found = operations.expire() + unbegun.end() + witness.compare()
    for session in ProtocolSession.objects.filter(state__in=UNSTARTED, lease_until=None, deadline__lt=Now())[:500]:
        session_fail(session_id=session.id, error=absent(session), actor="system")
        found += 1
    begun = ProtocolSession.objects.filter(state__in=(State.READY, State.RUNNING, State.SETTLING))
    stale = Q(lease_until__lt=Now()) | Q(lease_until=None, poll_at__lt=Now()) | Q(lease_until=None, woken=True)
    for session in begun.filter(stale)[:500]:
        if session.state == State.RUNNING and not kind_of(session).durable:
            _signer_lost(session)
        else:
            wake(session)
        found += 1
    waiting = ProtocolSession.objects.filter(state__in=(State.JOINING, State.WAITING), poll_at__lt=Now())
    for session in waiting.select_related("share__identity")[:20]:
        try:
            room_news(session, join_again(session))
        except ApiError as error:
            log.info("room_not_asked", session=str(session.id))
            if session.state == State.JOINING and error.err_type != "not_ready":  # it never had a place there
                session_fail(session_id=session.id, error=error, actor="system")
        pause = max(settings.VERTEX_SWEEP * 5, (clock.now() - session.created_at).total_seconds() / 10)
        ProtocolSession.objects.filter(id=session.id).update(poll_at=Now() + timedelta(seconds=pause))
        found += 1
    return found
