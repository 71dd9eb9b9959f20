"""Answers about reshares."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal


@dataclass(frozen=True)
class PartyView:
    """What a vertex knows of one party of a reshare; None where it is not that party's to do."""

    keygen_id: str
    here: bool
    role: Literal["remaining", "joining", "departing"]
    stored: bool | None
    failed: bool | None
    vote: Literal["confirmed", "aborted"] | None
    deleted: bool | None
    completed: bool | None


@dataclass(frozen=True)
class QuorumView:
    """A quorum: its threshold and its parties' keygen ids."""

    threshold: int | None
    parties: tuple[str, ...]


@dataclass(frozen=True)
class ReshareLine:
    """A reshare in a list. `rid` is its name everywhere, once its room has been full."""

    reshare_id: str
    rid: str | None
    state: str
    role: str
    scheme: str
    key_id: str | None
    old_key_id: str | None
    public_key: str | None
    created_at: datetime
    completed_at: datetime | None
    alarms: tuple[str, ...]


@dataclass(frozen=True)
class Decision:
    """What an operator can decide about a reshare that hangs, and why not."""

    decision: str
    open: bool
    why_not: str | None
    statement_hash: str
    proposed_by: str | None
    ordered: bool


@dataclass(frozen=True)
class Reshare(ReshareLine):
    """A reshare as one vertex knows it: quorums, who has done what, what is still needed, what it waits for."""

    k: int | None
    gid: str | None
    digest: str | None
    old_quorum: QuorumView
    new_quorum: QuorumView
    deletions_required: int | None
    parties: tuple[PartyView, ...]
    stored: int
    confirmed: int
    deleted: int
    confirmations_needed: int
    deletions_needed: int
    complete: bool
    clean: bool
    old_shares_left: int
    known_by_all: bool
    ways_on: dict[str, Any] | None
    decisions: tuple[Decision, ...]
    pause_seconds: float | None
    conflicts: tuple[tuple[str, ...], ...]
    waiting: str | None
    error: Any
