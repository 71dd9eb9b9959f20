"""Where a process can be told to die: each durable step of docs/lifecycle.md as a function of the real code.

A *site* is a function that makes something durable or sends it; what it is called with gives a *label*. A kill point is
a site, a label, and whether the process dies before or after it. The names are resolved when a process starts: a site
that is no longer in the code stops it, and a label that is never seen fails the scenario that waits for it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple


class When(StrEnum):
    BEFORE = "before"
    AFTER = "after"


class Role(StrEnum):
    """Of the party at whose vertex the fault strikes."""

    REMAINING = "remaining"
    JOINING = "joining"
    DEPARTING = "departing"


class Path(StrEnum):
    """What the scenario does: the way on which a point lies."""

    RESHARE = "reshare"  # up to quarantine
    CONFIRM = "confirm"  # from the votes to the end
    ABORT = "abort"  # likewise, when the operators abort
    KEYGEN = "keygen"
    REFRESH = "refresh"  # from the calls to the end: nobody is asked
    SUPERSEDE = "supersede"  # a reshare over another one that hangs
    CARRY = "carry"  # a committed attempt that hangs, proposed again


class Seen(NamedTuple):
    """What a call of a site is about: its label, and the party (identity, hex) that it works for."""

    label: str
    party: str


@dataclass(frozen=True, slots=True)
class Site:
    """`target` is ``module:attribute``; `read` tells what a call is about, from its arguments."""

    name: str
    target: str
    read: Callable[..., Seen]


def _of_session(session: Any) -> str:
    return bytes(session.share.identity.public).hex()


def _performance(performance: Any, step: Any) -> Seen:
    return Seen(performance._move.transition.name, performance._seen.view.me.hex())


def _sent(performance: Any, step: Any) -> Seen:
    return Seen(str(step.receipt.kind), performance._seen.view.me.hex())


def _stored(log: Any, frames: Any, *, outbound: bool) -> Seen:
    way = "sent" if outbound else "received"
    return Seen(f"{way} {frames[0].round}" if frames else "nothing", _of_session(log._session))


def _posted(driver: Any, outgoing: Any, **_: Any) -> Seen:
    return Seen(f"round {outgoing[0].round}" if outgoing else "nothing", driver._party.hex())


def _round(log: Any, round: int, frames: Any) -> Seen:
    return Seen(f"round {round}", _of_session(log._session))


def _kind(session: Any, *_: Any, **__: Any) -> Seen:
    return Seen(session.kind, _of_session(session))


def _kind_of_log(log: Any) -> Seen:
    return Seen(log._session.kind, _of_session(log._session))


def _method(_: Any, session: Any, *__: Any, **___: Any) -> Seen:
    return Seen(session.kind, _of_session(session))


def _share(key: Any) -> Seen:
    return Seen(str(key.state), bytes(key.identity.public).hex())


def _kept(*, key: Any, **_: Any) -> Seen:
    return Seen("", bytes(key.identity.public).hex())


def _record(record: Any) -> Seen:
    return Seen("", str(record["identity"]))


def _identity(*, identity: Any, **_: Any) -> Seen:
    return Seen("", identity.public.hex())


PERFORMANCE = "reshare.executor:Performance"
SITES = {
    site.name: site
    for site in (
        # The session: seed, rounds, their end.
        Site("seed stored", "keys.sessions.log:SessionLog._begin", _kind_of_log),
        Site("round stored", "keys.sessions.log:SessionLog._store", _stored),
        Site("round marked", "keys.sessions.log:SessionLog.send", _round),
        Site("round posted", "keys.sessions.driver:Driver._exchange", _posted),
        Site("attempt written", "reshare.kind:ReshareKind._written", _method),
        Site("protocol finished", "reshare.kind:ReshareKind.finish", _method),
        Site("session key destroyed", "keys.sessions.worker:session_material_destroy", _kind),
        Site("receipts carried", "keys.sessions.worker:carry", _kind),
        Site("session settled", "keys.sessions.worker:settled", _kind),
        # The steps of the commit rule, each labelled with its transition.
        Site("journal", f"{PERFORMANCE}._journal", _performance),
        Site("database", f"{PERFORMANCE}._database", _performance),
        Site("sealed", f"{PERFORMANCE}._seal", _performance),
        Site("proved", f"{PERFORMANCE}._prove", _performance),
        Site("erased", f"{PERFORMANCE}._erase", _performance),
        Site("verified", f"{PERFORMANCE}._verify", _performance),
        Site("dropped", f"{PERFORMANCE}._drop", _performance),
        Site("receipt", f"{PERFORMANCE}._send", _sent),
        # Within an erase: the keystore, then the ciphertext.
        Site("keys destroyed", "keys.shares:material_destroy", _share),
        # Key generation.
        Site("keygen sealed", "keys.keygen:share_keep", _kept),
        Site("keygen row", "keys.keygen:share_row_from_journal", _record),
        Site("keygen STORED", "keys.keygen:keygen_stored", _identity),
        Site("keygen active", "keys.keygen:keygen_advance", _kept),
    )
}


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """A kill point; `path` and `roles` say where it is reached. `label`: one, or several with ``|`` between them, where
    it depends on what comes first which of them is seen."""

    site: str
    label: str
    when: When
    path: Path
    roles: tuple[Role, ...]

    @property
    def name(self) -> str:
        return f"{self.when} {self.site}" + (f": {self.label}" if self.label else "")


R, J, D = Role.REMAINING, Role.JOINING, Role.DEPARTING
ALL, OLD, NEW = (R, J, D), (R, D), (R, J)
ROUNDS = (*((number, ALL) for number in (0, 1, 2)), *((number, NEW) for number in (3, 4, 5)))

# (site, label, path, roles): each is struck before and after.
_TABLE: tuple[tuple[str, str, Path, tuple[Role, ...]], ...] = (
    ("seed stored", "reshare", Path.RESHARE, ALL),
    *(("round stored", f"sent {number}", Path.RESHARE, roles) for number, roles in ROUNDS),
    *(("round marked", f"round {number}", Path.RESHARE, roles) for number, roles in ROUNDS),
    *(("round posted", f"round {number}", Path.RESHARE, roles) for number, roles in ROUNDS),
    *(("round stored", f"received {number}", Path.RESHARE, roles) for number, roles in ROUNDS),
    ("attempt written", "reshare", Path.RESHARE, ALL),
    ("journal", "deal", Path.RESHARE, OLD),
    ("database", "deal", Path.RESHARE, OLD),
    ("receipt", "PROMISED", Path.RESHARE, OLD),
    ("protocol finished", "reshare", Path.RESHARE, ALL),
    ("sealed", "store", Path.RESHARE, NEW),
    ("database", "store", Path.RESHARE, NEW),
    ("proved", "store", Path.RESHARE, NEW),
    ("journal", "store", Path.RESHARE, NEW),
    ("receipt", "STORED", Path.RESHARE, NEW),
    ("session key destroyed", "reshare", Path.RESHARE, ALL),
    ("receipts carried", "reshare", Path.RESHARE, ALL),
    ("journal", "confirm", Path.CONFIRM, OLD),
    ("database", "confirm", Path.CONFIRM, OLD),
    ("receipt", "CONFIRMED", Path.CONFIRM, OLD),
    ("journal", "accept confirmed", Path.CONFIRM, OLD),
    ("database", "accept confirmed", Path.CONFIRM, OLD),
    ("journal", "accept following|accept completed", Path.CONFIRM, OLD),
    ("database", "accept following|accept completed", Path.CONFIRM, OLD),
    ("keys destroyed", "superseded", Path.CONFIRM, OLD),
    ("erased", "erase", Path.CONFIRM, OLD),
    ("verified", "erase", Path.CONFIRM, OLD),
    ("database", "erase", Path.CONFIRM, OLD),
    ("receipt", "DELETED", Path.CONFIRM, OLD),
    ("database", "activate", Path.CONFIRM, NEW),
    ("receipt", "COMPLETED", Path.CONFIRM, NEW),
    ("session settled", "reshare", Path.CONFIRM, ALL),
    ("journal", "abort", Path.ABORT, OLD),
    ("database", "abort", Path.ABORT, OLD),
    ("receipt", "ABORTED", Path.ABORT, OLD),
    ("database", "resume", Path.ABORT, OLD),
    ("dropped", "discard unanimous", Path.ABORT, NEW),
    ("database", "discard unanimous", Path.ABORT, NEW),
    ("journal", "supersede", Path.SUPERSEDE, OLD),
    ("database", "supersede", Path.SUPERSEDE, OLD),
    ("dropped", "discard superseded", Path.SUPERSEDE, OLD),
    ("database", "discard superseded", Path.SUPERSEDE, OLD),
    ("journal", "propose", Path.CARRY, (R,)),
    ("journal", "answer", Path.CARRY, OLD),
    ("seed stored", "keygen", Path.KEYGEN, (R,)),
    ("keygen sealed", "", Path.KEYGEN, (R,)),
    ("keygen row", "", Path.KEYGEN, (R,)),
    ("keygen STORED", "", Path.KEYGEN, (R,)),
    ("session key destroyed", "keygen", Path.KEYGEN, (R,)),
    ("keygen active", "", Path.KEYGEN, (R,)),
)
POINTS = tuple(
    Point(site, label, when, path, roles) for site, label, path, roles in _TABLE for when in (When.BEFORE, When.AFTER)
)


def named(name: str) -> Point:
    """The point of that name; KeyError where there is none."""
    return {point.name: point for point in POINTS}[name]


def cells() -> Iterator[tuple[Point, Role]]:
    """Every point with every role that reaches it: the table's rows."""
    for point in POINTS:
        for role in point.roles:
            yield point, role
