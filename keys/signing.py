"""Signing: the request, and what a worker does with the session. It is never replayed and never retried."""

import hashlib
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction
from django.utils import timezone

from audit import services as audit
from keys import operations
from keys.actions import require
from keys.keystore import KeystoreUnavailable, keystore
from keys.models import ApiUser, KeyShare, Operation, PairState, ProtocolSession
from keys.relays import resolve
from keys.selectors import key_of
from keys.sessions.kinds import SessionKind
from keys.sessions.lease import Lease
from keys.sessions.services import leave, session_open
from keys.shares import identity_open, pairs_open, share_open
from mpc.errors import Abort, Blame, CheckFailed
from mpc.frost.signing import FrostRequest, frost_sign
from mpc.protocol import Checkpoint, Protocol, Release, Rng
from mpc.schemes import scheme_of
from mpc.sign import Begin, PairCheck, Signature, SignRequest, sign

log = structlog.get_logger()
State = KeyShare.State
MAY_SIGN = (State.ACTIVE, State.RETIRING)


def sign_request(
    *,
    user: ApiUser,
    operation: Operation,
    key_id: UUID,
    scheme: str,
    path: tuple[int, ...],
    room_uuid: str,
    relay_address: str | None,
    deadline: datetime,
    digest: bytes | None = None,
    message: bytes = b"",
    tweak: bytes | None = None,
) -> None:
    """Join the room of a signature; a worker starts when it is full. Raises ApiError.

    ``digest`` is what ECDSA signs. The other schemes sign ``message`` itself; the event log knows it by its SHA-256.
    """
    key = key_of(user=user, key_id=key_id, scheme=scheme)
    require(key, "sign")
    said = {"digest": (digest or hashlib.sha256(message).digest()).hex(), "path": list(path)}
    asked = {"message": message.hex(), "tweak": tweak.hex() if tweak is not None else None}
    session_open(
        kind="sign",
        share=key,
        operation=operation,
        params=said if digest is not None else said | asked,
        relay_url=resolve(relay_address),
        room=room_uuid,
        min_size=key.threshold or 0,
        max_size=len(key.parties),
        deadline=deadline,
        actor=f"user:{user.id}",
        data=said,
    )


class SignKind(SessionKind):
    name: ClassVar[str] = "sign"
    queue: ClassVar[str] = "sign"
    durable: ClassVar[bool] = False
    run_for: ClassVar[timedelta] = timedelta(seconds=30)

    def protocol(self, session: ProtocolSession, rng: Rng) -> Protocol[Signature | bytes]:
        key = session.share
        require(key, "sign")
        me, share = identity_open(key.identity), share_open(key)
        if scheme_of(key.scheme).pairwise:
            return sign(me, share, pairs_open(key), _ecdsa_request(session), rng)
        return frost_sign(me, share, _frost_request(session), rng)

    def checkpoint(self, session: ProtocolSession, lease: Lease, checkpoint: Checkpoint) -> Any:
        if isinstance(checkpoint, Begin):
            return begin(lease, checkpoint.sid)
        if isinstance(checkpoint, PairCheck):
            return pair_check(session.share, checkpoint)
        if isinstance(checkpoint, Release):
            return release(session, lease, checkpoint.peers)
        return super().checkpoint(session, lease, checkpoint)

    def blamed(self, session: ProtocolSession, blame: Blame) -> None:
        if not blame.ban:
            return
        for culprit in sorted(blame.culprits):
            with transaction.atomic():
                rows = PairState.objects.select_for_update().filter(share=session.share_id, banned_at=None)
                if (row := rows.filter(peer=culprit).first()) is not None:
                    ban(row, reason=blame.reason)

    def finish(self, session: ProtocolSession, lease: Lease, result: Signature | bytes) -> None:
        answer = _answer(result)
        with transaction.atomic():
            ended = {"state": ProtocolSession.State.DONE, "finished_at": timezone.now(), "lease_until": None}
            lease.update(**ended, params=_without_message(session))
            if session.operation_id:
                operations.finish(operation_id=session.operation_id, result=answer)
            audit.record(
                action="sign.done",
                actor="system",
                subject=str(session.share_id),
                data={"session": str(session.id), "digest": session.params["digest"]},
            )
        leave(session)

    def failed(self, session: ProtocolSession) -> bool:
        ProtocolSession.objects.filter(id=session.id).update(params=_without_message(session))
        return False


