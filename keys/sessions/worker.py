"""What a worker does with the session that it has claimed."""

from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from keys import clock
from keys.keystore import KeystoreUnavailable
from keys.models import ProtocolSession
from keys.sessions.carrier import SETTLED, carry
from keys.sessions.driver import Driver, Parked, Refused, TimedOut
from keys.sessions.kinds import SessionKind, kind_of, kinds_of
from keys.sessions.lease import Lease, LeaseLost, claim
from keys.sessions.log import RolledBack
from keys.sessions.records import session_material_destroy
from keys.sessions.services import leave, session_fail, signer_lost
from keys.shares import ShareUnusable
from mpc.errors import Abort, Blame, ProtocolError
from mpc.identity import encode_keygen_id
from relay.client import RelayRefused, RelayUnavailable
from vertex.errors import ApiError
from vertex.requests import caused_by

log = structlog.get_logger()
# What ends a protocol without being a fault of this vertex.
EXPECTED = (ProtocolError, TimedOut, Refused, RolledBack, ShareUnusable, RelayRefused, RelayUnavailable, ApiError)
# Trouble of this host or its keystore that may pass: a session that can be replayed is taken up again, not ended.
PASSING = (OperationalError, InterfaceError, OSError, KeystoreUnavailable)
State = ProtocolSession.State
# Seconds after which a parked session is looked at without news: one that waits for others, one that they may need.
LONGEST, LONGEST_SETTLED = 60.0, 600.0
SETTLE_WAIT = 0.3  # seconds without news before a settling session is parked; an operator's word waits as long


def work(queue: str) -> bool:
    """Claim the next session of a queue and run it as far as it gets; False when there was none."""
    lease = claim(kinds_of(queue))
    if lease is None:
        return False
    try:
        run(lease)
    except LeaseLost:
        log.info("lease_lost", session=str(lease.session_id))
    return True


def run(lease: Lease) -> None:
    """Run a claimed session until it parks or ends. What this vertex has no answer to is tried again later."""
    while True:
        session = ProtocolSession.objects.select_related("share__identity", "operation").get(id=lease.session_id)
        with caused_by(session.operation.request_id if session.operation else ""):
            if _worked_on(session, lease):
                return


def _worked_on(session: ProtocolSession, lease: Lease) -> bool:
    """As far as it gets; False when news came while it was being parked."""
    kind = kind_of(session)
    try:
        if session.state in (State.READY, State.RUNNING):
            _run_protocol(session, kind, lease)
            if not kind.durable:
                return True
            session.refresh_from_db()
        if session.state == State.SETTLING:
            _settle(session, kind, lease)
    except Parked:
        return lease.park(poll_in=_pause(session))
    except LeaseLost:
        raise
    except Exception:
        log.exception("session_interrupted", session=str(session.id), kind=session.kind)
        connection.close()
        lease.give_back(poll_in=_pause(session))
    return True


def _run_protocol(session: ProtocolSession, kind: SessionKind, lease: Lease) -> None:
    """The protocol, to its result or its failure; once there is a result, only a lie found in it ends the session."""
    result = _result(session, kind, lease)
    if session.state != State.RUNNING:
        return
    try:
        kind.finish(session, lease, result)
    except ProtocolError as error:
        session_fail(session_id=session.id, error=api_error(error), actor="system", lease=lease)


def _result(session: ProtocolSession, kind: SessionKind, lease: Lease) -> Any:
    """What the protocol returns; a failed one ends the session, whose state then is no longer `running`."""
    proved: Blame | None = None
    try:
        if session.state == State.READY:
            kind.begin(session)
            lease.update(state=State.RUNNING, params=session.params)
            session.state = State.RUNNING
        elif not kind.durable:
            raise signer_lost()
        return Driver(session, kind, lease).run()
    except (Parked, LeaseLost):
        raise
    except Blame as blame:
        kind.blamed(session, blame)
        failure, proved = api_error(blame), blame
    except EXPECTED as error:
        failure = api_error(error)
    except Exception as error:
        if kind.durable and isinstance(error, PASSING):
            raise
        log.exception("session_crashed", session=str(session.id), kind=session.kind)
        failure = api_error(error)
    session_fail(session_id=session.id, error=failure, actor="system", lease=lease, blame=proved)
    session.state = State.FAILED
    return None


def _settle(session: ProtocolSession, kind: SessionKind, lease: Lease) -> None:
    """Carry receipts and apply them until the outcome needs the room no more."""
    if session.data_key is not None:
        seed_destroy(session, lease)
    while True:
        if kind.advance(session):
            if settled(session, kind, lease):
                return
        elif not _exchanged(session, kind, lease, wait=SETTLE_WAIT):
            raise Parked


def settled(session: ProtocolSession, kind: SessionKind, lease: Lease) -> bool:
    """The outcome is final here: post what is left and say so, and end the session once all others have said the same.
    False where there was news, which may change the outcome.

    Until then it stays parked: what the relay loses may be needed by another, and be held by nobody else.
    """
    if clock.now() < session.created_at + kind.lingers:
        if _exchanged(session, kind, lease, wait=0.0, settled=True):
            return False
        # Not posted: the room had to be put back just now.
        if SETTLED not in session.posted or len(session.settled) + 1 < (session.room_size or 0):
            raise Parked
    lease.update(state=State.DONE, finished_at=timezone.now(), lease_until=None)
    leave(session)
    return True


def _exchanged(
    session: ProtocolSession, kind: SessionKind, lease: Lease, *, wait: float, settled: bool = False
) -> bool:
    """`carry`, tried again later where the relay does not take it; whether anything was posted or is news."""
    try:
        carried = carry(session, lease, wait=wait, settled=settled)
    except (RelayRefused, RelayUnavailable) as error:
        raise Parked from error
    learned = [kind.heard(session, statement) for statement in carried.statements]
    return bool(carried.sent or carried.receipts or any(learned))


def seed_destroy(session: ProtocolSession, lease: Lease) -> None:
    """The protocol's part is over: destroy the session's key and forget its log."""
    session_material_destroy(session)
    lease.update(sealed_seed=None, data_key=None)
    session.messages.all().delete()
    session.sealed_seed = session.data_key = None


def api_error(error: Exception) -> ApiError:
    """What a failed protocol answers: which parties were missing or to blame, and in which round."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, Blame):
        names = ", ".join(sorted(encode_keygen_id(culprit) for culprit in error.culprits))
        return ApiError("executor_result", f"{error.reason}; to blame: {names}")
    if isinstance(error, Abort):
        return ApiError("executor_result", f"aborted, nobody is to blame: {error}")
    if isinstance(error, RelayUnavailable | RelayRefused):
        return ApiError("executor_result", "the relay did not carry the messages of this session")
    if isinstance(error, EXPECTED):
        return ApiError("executor_result", str(error))
    if isinstance(error, KeystoreUnavailable):
        return ApiError("not_ready", "the keystore does not answer; nothing was changed")
    if isinstance(error, PASSING):
        return ApiError(
            "executor_result", "this vertex lost its database or disk meanwhile; repeat the call with a new room"
        )
    return ApiError("internal_problem", "the session ended with an internal problem; nothing was changed")


def _pause(session: ProtocolSession) -> timedelta:
    """How long a parked session is left alone without news: longer as it grows older."""
    age = (clock.now() - session.created_at).total_seconds()
    longest = LONGEST_SETTLED if SETTLED in session.posted else LONGEST
    return timedelta(seconds=min(longest, max(settings.VERTEX_SWEEP, age / 10)))
