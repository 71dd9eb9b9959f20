"""Which scenarios are played: every kill point with every role and shape, then whatever else can go wrong; and the
fixed forty of `make test`."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from cluster.vertex import LISTEN, WEB, WORKER
from tests.faults.operations import CarryRun, ForgottenRun, RefreshRun, SupersedeRun
from tests.faults.outages import ForgottenMeanwhile, servers
from tests.faults.points import Path, Point, Role, cells, named
from tests.faults.restore import restores
from tests.faults.scenario import Scenario
from tests.faults.shapes import GROW, SAME, SHAPES, SHRINK, Shape
from tests.faults.struck import (
    MISCHIEF,
    AtPoint,
    ClockJump,
    DiskFull,
    Fault,
    Frozen,
    FrozenListen,
    KilledAtRandom,
    LyingRelay,
)
from tests.faults.vertices import faketime

# Where a worker that loses its lease has most to spoil.
FREEZE = (
    "after seed stored: reshare",
    "after round stored: sent 1",
    "before round posted: round 2",
    "after sealed: store",
    "after journal: store",
    "before receipt: STORED",
    "after journal: confirm",
    "after journal: accept confirmed",
    "before keys destroyed: superseded",
    "after erased: erase",
    "before receipt: DELETED",
)
# Where faults that aren't kill points strike.
PATHS = (
    (Path.RESHARE, Role.REMAINING),
    (Path.RESHARE, Role.JOINING),
    (Path.CONFIRM, Role.DEPARTING),
    (Path.CONFIRM, Role.REMAINING),
)
_SHAPED = (Path.RESHARE, Path.CONFIRM, Path.ABORT)
# The rounds of a superseding reshare are those of any other.
_OF_THE_RULE = frozenset(
    {"journal", "database", "sealed", "proved", "erased", "verified", "dropped", "receipt", "keys destroyed"}
)
# What follows the proposal: B voted for the attempt and C did not; D joins.
_CARRIED = frozenset(
    (site, label, role)
    for site, label, roles in (
        ("receipt", "PROMISED", (Role.REMAINING, Role.DEPARTING)),
        ("journal", "accept confirmed", (Role.REMAINING,)),
        ("database", "accept confirmed", (Role.REMAINING,)),
        ("journal", "accept following|accept completed", (Role.DEPARTING,)),
        ("database", "accept following|accept completed", (Role.DEPARTING,)),
        ("keys destroyed", "superseded", (Role.REMAINING, Role.DEPARTING)),
        ("erased", "erase", (Role.REMAINING, Role.DEPARTING)),
        ("verified", "erase", (Role.REMAINING, Role.DEPARTING)),
        ("database", "erase", (Role.REMAINING, Role.DEPARTING)),
        ("receipt", "DELETED", (Role.REMAINING, Role.DEPARTING)),
        ("database", "activate", (Role.REMAINING, Role.JOINING)),
        ("receipt", "COMPLETED", (Role.REMAINING, Role.JOINING)),
        ("dropped", "discard superseded", (Role.REMAINING, Role.DEPARTING)),
        ("database", "discard superseded", (Role.REMAINING, Role.DEPARTING)),
    )
    for role in roles
)
CLOCKS = tuple((process, offset) for process in (WORKER, LISTEN) for offset in ("+1h", "-1h"))


def killed(point: Point, role: Role, shape: Shape) -> Scenario:
    follows = "following" in point.label
    return Scenario(shape, point.path, role, partial(AtPoint, point), f"kill {point.name}", follows)


def kill_points() -> list[Scenario]:
    """The table: kill point × role × shape; key generation knows no shapes. `operations` has its own."""
    return [
        killed(point, role, shape)
        for point, role in cells()
        for shape in SHAPES
        if point.path in _SHAPED or (point.path == Path.KEYGEN and shape is SAME)
    ]


def operations() -> Iterator[Scenario]:
    """Refresh, supersede and carry at every point where killing means something, with every role that reaches it."""
    for point, role in cells():
        scenario = replace(killed(point, role, SAME), strikes=point.path)
        follows, of_rule = scenario.follows, point.site in _OF_THE_RULE
        if point.path in (Path.RESHARE, Path.CONFIRM) and role == Role.REMAINING and not follows:
            yield replace(scenario, path=Path.REFRESH, run=RefreshRun)
        if point.path in (Path.RESHARE, Path.CONFIRM) and of_rule and point.label != "deal":
            yield replace(scenario, path=Path.SUPERSEDE, run=SupersedeRun)
        if point.path == Path.SUPERSEDE:
            strikes = Path.CONFIRM if "discard" in point.label else Path.RESHARE
            yield replace(scenario, strikes=strikes, run=SupersedeRun)
        if point.path == Path.CARRY or (point.site, point.label, role) in _CARRIED:
            yield replace(scenario, path=Path.CARRY, run=CarryRun)


def _frozen(name: str, role: Role, shape: Shape) -> Scenario:
    point = named(name)
    return Scenario(shape, point.path, role, partial(Frozen, point), f"stop {point.name}")


def others(shape: Shape) -> Iterator[Scenario]:
    """Faults of one vertex that aren't kill points."""

    def at(path: Path, role: Role, fault: Callable[[], Fault], name: str) -> Scenario:
        return Scenario(shape, path, role, fault, name)

    for path, role in PATHS:
        for process in (WEB, WORKER, LISTEN):
            yield at(path, role, partial(KilledAtRandom, process), f"kill {process} at random")
        for name, mischief in MISCHIEF.items():
            yield at(path, role, partial(LyingRelay, name, mischief), f"relay {name}")
        yield at(path, role, FrozenListen, FrozenListen.name)
        yield at(path, role, DiskFull, DiskFull().name)
    for name in FREEZE:
        point = named(name)
        for role in point.roles[:2]:
            yield _frozen(name, role, shape)