def _without_message(session: ProtocolSession) -> dict[str, Any]:
    """A session's parameters once it has ended: the message is the caller's, its digest says which one it was."""
    return {name: value for name, value in session.params.items() if name != "message"}


def _ecdsa_request(session: ProtocolSession) -> SignRequest:
    return SignRequest(
        room=session.room,
        size=session.room_size or 0,
        digest=bytes.fromhex(session.params["digest"]),
        path=tuple(session.params["path"]),
    )


def _frost_request(session: ProtocolSession) -> FrostRequest:
    tweak = session.params["tweak"]
    return FrostRequest(
        room=session.room,
        size=session.room_size or 0,
        message=bytes.fromhex(session.params["message"]),
        path=tuple(session.params["path"]),
        tweak=bytes.fromhex(tweak) if tweak is not None else None,
    )


def _answer(result: Signature | bytes) -> dict[str, Any]:
    """As the routes give it."""
    if isinstance(result, bytes):
        return {"signature": result.hex()}
    return {"r": f"{result.r:064x}", "s": f"{result.s:064x}", "v": result.v, "der": result.der.hex()}


def begin(lease: Lease, sid: bytes) -> None:
    """Remember what this share signs under; raises Abort where it was used before (cryptography.md, section 2)."""
    try:
        with transaction.atomic():
            lease.update(sid=sid)
    except IntegrityError as error:
        raise Abort("this share was used under this sid before") from error


def pair_check(key: KeyShare, check: PairCheck) -> Any:
    """The critical section of the extension check (cryptography.md, section 5): one at a time per pair, verdict durable
    before anything computed from it leaves, a failure bans the counterparty."""
    with transaction.atomic():
        pairs = PairState.objects.select_for_update().filter(share=key, peer=check.peer)
        row = pairs.defer("sealed").first()
        if row is None or banned(row):
            raise Abort("this pair is banned: an operator must decide, then refresh")
        try:
            return check.verify()
        except CheckFailed as failure:
            ban(row, reason=failure.check)
            verdict = failure
    raise Blame({check.peer}, f"round 1: the {verdict.check} check failed", ban=True) from verdict


def banned(row: PairState) -> bool:
    """By the keystore's word too: it survives a restore, and a process that died between its ban and the row's. The
    check of a session that had opened the pair before would be another guess."""
    return row.banned_at is not None or row.data_key is None or not keystore().keys.exists(row.data_key)


def ban(row: PairState, *, reason: str) -> None:
    """Ban a counterparty: destroy the pair's key in the keystore (a restore doesn't lift it), then say so. The caller
    holds the row's lock.

    A keystore that doesn't answer does not spare the culprit: the ban is recorded, `bans_finish` destroys the key.
    """
    try:
        if row.data_key:
            keystore().keys.destroy(row.data_key)
        row.data_key = None
    except KeystoreUnavailable:
        log.exception("key_of_banned_pair_left", share=str(row.share_id))
    row.sealed, row.banned_at = None, timezone.now()
    row.save(update_fields=["sealed", "data_key", "banned_at"])
    audit.record(
        action="pair.banned",
        actor="system",
        subject=str(row.share_id),
        data={"peer": bytes(row.peer).hex(), "check": reason},
    )


def bans_finish() -> None:
    """Destroy the keys of banned pairs that a keystore did not destroy at once. Idempotent."""
    for row in PairState.objects.filter(banned_at__isnull=False, data_key__isnull=False):
        keystore().keys.destroy(str(row.data_key))
        PairState.objects.filter(id=row.id).update(data_key=None)


def release(session: ProtocolSession, lease: Lease, peers: Collection[bytes] = ()) -> None:
    """Before a signature share leaves: the share still signs and no signer is banned, recorded under the row's lock."""
    with transaction.atomic():
        key = KeyShare.objects.select_for_update(of=("self",), no_key=True).get(id=session.share_id)
        require(key, "sign")
        if any(banned(row) for row in key.pairs.filter(peer__in=list(peers)).defer("sealed")):
            raise Abort("a signer was banned by another session meanwhile")
        lease.update(round=4)
        audit.record(
            action="sign.released",
            actor="system",
            subject=str(key.id),
            data={"session": str(session.id), "digest": session.params["digest"]},
        )
