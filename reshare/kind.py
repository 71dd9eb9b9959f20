"""The protocol session of a reshare: what its worker makes durable between the rounds, and what follows it."""

from datetime import timedelta
from typing import Any, ClassVar, cast

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from audit import services as audit
from keys import bans, clock, operations, receipts
from keys.models import KeyShare, ProtocolSession
from keys.sessions.kinds import SessionKind
from keys.sessions.lease import Lease
from keys.shares import identity_open, share_open
from mpc.errors import Abort, Blame, ProtocolError
from mpc.identity import encode_keygen_id
from mpc.protocol import Checkpoint, Protocol, Rng
from mpc.quorums import Role as QuorumRole
from mpc.reshare import HelloComplete, Promises, ReshareConfig, ReshareResult, reshare, rid_of
from reshare import elsewhere, notices, statements
from reshare.executor import advance
from reshare.hellos import highest_k, known_receipts
from reshare.models import Reshare
from reshare.old_quorums import old_quorum_of
from vertex.errors import ApiError

Role, Run, State = Reshare.Role, Reshare.Run, Reshare.State


class ReshareKind(SessionKind):
    name: ClassVar[str] = "reshare"
    queue: ClassVar[str] = "protocol"
    durable: ClassVar[bool] = True
    run_for: ClassVar[timedelta] = timedelta(seconds=settings.VERTEX_STORE_BY)
    lingers: ClassVar[timedelta] = timedelta(days=30)

    def protocol(self, session: ProtocolSession, rng: Rng) -> Protocol[ReshareResult]:
        row = session.reshare
        identity, old = row.identity, row.old_share
        may_deal = old is not None and old.state in (KeyShare.State.ACTIVE, KeyShare.State.RETIRING)
        known = old_quorum_of(old) if old is not None and not may_deal else None
        if old is not None and not may_deal and known is None:
            raise Abort(f"the old share of this party is {old.state}, and nothing is left that tells of its quorum")
        expected = session.params.get("expected_pubkey")
        config = ReshareConfig(
            room=session.room,
            size=session.room_size or 0,
            scheme=row.scheme,
            new_identities=tuple(bytes.fromhex(party) for party in session.params["parties"]),
            new_t=row.new_threshold,
            store_by=session.params["store_by"],
            vote_by=session.params["vote_by"],
            d=session.params["deletions"],
            role=cast("QuorumRole", row.role),
            deals=may_deal,
            highest_k=session.params["highest_k"],
            receipts=tuple(bytes.fromhex(each) for each in session.params["receipts"]),
            expected_pubkey=bytes.fromhex(expected) if expected else None,
            old_threshold=session.params.get("old_threshold"),
            old_quorum=known,
        )
        return reshare(identity_open(identity), config, share_open(old) if old is not None and may_deal else None, rng)

    def begin(self, session: ProtocolSession) -> None:
        """What the hello says is fixed before the first one leaves, so that a replay says the same."""
        row = session.reshare
        if row.old_share is not None and row.old_share.suspended:  # it was restored: nobody says who is banned
            raise ApiError("reshare_conflict", "this share is suspended until an operator decides")
        _no_banned_party(row)
        session.params |= {
            "highest_k": highest_k(row),
            "receipts": [each.hex() for each in known_receipts(row)],
            "store_by": settings.VERTEX_STORE_BY,
            "vote_by": settings.VERTEX_VOTE_BY,
        }

    def checkpoint(self, session: ProtocolSession, lease: Lease, checkpoint: Checkpoint) -> Any:
        if isinstance(checkpoint, HelloComplete):
            return self._begun(session, lease, checkpoint)
        if isinstance(checkpoint, Promises):
            return self._promised(session, checkpoint)
        return super().checkpoint(session, lease, checkpoint)

    def _begun(self, session: ProtocolSession, lease: Lease, hello: HelloComplete) -> bytes:
        """The attempt has a rid: write it down, then promise; returns this dealer's `PROMISED`, or nothing."""
        row = session.reshare
        self._written(session, lease, hello, run=Run.HELLO)
        row.refresh_from_db()
        me = bytes(row.identity.public)
        _no_banned_party(row)
        advance(me, hello.gid)
        if me not in hello.dealers:
            return b""
        for encoded, receipt in receipts.held(hello.rid):
            if receipt.kind == receipts.PROMISED and receipt.party == me and receipt.body.get("mode") == "dealing":
                return encoded
        raise Abort("this party may not deal: it has promised a later attempt, or another one of this share is open")

    def _written(self, session: ProtocolSession, lease: Lease, hello: HelloComplete, *, run: Reshare.Run) -> None:
        """Write down the attempt that complete hellos describe, and the receipts that they brought."""
        row = session.reshare
        with transaction.atomic():
            lease.update(sid=hello.rid)
            rows = Reshare.objects.filter(id=row.id, rid=None).update(
                rid=hello.rid,
                store_by=hello.store_by,
                vote_by=hello.vote_by,
                began_at=clock.now(),
                hellos=hello.hellos,
                run=run,
                state=State.RUNNING,
                **statements.configuration(hello),
            )
            for encoded in {each for known in hello.receipts.values() for each in known}:
                _keep_from_hello(encoded)
            if rows:
                row.rid = hello.rid
                notices.state_changed(row, State.RUNNING)
                audit.record(
                    action="reshare.began",
                    actor="system",
                    subject=str(row.id),
                    data={"rid": hello.rid.hex(), "k": hello.k, "gid": hello.gid.hex(), "d": hello.d},
                )

    def _promised(self, session: ProtocolSession, promises: Promises) -> None:
        row = session.reshare
        ballot = (bytes(row.rid or b""), bytes(row.gid or b""), row.k, "dealing")
        with transaction.atomic():
            for party, encoded in promises.receipts.items():
                try:
                    receipt = receipts.parse(encoded)
                except receipts.BadReceipt as error:
                    raise Blame({party}, "round 1: a dealer's promise is not a receipt") from error
                promised = (receipt.subject, receipt.gid, receipt.k, receipt.body.get("mode"))
                if receipt.party != party or receipt.kind != receipts.PROMISED or promised != ballot:
                    raise Blame({party}, "round 1: a dealer's promise is about something else")
                receipts.keep(encoded, receipt)

    def finish(self, session: ProtocolSession, lease: Lease, result: ReshareResult) -> None:
        row = session.reshare
        with transaction.atomic():
            same = Reshare.objects.filter(id=row.id).filter(Q(digest=None) | Q(digest=result.digest))
            if not same.update(digest=result.digest, new_gid=result.gid_new, run=Run.THROUGH):
                raise Abort("another digest of this attempt is known here: somebody signed two")
            receipts.keep_statement(subject=result.rid, digest=result.digest, preimage=result.preimage)
            lease.update(round=6)
        advance(bytes(row.identity.public), bytes(row.gid or b""), material={result.rid: result})
        row.refresh_from_db()
        answer = row.old_share_id if row.role == Role.DEPARTING else row.new_share_id
        with transaction.atomic():
            lease.update(state=ProtocolSession.State.SETTLING)
            if session.operation_id:
                operations.finish(operation_id=session.operation_id, result={"key_id": str(answer)})

    def failed(self, session: ProtocolSession) -> bool:
        row = Reshare.objects.filter(session=session).first()
        if row is None:
            return False
        if row.rid is None:
            Reshare.objects.filter(id=row.id).update(state=State.FAILED, ended_at=timezone.now())
            notices.state_changed(row, State.FAILED)
            return False
        Reshare.objects.filter(id=row.id).update(run=Run.FAILED)
        return True

    def signers(self, session: ProtocolSession) -> dict[bytes, set[str]]:
        """Of every attempt at this sharing: what one party says about two of them may be what proves that it lies."""
        row = session.reshare
        rows = Reshare.objects.filter(identity_id=row.identity_id, gid=row.gid, rid__isnull=False).order_by(
            "created_at"
        )
        others = [each for each in rows if each.id != row.id]
        return {bytes(each.rid or b""): {*each.old_parties, *each.new_parties} for each in [row, *others]}

    def hints(self, session: ProtocolSession, receipt: receipts.Receipt) -> bool:
        return elsewhere.belongs(receipt, session.reshare) and elsewhere.worth_keeping(receipt)

    def overheard(self, session: ProtocolSession, lease: Lease, receipt: bytes) -> None:
        """`FAILED` of a new party: not all will store, so this attempt can't succeed any more. `ABORTED` with hellos,
        this party's own among them, while it still waits for hellos: it never deals in that attempt (step 1)."""
        try:
            said = receipts.parse(receipt)
        except receipts.BadReceipt:
            return
        row = session.reshare
        row.refresh_from_db()
        if said.kind == receipts.ABORTED and row.rid is None:
            self._ended_elsewhere(session, lease, said)
        if (
            said.kind == receipts.FAILED
            and said.subject == bytes(row.rid or b"")
            and said.party.hex() in row.new_parties
        ):
            raise Abort(f"{encode_keygen_id(said.party)} has failed")

    def _ended_elsewhere(self, session: ProtocolSession, lease: Lease, said: receipts.Receipt) -> None:
        """Recompute the attempt from the hellos that an `ABORTED` carries; this party has not dealt in it."""
        row, hellos = session.reshare, said.body.get("hellos")
        me, old = bytes(row.identity.public), row.old_share
        if old is None or not isinstance(hellos, bytes):
            return
        try:
            attempt = rid_of(hellos)
        except ProtocolError:
            return
        mine = attempt.rid == said.subject and me in attempt.participants and statements.is_of(attempt.old, old)
        if not mine or said.party not in attempt.old_identities:
            return
        self._written(session, lease, attempt, run=Run.FAILED)
        raise Abort(f"{encode_keygen_id(said.party)} has aborted: it saw all hellos, this party did not")

    def heard(self, session: ProtocolSession, statement: bytes) -> bool:
        return statements.learn(session.reshare, statement)

    def advance(self, session: ProtocolSession) -> bool:
        row = session.reshare
        advance(bytes(row.identity.public), bytes(row.gid or b""))
        row.refresh_from_db()
        return row.ended_at is not None


def _no_banned_party(row: Reshare) -> None:
    """Raises the ApiError of a reshare that would make a new pair with a banned counterparty."""
    if row.old_share is not None and row.role != Role.DEPARTING:
        bans.forbid_by_keystore(row.old_share, [bytes.fromhex(party) for party in row.new_parties])


def _keep_from_hello(encoded: bytes) -> None:
    """Receipts in a hello are hints from anybody: bad ones are dropped, and those about attempts unknown here."""
    try:
        receipt = receipts.parse(encoded)
        row = Reshare.objects.filter(rid=receipt.subject).first()
        if row is not None and receipt.party.hex() in {*row.old_parties, *row.new_parties}:
            receipts.keep(encoded, receipt)
    except receipts.BadReceipt:
        return