def of_servers() -> list[Scenario]:
    """Faults of PostgreSQL, Redis and the relay, which strike every vertex: played one at a time."""
    name = ForgottenMeanwhile.name
    forgotten = Scenario(SAME, Path.CONFIRM, Role.JOINING, ForgottenMeanwhile, name, run=ForgottenRun, alone=True)
    return [
        forgotten,
        *(
            Scenario(
                SAME, path, Role.REMAINING, lambda number=number: servers()[number], servers()[number].name, alone=True
            )
            for path in (Path.RESHARE, Path.CONFIRM)
            for number in range(len(servers()))
        ),
    ]


def clocks() -> list[Scenario]:
    """Processes with another time: each works for every key of its vertex, so no other scenario is played meanwhile."""
    if (program := faketime()) is None:
        return []
    return [
        Scenario(
            shape,
            path,
            role,
            partial(ClockJump, process, offset, program),
            f"clock of {process} {offset}",
            alone=True,
        )
        for shape in SHAPES
        for path, role in PATHS
        for process, offset in CLOCKS
    ]


def alone(seed: int) -> list[Scenario]:
    """What is played one at a time: outages, then restores and clocks in an order drawn from the seed."""
    drawn = [*restores(), *clocks()]
    random.Random(seed).shuffle(drawn)
    return [*of_servers(), *drawn]


def everything(seed: int) -> list[Scenario]:
    """All that lanes may play at once, in an order drawn from the seed: every row of the table once, in one shape or
    another, before any has a second; so a short run is a fair sample."""
    scenarios = [*kill_points(), *operations(), *others(SAME), *others(GROW), *others(SHRINK)]
    random.Random(seed).shuffle(scenarios)
    rounds: list[list[Scenario]] = [[] for _ in SHAPES]
    times: Counter[tuple[Path, str, Role]] = Counter()
    for each in scenarios:
        row = (each.path, each.name, each.role)
        rounds[times[row]].append(each)
        times[row] += 1
    return [each for drawn in rounds for each in drawn]


_R, _J, _D = Role.REMAINING, Role.JOINING, Role.DEPARTING
_FIXED: tuple[tuple[str, Role, Shape], ...] = (
    ("before seed stored: reshare", _R, SAME),
    ("after seed stored: reshare", _J, SAME),
    ("after round stored: sent 0", _D, SAME),
    ("after round posted: round 1", _J, SAME),
    ("before round stored: received 2", _R, SAME),
    ("after round posted: round 4", _J, GROW),
    ("after attempt written: reshare", _D, SAME),
    ("after journal: deal", _R, SAME),
    ("before receipt: PROMISED", _D, SAME),
    ("before sealed: store", _J, SAME),
    ("after sealed: store", _R, SAME),
    ("after database: store", _J, SHRINK),
    ("after journal: store", _J, SAME),
    ("before receipt: STORED", _R, SAME),
    ("after session key destroyed: reshare", _D, SAME),
    ("after journal: confirm", _R, SAME),
    ("before receipt: CONFIRMED", _R, GROW),
    ("before journal: accept confirmed", _R, SAME),
    ("after journal: accept confirmed", _D, SAME),
    ("after journal: accept following|accept completed", _R, SHRINK),
    ("before keys destroyed: superseded", _R, SAME),
    ("after keys destroyed: superseded", _D, SAME),
    ("after erased: erase", _R, GROW),
    ("before receipt: DELETED", _R, SAME),
    ("before database: activate", _J, SHRINK),
    ("after database: activate", _R, SAME),
    ("before receipt: COMPLETED", _J, SAME),
    ("after journal: abort", _R, SAME),
    ("before keygen STORED", _R, SAME),
)

_FIXED_OPERATIONS = frozenset(
    {
        (Path.REFRESH, "after database: confirm", _R),
        (Path.SUPERSEDE, "before dropped: discard superseded", _R),
        (Path.CARRY, "after journal: answer", _D),
    }
)


def fixed() -> list[Scenario]:
    """The forty of `make test`: thirty-two kill points, three of them in a refresh, a superseding reshare and a carried
    one, and eight other faults; 2-of-3 but for six."""
    chosen = [killed(named(name), role, shape) for name, role, shape in _FIXED]
    chosen += [
        each for each in operations() if (each.path, each.name.removeprefix("kill "), each.role) in _FIXED_OPERATIONS
    ]
    chosen.append(_frozen("after round stored: sent 1", _R, SAME))
    chosen.append(_frozen("after journal: accept confirmed", _D, SAME))
    for name in ("loses", "corrupts", "partitions"):
        chosen.append(Scenario(SAME, Path.CONFIRM, _R, partial(LyingRelay, name, MISCHIEF[name]), f"relay {name}"))
    chosen.append(Scenario(SAME, Path.RESHARE, _R, DiskFull, DiskFull().name))
    flushed = {scenario.name: scenario for scenario in of_servers() if scenario.path == Path.RESHARE}
    chosen += [flushed["redis flushed"], flushed["postgres crashed"]]
    return chosen
