"""Does what the commit rule says: look, take the first transition, perform its steps, look again.

The process may die between any two steps: the next look finds what is left to do (`reshare.rule`). One worker at a time
works on a party's sharing; the acceptor record is compared before it is replaced.
"""

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from django.db import connection, transaction
from django.utils import timezone

from audit import services as audit
from keys import receipts, witness
from keys.keystore import keystore
from keys.models import KeyShare, PartyIdentity
from keys.shares import (
    identity_open,
    journal_entry,
    share_erase,
    share_keep,
    share_open,
    share_row_from_journal,
)
from keys.stored import possession
from mpc.reshare import ReshareResult
from reshare import acceptor, certificates, ledger, notices, sharing_orders
from reshare.certificates import Of
from reshare.exclusive import exclusively
from reshare.look import Look, look
from reshare.models import Reshare
from reshare.outcome import reflect
from reshare.rule.steps import NEW_FROM, OLD_FROM, Database, Drop, Erase, Journal, Prove, Seal, Send, Step, Verify
from reshare.rule.table import Move, enabled
from reshare.rule.types import Kind, Ledger, New, Old, Receipt

log = structlog.get_logger()
State = KeyShare.State
Material = Mapping[bytes, ReshareResult]  # by rid: what a protocol that just ended has made


# An ABORTED with the hellos of a big room would be no receipt any more; it then goes without.
MAX_HELLOS = receipts.MAX_BYTES // 2


class ErasureFailed(Exception):
    """A check of an erased share does not hold: it is not attested, and an operator must look."""


def advance(identity: bytes, gid: bytes, *, material: Material | None = None) -> Look:
    """Everything that may happen by itself, or was ordered, for one party and sharing; returns the last look."""
    with exclusively(identity, gid):
        done: set[Any] = set()
        seen = look(identity, gid)
        accepted = seen.view.acceptor.accepted
        if accepted is not None and accepted.rid not in seen.view.facts.committed:
            certificates.restore(identity, gid)
        while True:
            seen = look(identity, gid)
            move = next((m for m in enabled(seen.view) if _key(m) not in done and _can(m, seen, material or {})), None)
            if move is None:
                break
            done.add(_key(move))
            try:
                Performance(seen, move, material or {}).run()
            except acceptor.Stale:
                log.info("acceptor_record_changed", gid=gid.hex())
        reflect(seen)
        return seen


def _key(move: Move) -> tuple[str, bytes, Any, Any]:
    """What a look must change before the same move makes sense again."""
    return move.transition.name, move.attempt.rid if move.attempt else b"", move.ballot, move.steps


def _can(move: Move, seen: Look, material: Material) -> bool:
    """Storing needs a share at hand: from the protocol that just ended, or sealed before."""
    if move.transition.name != "store" or move.attempt is None:
        return True
    return move.attempt.rid in material or move.attempt.rid in seen.view.new_keys


