"""Attempts without their protocols: shares and results come from the simulator, once for all tests, and are put where a
protocol would leave them. All parties are on one vertex and hold all receipts.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

from audit.models import Event
from keys import clock, receipts
from keys.keystore import keystore
from keys.models import ApiUser, KeyShare, PartyIdentity, ProtocolSession, Receipt
from keys.shares import _aad, share_keep, share_key_exists, share_row_from_journal
from mpc.identity import Identity
from mpc.reshare import HelloComplete, ReshareResult
from reshare import orders
from reshare.executor import advance
from reshare.look import Look, look
from reshare.models import Reshare
from tests.mpc.simulator import Network, identity, key, reshare_parties

OLD = "abc"


@cache
def run_of(new: str, new_t: int, number: int = 0) -> tuple[HelloComplete, dict[bytes, ReshareResult]]:
    """A reshare of the 2-of-3 key of a, b and c in which all take part; another `number` is another attempt."""
    network = Network()
    names = "".join(sorted({*OLD, *new}))
    special = {name: {"highest_k": number} for name in OLD}
    outcomes = network.run(reshare_parties(key(OLD, 2), names, new, new_t, special=special))
    assert all(isinstance(outcome, ReshareResult) for outcome in outcomes.values()), outcomes
    hello = next(c for c in network.checkpoints[identity("a").public] if isinstance(c, HelloComplete))
    return hello, outcomes


def public(name: str) -> bytes:
    return identity(name).public


def seal_identity(one: Identity) -> PartyIdentity:
    ref = keystore().keys.make()
    sealed = keystore().keys.wrap(ref, one.reveal(), _aad("identity/1", one.public))
    return PartyIdentity.objects.create(public=one.public, sealed_secret=sealed, data_key=ref)


@dataclass
class Attempt:
    """One attempt as its parties see it; the 2-of-3 key of a, b and c is there before the first one."""

    new: str = "abc"
    new_t: int = 2
    number: int = 0

    @property
    def everybody(self) -> str:
        return "".join(sorted({*OLD, *self.new}))

    @property
    def hello(self) -> HelloComplete:
        return run_of(self.new, self.new_t, self.number)[0]

    @property
    def rid(self) -> bytes:
        return self.hello.rid

    def result(self, name: str) -> ReshareResult:
        return run_of(self.new, self.new_t, self.number)[1][public(name)]

    def row(self, name: str) -> Reshare:
        return Reshare.objects.select_related("old_share", "new_share__identity", "identity", "session", "user").get(
            identity__public=public(name), rid=self.rid
        )

    def begin(self, names: str | None = None) -> None:
        """The hellos are complete: rows, and promises of who holds a share."""
        for name in names or self.everybody:
            row_identity = PartyIdentity.objects.filter(public=public(name)).first() or seal_identity(identity(name))
            user, _ = ApiUser.objects.get_or_create(name=name)
            old = KeyShare.objects.filter(identity=row_identity, gid=self.hello.gid).first()
            joins = None
            if old is None:
                joins = KeyShare.objects.create(user=user, identity=row_identity, scheme="ecdsa")
            role = "joining" if old is None else "existing" if name in self.new else "departing"
            Reshare.objects.create(
                user=user,
                identity=row_identity,
                role=role,
                state="running",
                run="hello",
                old_share=old,
                new_share=joins,
                scheme="ecdsa",
                rid=self.hello.rid,
                k=self.hello.k,
                gid=self.hello.gid,
                public_key=self.hello.public_key,
                old_parties=[party.hex() for party in self.hello.old_identities],
                old_threshold=self.hello.old_t,
                new_parties=[party.hex() for party in self.hello.new_identities],
                new_threshold=self.hello.new_t,
                deletions_required=self.hello.d,
                store_by=120,
                vote_by=600_000,
                began_at=clock.now(),
                hellos=self.hello.hellos,
            )

    def through(self, names: str | None = None) -> None:
        """The protocol ended well; nothing is stored yet."""
        for name in names or self.everybody:
            result = self.result(name)
            receipts.keep_statement(subject=self.rid, digest=result.digest, preimage=result.preimage)
            Reshare.objects.filter(id=self.row(name).id).update(
                run="through", digest=result.digest, new_gid=result.gid_new
            )

    def advance(self, names: str | None = None) -> None:
        """Everybody does what is to be done, each with what its protocol made."""
        for name in names or self.everybody:
            advance(public(name), self.hello.gid, material={self.rid: self.result(name)})

    def stored(self) -> "Attempt":
        """Up to the vote."""
        self.begin()
        self.advance()
        self.through()
        self.advance()
        return self

    def confirm(self, names: str) -> None:
        for name in names:
            orders.confirm(row=self.row(name), actor="admin", reason="test", exports_destroyed=True)

    def abort(self, names: str) -> None:
        for name in names:
            orders.abort(row=self.row(name), actor="admin", reason="test")

    def settle(self) -> None:
        """Until nothing changes."""
        before = None
        while (mark := _mark()) != before:
            before = mark
            self.advance()

    def look(self, name: str) -> Look:
        return look(public(name), self.hello.gid)

    def said(self, name: str) -> list[str]:
        """Kinds of the receipts of a party about this attempt, in order."""
        return [receipt.kind for _, receipt in receipts.held(self.rid) if receipt.party == public(name)]

    def new_state(self, name: str) -> str | None:
        share = self.row(name).new_share
        return str(share.state) if share is not None else None


def signed(attempt: Attempt, who: str, kind: str, **changed: Any) -> bytes:
    """A receipt that a party signs about an attempt, whatever its journal says."""
    fields: dict[str, Any] = {
        "subject": attempt.rid,
        "gid": attempt.hello.gid,
        "k": attempt.hello.k,
        "digest": attempt.result("a").digest,
    }
    return receipts.issue(identity(who), kind=kind, **fields | changed)


def old_states() -> list[str]:
    """States of the old shares of a, b and c."""
    return [str(old_share(name).state) for name in OLD]


def old_share(name: str) -> KeyShare:
    gid = key(OLD, 2)[public(name)].gid
    return KeyShare.objects.select_related("identity").get(identity__public=public(name), gid=gid)


def old_quorum() -> None:
    """The active 2-of-3 key of a, b and c."""
    for name in OLD:
        result = key(OLD, 2)[public(name)]
        user, _ = ApiUser.objects.get_or_create(name=name)
        row = KeyShare.objects.create(user=user, identity=seal_identity(identity(name)), scheme="ecdsa")
        record = share_keep(key=row, share=result.share, pairs=result.pairs, digest=result.digest, extra={})
        share_row_from_journal(record)
        KeyShare.objects.filter(id=row.id).update(state="active")


def check_invariants(*attempts: Attempt) -> None:
    """I1, I2 and I5 of lifecycle.md on what is really in the keystore, and I3 on the rows."""
    living = sum(share_key_exists(old_share(name)) for name in OLD)
    stored = {attempt.rid: _stored(attempt) for attempt in attempts}
    active = [attempt for attempt in attempts if "active" in _new_states(attempt)]
    assert living >= 2 or any(stored[a.rid] == len(a.new) for a in attempts), "I1: the key is lost"
    assert not active or living <= 1, "I2: two quorums can sign"
    assert len(active) <= 1, "I2: two attempts are complete"
    for attempt in active:
        assert "discarded" not in _new_states(attempt), "I3: two outcomes"
    if living < 3:
        votes = [[name for name in OLD if "CONFIRMED" in attempt.said(name)] for attempt in attempts]
        assert any(len(names) >= 2 for names in votes), "I5: erased without a commit"
    assert not ProtocolSession.objects.exists()


def _mark() -> tuple[Any, ...]:
    return (
        Receipt.objects.count(),
        Event.objects.count(),
        list(Reshare.objects.values_list("id", "state", "old_share__state", "new_share__state").order_by("id")),
    )


def _new_states(attempt: Attempt) -> list[str]:
    rows = Reshare.objects.filter(rid=attempt.rid, new_share__isnull=False)
    return [str(state) for state in rows.values_list("new_share__state", flat=True)]


def _stored(attempt: Attempt) -> int:
    gid = attempt.result("a").gid_new
    shares = KeyShare.objects.select_related("identity").filter(gid=gid)
    return sum(share_key_exists(share) for share in shares)
