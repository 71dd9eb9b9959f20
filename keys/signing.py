"""Signing: the request, and what a worker does with the session. It is never replayed and never retried."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

import structlog
from django.db import IntegrityError, transaction
from django.utils import timezone

from audit import services as audit
from keys import operations
from keys.actions import require
from keys.hashes import digest_of
from keys.keystore import KeystoreUnavailable, keystore
from keys.models import ApiUser, KeyShare, Operation, PairState, ProtocolSession
from keys.policies.asked import plain
from keys.policies.check import policy_check
from keys.relays import resolve
from keys.selectors import key_of
from keys.sessions.kinds import SessionKind
from keys.sessions.lease import Lease
from keys.sessions.services import leave, session_open
from keys.shares import identity_open, pairs_open, share_open
from keys.signed import batch_answer, batch_of, is_batch, request_of, signature_answer, told_of, without_messages
from mpc.batch import batch_sign
from mpc.errors import Abort, Blame, CheckFailed
from mpc.frost.signing import frost_sign
from mpc.protocol import Checkpoint, Protocol, Release, Rng
from mpc.schemes import scheme_of
from mpc.sign import Begin, PairCheck, SignRequest, sign

log = structlog.get_logger()
State = KeyShare.State
MAY_SIGN = (State.ACTIVE, State.RETIRING)


@dataclass(frozen=True)
class Checked:
    """One request that may be signed. ``params``: what a worker signs; ``said``: what the event log says of it."""

    params: dict[str, Any]
    said: dict[str, Any]


def check_request(*, key: KeyShare, fields: dict[str, Any]) -> Checked:
    """Whether this share signs this: what every request passes, alone or in a batch. ``fields`` as validated.

    Raises ApiError. Not inside a transaction: rule servers are asked. ECDSA signs a digest, the other schemes the
    message itself, which the event log knows by its SHA-256.
    """
    path, message = list(fields.get("derivation_path") or ()), fields["msg"]
    hashed = scheme_of(key.scheme).pairwise
    digest = digest_of(message, fields["hash_algo"]) if hashed else hashlib.sha256(message).digest()
    require(key, "sign")
    policy_check(key=key, action="sign", fields=fields)
    said = {"digest": digest.hex(), "path": path}
    asked = {"message": message.hex(), "tweak": plain(fields.get("tweak"))}
    return Checked(said if hashed else said | asked, said)


def sign_request(
    *, user: ApiUser, operation: Operation, scheme: str, fields: dict[str, Any], deadline: datetime
) -> None:
    """Join the room of a signature; a worker starts when it is full. ``fields`` as validated. Raises ApiError."""
    key = key_of(user=user, key_id=fields["key_id"], scheme=scheme)
    checked = check_request(key=key, fields=fields)
    session_open(
        kind="sign",
        share=key,
        operation=operation,
        params=checked.params,
        relay_url=resolve(fields.get("relay_address")),
        room=str(fields["room_uuid"]),
        min_size=key.threshold or 0,
        max_size=len(key.parties),
        deadline=deadline,
        actor=f"user:{user.id}",
        data=checked.said,
    )


class SignKind(SessionKind):
    name: ClassVar[str] = "sign"
    queue: ClassVar[str] = "sign"
    durable: ClassVar[bool] = False
    run_for: ClassVar[timedelta] = timedelta(seconds=30)

    def protocol(self, session: ProtocolSession, rng: Rng) -> Protocol[Any]:
        key = session.share
        require(key, "sign")
        me, share = identity_open(key.identity), share_open(key)
        pairs = pairs_open(key) if scheme_of(key.scheme).pairwise else {}
        if is_batch(session):
            return batch_sign(me, share, pairs, batch_of(session), rng)
        request = request_of(session, session.params)
        if isinstance(request, SignRequest):
            return sign(me, share, pairs, request, rng)
        return frost_sign(me, share, request, rng)

    def checkpoint(self, session: ProtocolSession, lease: Lease, checkpoint: Checkpoint) -> Any:
        if isinstance(checkpoint, Begin):
            return begin(lease, checkpoint.sid)
        if isinstance(checkpoint, PairCheck):
            return pair_check(session.share, checkpoint)
        if isinstance(checkpoint, Release):
            return release(session, lease, checkpoint.peers, checkpoint.items)
        return super().checkpoint(session, lease, checkpoint)

    def blamed(self, session: ProtocolSession, blame: Blame) -> None:
        if not blame.ban:
            return
        for culprit in sorted(blame.culprits):
            with transaction.atomic():
                rows = PairState.objects.select_for_update().filter(share=session.share_id, banned_at=None)
                if (row := rows.filter(peer=culprit).first()) is not None:
                    ban(row, reason=blame.reason)

    def finish(self, session: ProtocolSession, lease: Lease, result: Any) -> None:
        batch = is_batch(session)
        results = list(result) if batch else [result]
        missed = [index for index, each in enumerate(results) if isinstance(each, Abort)]
        signed = [index for index in range(len(results)) if index not in missed]
        with transaction.atomic():
            ended = {"state": ProtocolSession.State.DONE, "finished_at": timezone.now(), "lease_until": None}
            lease.update(**ended, params=without_messages(session))
            if session.operation_id:
                answer = batch_answer(session, results) if batch else signature_answer(result)
                operations.finish(operation_id=session.operation_id, result=answer)
            audit.record_each(
                action="sign.done", actor="system", subject=str(session.share_id), data=told_of(session, signed)
            )
            audit.record_each(
                action="sign.failed", actor="system", subject=str(session.share_id), data=told_of(session, missed)
            )
        leave(session)

    def failed(self, session: ProtocolSession) -> bool:
        ProtocolSession.objects.filter(id=session.id).update(params=without_messages(session))
        return False


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


def release(session: ProtocolSession, lease: Lease, peers: Collection[bytes] = (), items: Sequence[int] = (0,)) -> None:
    """Before a signature share leaves: the share still signs and no signer is banned, recorded under the row's lock.
    Of a batch for all ``items`` at once."""
    with transaction.atomic():
        key = KeyShare.objects.select_for_update(of=("self",), no_key=True).get(id=session.share_id)
        require(key, "sign")
        if any(banned(row) for row in key.pairs.filter(peer__in=list(peers)).defer("sealed")):
            raise Abort("a signer was banned by another session meanwhile")
        lease.update(round=4)
        audit.record_each(action="sign.released", actor="system", subject=str(key.id), data=told_of(session, items))