class Performance:
    """The steps of one move, each durable when its method returns."""

    def __init__(self, seen: Look, move: Move, material: Material) -> None:
        self._seen, self._move, self._material = seen, move, material
        self._body: dict[str, Any] = {}
        self._checks: dict[str, bool] = {}

    def run(self) -> None:
        """Perform every step in order."""
        does: dict[type, Callable[[Any], None]] = {
            Journal: self._journal,
            Database: self._database,
            Seal: self._seal,
            Prove: self._prove,
            Erase: self._erase,
            Verify: self._verify,
            Drop: self._drop,
            Send: self._send,
        }
        step: Step
        for step in self._move.steps:
            does[type(step)](step)

    @property
    def _rid(self) -> bytes:
        return self._move.attempt.rid if self._move.attempt else b""

    def _row(self, rid: bytes) -> Reshare:
        return self._seen.rows[rid]

    def _event(self, what: str, **data: Any) -> None:
        audit.record(
            action=f"reshare.{what}",
            actor="system",
            subject=str(self._row(self._rid).id) if self._rid else self._seen.view.gid.hex(),
            data={"gid": self._seen.view.gid.hex(), "rid": self._rid.hex(), **data},
        )

    def _journal(self, step: Journal) -> None:
        view = self._seen.view
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")  # the lock is held as long as its connection lives
        if self._move.transition.name == "adopt":
            sharing_orders.restored_again(view.me, view.gid)
        accepted = step.record.accepted
        if accepted is not None and accepted != view.acceptor.accepted:
            certificates.write(Of.COMMIT, identity=view.me, gid=view.gid, rid=accepted.rid)
        acceptor.replace(view.me, view.gid, expected=view.acceptor, record=step.record)

    def _database(self, step: Database) -> None:
        changed: dict[str, Any] = {}
        with transaction.atomic():
            if step.old is not None and self._set_old(step.old):
                changed["old_share"] = step.old
                if self._move.transition.name == "give up":
                    changed["statement"] = self._given_up()
            if step.new is not None and self._set_new(*step.new):
                changed["new_share"] = step.new[1]
            if step.ledger is not None and self._set_ledger(*step.ledger):
                changed["ledger"] = step.ledger[1]
            if changed:
                self._event(self._move.transition.name.replace(" ", "_"), **changed)

    def _given_up(self) -> str:
        """What outlives a share that its user deleted: its party's signature (hex) that it has none of this sharing."""
        me = identity_open(PartyIdentity.objects.get(public=self._seen.view.me))
        return me.sign("given-up", self._seen.view.gid).hex()

    def _set_old(self, state: Old) -> bool:
        share = self._seen.old_share
        if share is None:
            return False
        fields: dict[str, Any] = {"state": state}
        if state == Old.ERASED:
            fields |= {"sealed_share": None, "data_key": None, "erased_at": timezone.now()}
            fields["erasure"] = self._checks or share.erasure
        elif state == Old.SUPERSEDED:
            KeyShare.objects.select_for_update().get(id=share.id)  # waits for a signature share that is leaving
        return bool(KeyShare.objects.filter(id=share.id, state__in=OLD_FROM[state]).update(**fields))

    def _set_new(self, rid: bytes, state: New) -> bool:
        row = self._row(rid)
        if state == New.QUARANTINED:
            return self._quarantine(row)
        if row.new_share is None:
            return False
        fields: dict[str, Any] = {"state": state}
        if state == New.ACTIVE:
            view = self._seen.view
            certificates.write(Of.COMPLETION, identity=view.me, gid=view.gid, rid=rid)
            fields["activated_at"] = timezone.now()
        elif state == New.DISCARDED:
            fields |= {"sealed_share": None, "data_key": None, "erased_at": timezone.now()}
        return bool(KeyShare.objects.filter(id=row.new_share.id, state__in=NEW_FROM[state]).update(**fields))

    def _quarantine(self, row: Reshare) -> bool:
        key = row.new_share or _new_share(row)
        key.gid = row.new_gid
        entry = journal_entry(key)
        if entry is None or key.state != State.CREATED:
            return False
        row.new_share, changed = share_row_from_journal(entry)
        Reshare.objects.filter(id=row.id).update(new_share=row.new_share)
        return changed

    def _set_ledger(self, rid: bytes, state: Ledger) -> bool:
        row = self._row(rid)
        if row.old_share is None:
            return False
        deletion = ledger.open_row(row, self._seen.view.me)
        # Erasing may be due before every STORED has come; nobody has confirmed it then, and nothing says so.
        if state == Ledger.PENDING or (state == Ledger.CONFIRMED and deletion.ready_at is None):
            return False
        if not audit.deletion_mark(attempt=rid.hex(), party=self._seen.view.me, state=state):
            return False
        notices.deletion_changed(row, deletion, state)
        return True

    def _seal(self, step: Seal) -> None:
        row = self._row(step.rid)
        result = self._material.get(step.rid)
        if result is None or result.share is None:
            return  # sealed before
        key = row.new_share or _new_share(row)
        if row.role == Reshare.Role.JOINING:
            key.generation = max(key.generation, 2)  # not the first one; a joiner is not told which
        share_keep(
            key=key,
            share=result.share,
            pairs=result.pairs,
            digest=result.digest,
            extra={"reshare": str(row.id), "rid": step.rid.hex(), "preimage": result.preimage.hex()},
        )

    def _prove(self, step: Prove) -> None:
        row = self._row(step.rid)
        if row.new_share is None or row.digest is None:
            raise RuntimeError("a share is proved after it was stored")
        key = KeyShare.objects.select_related("identity").get(id=row.new_share.id)
        self._body = {"proof": possession(share_open(key), bytes(row.digest))}

    def _erase(self, step: Erase) -> None:
        if self._seen.old_share is not None:
            self._checks = share_erase(self._seen.old_share)

    def _verify(self, step: Verify) -> None:
        failed = sorted(name for name, holds in self._checks.items() if not holds)
        # A session's key is destroyed when its part is over; `DELETED` waits for it, the erase does not.
        if [name for name in failed if name != "no_session_key_left"]:
            raise ErasureFailed(f"share of {step.gid.hex()}: {', '.join(failed)}")

    def _drop(self, step: Drop) -> None:
        row = self._row(step.rid)
        share = row.new_share or _new_share(row)  # sealed, and the process died before its row was made
        share.gid = share.gid or row.new_gid
        if share.gid is not None:
            checks = share_erase(share)
            if not (checks["keys_destroyed"] and checks["ciphertext_does_not_open"] and checks["journal_copy_gone"]):
                raise ErasureFailed(f"new share {share.id}: {checks}")

    def _send(self, step: Send) -> None:
        fact = step.receipt
        if fact in self._seen.view.receipts:
            return
        row = self._seen.rows.get(fact.rid)  # none where a restored database has lost it
        encoded = receipts.issue(
            identity_open(PartyIdentity.objects.get(public=self._seen.view.me)),
            kind=str(fact.kind),
            subject=fact.rid,
            gid=self._seen.view.gid,
            k=fact.k,
            digest=fact.digest or b"",
            body=self._body_of(fact, row) | {witness.FIELD: witness.share()},
        )
        with transaction.atomic():
            if receipts.keep(encoded, receipts.parse(encoded)):
                self._event(str(fact.kind).lower(), k=fact.k)

    def _body_of(self, fact: Receipt, row: Reshare | None) -> dict[str, Any]:
        match fact.kind:
            case Kind.PROMISED:
                reported = [fact.reported.k, fact.reported.rid] if fact.reported is not None else None
                return {"mode": str(fact.mode), "accepted": reported}
            case Kind.STORED:
                if not self._body:
                    self._prove(Prove(fact.rid))
                return self._body
            case Kind.ABORTED if row is not None and row.digest is None and row.hellos is not None:
                return {"hellos": bytes(row.hellos)} if len(row.hellos) <= MAX_HELLOS else {}
            case Kind.DELETED if row is not None:
                share = self._seen.old_share
                checks, store = share.erasure if share else {}, keystore()
                return ledger.attestation(row, share, checks, kind=store.kind, method=store.method)
        return {}


def _new_share(row: Reshare) -> KeyShare:
    """The row to be of a remaining party's new share; it inherits user, policy and identity from the old one."""
    old = row.old_share
    return KeyShare(
        id=row.new_key_id,
        user_id=row.user_id,
        identity=row.identity,
        policy_id=old.policy_id if old else None,
        predecessor=old,
        generation=old.generation + 1 if old else 1,
        scheme=row.scheme,
    )
