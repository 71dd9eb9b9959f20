"""Key generation: the request, and what a worker does with the session.

The key is `quarantined` once the share is stored and `active` once `STORED` of all n over one digest are at hand.
"""

from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from audit import services as audit
from keys import operations, receipts
from keys.actions import require
from keys.keystore import keystore
from keys.models import ApiUser, KeyShare, Operation, ProtocolSession
from keys.relays import resolve
from keys.selectors import key_of
from keys.sessions.kinds import SessionKind
from keys.sessions.lease import Lease
from keys.sessions.services import in_flight, session_open
from keys.shares import ShareUnusable, identity_open, share_keep, share_open, share_row_from_journal
from keys.stored import keygen_statement, keygen_stored, of_keygen, stored_parties
from mpc.errors import Abort
from mpc.identity import decode_keygen_id
from mpc.keygen import KeygenConfig, KeygenResult, keygen, verify_preimage
from mpc.protocol import Protocol, Rng
from vertex.errors import ApiError

State = KeyShare.State


def party_list(texts: list[str], *, own: bytes | None) -> list[bytes]:
    """The identities of an id list, with the caller's own whether it was named or not, sorted."""
    try:
        parties = [decode_keygen_id(text) for text in texts]
    except ValueError as error:
        raise ApiError("bad_request_params", f"keygen ids: {error}") from error
    if len(set(parties)) != len(parties):
        raise ApiError("bad_request_params", "a keygen id is listed twice")
    return sorted({*parties} if own is None else {*parties, own})


def keygen_request(**asked: Any) -> None:
    """Join the room for a key generation; a worker starts when it is full. Takes what `generation_open` takes."""
    generation_open(kind="keygen", more={}, **asked)


def generation_open(
    *,
    kind: str,
    more: dict[str, Any],
    user: ApiUser,
    operation: Operation,
    key_id: UUID,
    scheme: str,
    num_parties: int,
    threshold: int,
    others: list[str],
    room_uuid: str,
    relay_address: str | None,
    deadline: datetime,
) -> None:
    """Join the room of a protocol that makes a key's first shares. ``more``: further parameters of the session. Raises
    ApiError."""
    key = key_of(user=user, key_id=key_id, scheme=scheme)
    require(key, "keygen")
    own = bytes(key.identity.public)
    parties = party_list(others, own=own)
    if not 2 <= threshold <= num_parties <= settings.VERTEX_MAX_PARTIES:
        limit = settings.VERTEX_MAX_PARTIES
        raise ApiError("bad_n_and_t_params", f"2 <= threshold <= num_parties <= {limit} does not hold")
    if len(parties) != num_parties:
        raise ApiError("bad_request_params", f"{num_parties} parties need {num_parties - 1} other keygen ids")

    def begin(session: ProtocolSession) -> None:
        locked = KeyShare.objects.select_for_update().get(id=key.id)
        require(locked, "keygen")
        if in_flight(locked, besides=session):
            raise ApiError("already_performed_keygen", "a protocol that makes a share for this key is under way")

    session_open(
        kind=kind,
        share=key,
        operation=operation,
        params={"threshold": threshold, "parties": [party.hex() for party in parties], **more},
        relay_url=resolve(relay_address),
        room=room_uuid,
        min_size=num_parties,
        max_size=num_parties,
        deadline=deadline,
        actor=f"user:{user.id}",
        data={"threshold": threshold, "parties": num_parties},
        begin=begin,
    )


class KeygenKind(SessionKind):
    name: ClassVar[str] = "keygen"
    queue: ClassVar[str] = "protocol"
    durable: ClassVar[bool] = True
    run_for: ClassVar[timedelta] = timedelta(days=1)

    def protocol(self, session: ProtocolSession, rng: Rng) -> Protocol[KeygenResult]:
        config = KeygenConfig(
            room=session.room,
            scheme=session.share.scheme,
            t=session.params["threshold"],
            identities=tuple(bytes.fromhex(party) for party in session.params["parties"]),
        )
        return keygen(identity_open(session.share.identity), config, rng)

    def finish(self, session: ProtocolSession, lease: Lease, result: KeygenResult) -> None:
        try:
            stored = self._stored(session.share, lease, result)
        except ShareUnusable as error:
            raise Abort(str(error)) from error
        with transaction.atomic():
            receipts.keep_statement(subject=result.sid, digest=result.digest, preimage=result.preimage)
            receipts.keep(stored, receipts.parse(stored))
            lease.update(state=ProtocolSession.State.SETTLING, sid=result.sid)

    def _stored(self, key: KeyShare, lease: Lease, result: KeygenResult) -> bytes:
        """Seal the share, then say so: the `STORED` of this party. Raises LeaseLost, ShareUnusable."""
        lease.extend()
        extra = {"sid": result.sid.hex(), "preimage": result.preimage.hex()}
        record = share_keep(key=key, share=result.share, pairs=result.pairs, digest=result.digest, extra=extra)
        with transaction.atomic():
            key, changed = share_row_from_journal(record)
            if changed:
                audit.record(
                    action="share.quarantined",
                    actor="system",
                    subject=str(key.id),
                    data={"gid": result.gid.hex(), "digest": result.digest.hex()},
                )
        return keygen_stored(
            identity=identity_open(key.identity), share=share_open(key), sid=result.sid, digest=result.digest
        )

    def takes(self, receipt: receipts.Receipt) -> bool:
        return of_keygen(receipt)

    def advance(self, session: ProtocolSession) -> bool:
        return keygen_advance(key=session.share, sid=bytes(session.sid or b""), operation_id=session.operation_id)


def keygen_advance(*, key: KeyShare, sid: bytes, operation_id: UUID | None) -> bool:
    """Activate a key whose share is stored everywhere; True once it is active."""
    statement = keygen_statement(party=bytes(key.identity.public), sid=sid)
    if statement is None:
        return False
    facts = verify_preimage(bytes(statement.preimage))
    public_shares = dict(zip(facts.identities, facts.public_shares, strict=True))
    stored = stored_parties(subject=sid, scheme=facts.scheme, digest=facts.digest, public_shares=public_shares)
    if stored != set(facts.identities):
        return False
    _journal_complete(key, sid)
    with transaction.atomic():
        rows = KeyShare.objects.filter(id=key.id, state=State.QUARANTINED).update(
            state=State.ACTIVE, activated_at=timezone.now()
        )
        if rows:
            result: dict[str, Any] = {}
            if operation_id:
                operations.finish(operation_id=operation_id, result=result)
            audit.record(
                action="share.active",
                actor="system",
                subject=str(key.id),
                data={"gid": facts.gid.hex(), "public_key": facts.public_key.hex()},
            )
    return True


def journal_complete_name(key: KeyShare, sid: bytes) -> str:
    """Journal entry of a finished keygen: `STORED` of all parties (a list of encoded receipts)."""
    return f"keygen/{bytes(key.identity.public).hex()}/{sid.hex()}"


def _journal_complete(key: KeyShare, sid: bytes) -> None:
    """Before the key is active: a restored database then needs nobody to know again that all have stored."""
    name, journal = journal_complete_name(key, sid), keystore().journal
    if journal.read(name) is None:
        journal.replace(name, msgspec.msgpack.encode([encoded for encoded, _ in receipts.held(sid)]))
