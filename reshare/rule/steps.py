"""The primitive durable steps that transitions are made of.

An executor performs a transition's steps one after the other and may die between any two: when it comes back it builds
a fresh View and asks again. Every step is idempotent.
"""

from typing import NamedTuple

from reshare.rule.types import Acceptor, Ledger, New, Old, Receipt


class Journal(NamedTuple):
    """Replace the acceptor record (compare-and-set on the one in the View), durable on return."""

    record: Acceptor


class Database(NamedTuple):
    """One transaction with its audit event; each field that is set is a guarded UPDATE (or INSERT) of this party's
    row."""

    old: Old | None = None
    new: tuple[bytes, New] | None = None
    ledger: tuple[bytes, Ledger] | None = None


class Seal(NamedTuple):
    """Data key and sealed new share of this `rid` into the keystore, durable on return; an existing one is kept."""

    rid: bytes


class Prove(NamedTuple):
    """Read the new share back, unseal it, prove that it is the discrete log of its public share; a failure stops."""

    rid: bytes


class Erase(NamedTuple):
    """Destroy the data key of the old share named by `gid`, and null its ciphertext."""

    gid: bytes


class Verify(NamedTuple):
    """Check that nothing is left of the old share named by `gid`; a failure stops before the state says `erased`."""

    gid: bytes


class Drop(NamedTuple):
    """Destroy the data key of the new share of this `rid`, null its ciphertext, check both."""

    rid: bytes


class Send(NamedTuple):
    """Sign, record and pass on this receipt; the same again is harmless. A dealing PROMISED goes with R1."""

    receipt: Receipt


Step = Journal | Database | Seal | Prove | Erase | Verify | Drop | Send

# From which states a row may come; a guarded UPDATE that finds it elsewhere changes nothing.
OLD_FROM = {
    Old.ACTIVE: (Old.RETIRING,),
    Old.RETIRING: (Old.ACTIVE,),
    Old.SUPERSEDED: (Old.ACTIVE, Old.RETIRING),
    Old.ERASED: (Old.ACTIVE, Old.RETIRING, Old.SUPERSEDED),
}
NEW_FROM = {
    New.QUARANTINED: (New.CREATED,),
    New.ACTIVE: (New.QUARANTINED, New.PARKED),
    New.PARKED: (New.QUARANTINED,),
    New.DISCARDED: (New.CREATED, New.QUARANTINED, New.PARKED, New.ACTIVE),
}
