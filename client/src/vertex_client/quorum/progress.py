"""How far a reshare is, put together from what several vertices know of it.

What a vertex says of a party it has from receipts that the party signed: if one vertex knows, it is so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from vertex_client.answers import PartyView, Reshare
from vertex_client.errors import VertexError

# How far each state is: of what the vertices say the furthest is shown.
ORDER = ("running", "failed", "voting", "aborted", "superseded", "committed", "complete", "clean")
ENDED = frozenset({"failed", "aborted", "superseded"})


@dataclass(frozen=True)
class PartyProgress:
    """One party: `vertex` is its name where it is at hand. None: not this party's to do."""

    keygen_id: str
    vertex: str | None
    role: Literal["remaining", "joining", "departing"]
    stored: bool | None
    vote: Literal["confirmed", "aborted"] | None
    deleted: bool | None
    knows: bool | None  # of the completion

    @property
    def name(self) -> str:
        """The vertex's name, else the end of the keygen id."""
        return self.vertex or f"…{self.keygen_id[-8:]}"


@dataclass(frozen=True)
class Progress:
    """A reshare at one moment. `views` are the vertices' own, `failures` those that could not be asked."""

    rid: str
    views: Mapping[str, Reshare] = field(repr=False)
    failures: Mapping[str, VertexError]
    parties: tuple[PartyProgress, ...]

    @classmethod
    def of(cls, rid: str, views: Mapping[str, Reshare], failures: Mapping[str, VertexError]) -> "Progress":
        """From at least one view."""
        told: dict[str, list[PartyView]] = {}
        for view in views.values():
            for party in view.parties:
                told.setdefault(party.keygen_id, []).append(party)
        here = {party.keygen_id: name for name, view in views.items() for party in view.parties if party.here}
        parties = tuple(_party(keygen_id, here.get(keygen_id), each) for keygen_id, each in sorted(told.items()))
        return cls(rid, views, failures, tuple(sorted(parties, key=lambda party: party.name)))

    @property
    def _best(self) -> Reshare:
        return max(self.views.values(), key=lambda view: (_rank(view.state), view.confirmed, view.deleted, view.stored))

    @property
    def state(self) -> str:
        """The furthest that a vertex knows."""
        return self._best.state

    @property
    def deletions_required(self) -> int | None:
        """How many of the old shares must be erased: n − t + 1 unless more were asked for."""
        return self._best.deletions_required

    @property
    def confirmed(self) -> int:
        """How many have voted to delete."""
        return sum(party.vote == "confirmed" for party in self.parties)

    @property
    def deleted(self) -> int:
        """How many old shares are erased."""
        return sum(bool(party.deleted) for party in self.parties)

    @property
    def new(self) -> set[str]:
        """The vertices at hand of the new quorum."""
        return {party.vertex for party in self.parties if party.vertex and party.role != "departing"}

    @property
    def knowing(self) -> set[str]:
        """The vertices that know of the completion: a new share is active there."""
        return {name for name, view in self.views.items() if view.complete}

    @property
    def complete(self) -> bool:
        """Whether every vertex of the new quorum that answers knows of the completion."""
        return bool(self.knowing) and self.knowing >= self.new

    @property
    def clean(self) -> bool:
        """Whether every old share is erased."""
        return any(view.clean for view in self.views.values())

    @property
    def ended(self) -> bool:
        """Whether it came to another end, and at every vertex that answered."""
        return all(view.state in ENDED for view in self.views.values())

    def differs(self, other: "Progress") -> bool:
        """Whether there is something else to show."""
        return _shown(self) != _shown(other)

    @property
    def waits(self) -> str:
        """What it waits for, and for whom, in a sentence; empty when there is nothing left to wait for."""
        if self.ended or (self.complete and self.clean):
            return ""
        if self.state == "running":
            return next((view.waiting for view in self.views.values() if view.waiting), "the protocol to end")
        if unstored := [party.name for party in self.parties if party.stored is False]:
            return f"{', '.join(unstored)} to store the new share"
        undecided = [party.name for party in self.parties if party.deleted is False and party.vote is None]
        missing = max(0, (self.deletions_required or 0) - self.confirmed)
        if missing and self.state == "voting":
            return f"{missing} more to confirm the deletion of the old share, of {', '.join(undecided)}"
        if left := [party.name for party in self.parties if party.deleted is False]:
            return f"{', '.join(left)} to erase the old share"
        return "every new party to hear of the completion"


def _shown(progress: Progress) -> tuple[object, ...]:
    known = (progress.state, progress.complete, progress.clean, progress.waits)
    return (progress.parties, progress.failures.keys(), *known)


def _rank(state: str) -> int:
    return ORDER.index(state) if state in ORDER else -1


def _party(keygen_id: str, vertex: str | None, told: list[PartyView]) -> PartyProgress:
    def known(values: list[bool | None]) -> bool | None:
        return None if all(value is None for value in values) else any(values)

    votes = [each.vote for each in told if each.vote is not None]
    return PartyProgress(
        keygen_id=keygen_id,
        vertex=vertex,
        role=told[0].role,
        stored=known([each.stored for each in told]),
        vote=votes[0] if votes else None,
        deleted=known([each.deleted for each in told]),
        knows=known([each.completed for each in told]),
    )
