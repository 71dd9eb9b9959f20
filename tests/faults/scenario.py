"""One reshare (or key generation) under one fault, to its end, and what an outsider finds afterwards."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg

from tests.faults.invariants import violations
from tests.faults.life import Life, Member, Refused, Stuck, World
from tests.faults.points import Path, Role
from tests.faults.result import Result
from tests.faults.shapes import Shape
from tests.faults.struck import AtPoint, Fault, NotReached, Stage, Times
from tests.faults.supervisor import Supervisor

TRIES = 3  # of a call that a fault had refused before anything began, or aborted


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault, made anew by `fault`, that strikes the vertex of a party with this role on this path."""

    shape: Shape
    path: Path
    role: Role
    fault: Callable[[], Fault]
    name: str
    follows: bool = False  # the target is an old party that does not confirm
    run: "type[Run] | None" = None  # what plays it, where that is not Run
    alone: bool = False  # it strikes every vertex, or takes something from every key of one
    strikes: Path | None = None  # the phase of the path in which it does, where the path has several

    @property
    def phase(self) -> Path:
        return self.strikes or self.path


class Run:
    """Plays one scenario with one key."""

    spoils = False  # whether the key is of no use to later scenarios

    def __init__(self, world: World, supervisor: Supervisor, life: Life, scenario: Scenario, seed: str) -> None:
        self.world, self.supervisor, self.life, self.scenario = world, supervisor, life, scenario
        self.rng = random.Random(seed)
        self.result = Result(scenario)
        self.fault = scenario.fault()
        self.operations: list[tuple[Member, str]] = []  # of the latest attempt
        self.restored: frozenset[str] = frozenset()  # parties whose keystore was put back
        self.missed: NotReached | None = None
        self._target: Member | None = None
        self._begun = 0.0  # the latest attempt, by the monotonic clock

    def play(self) -> Result:
        """Whatever is raised ends this scenario only. It is judged all the same: an error must not hide a violation."""
        begun = time.monotonic()
        for part in (self.perform, self.judge):
            try:
                part()
            except Exception as error:
                self.result.broken_by(error)
        self.result.took = time.monotonic() - begun
        return self.result

    def perform(self) -> None:
        self._twice(self._keygen if self.scenario.path == Path.KEYGEN else self._reshare)

    def _twice(self, path: Callable[[], None]) -> None:
        """Again where the fault did not strike: under load a vote may come too late for what the point waits for."""
        path()
        if self.missed is not None:
            self.missed, self.fault = None, self.scenario.fault()
            path()
        if self.missed is not None:
            raise self.missed

    # The phases ----------------------------------------------------------------------------------------------------

    def _keygen(self) -> None:
        names = self.rng.sample(self.world.names, self.scenario.shape.n)
        life = Life(self.world, [self.world.member(name) for name in names], self.scenario.shape.t)
        operations: list[tuple[Member, str]] = []

        def done() -> bool:
            return bool(operations) and life.ended(operations)

        def begin() -> None:
            operations.extend(life.keygen_begin())

        self._under_fault(life.members[0], begin, done)
        states = {life.operation(*each)[0] for each in operations}
        self.result.outcome = "active" if states == {"done"} else "failed"
        if states == {"done"}:
            life.keygen_end()
            self._expect(None, life.sign(life.members[: life.threshold], patient=True), "the new key signs")

    def _reshare(self) -> None:
        for attempt in range(TRIES):
            try:
                done = self._one_reshare(strike=attempt == 0)
            except Refused as refused:
                if attempt == TRIES - 1:
                    raise Stuck(str(refused)) from refused
                continue
            if done:
                return
        raise Stuck(f"{TRIES} attempts, none of which went through")

    def _one_reshare(self, *, strike: bool) -> bool:
        """One attempt; False if it was aborted or failed although nobody asked for that."""
        shape, life = self.scenario.shape, self.life
        order = life.members[:]
        self.rng.shuffle(order)
        staying, leaving = order[: shape.stay], order[shape.stay :]
        free = [name for name in self.world.names if name not in life.vertices]
        joining = [self.world.member(name) for name in self.rng.sample(free, shape.new_n - shape.stay)]
        target = {Role.REMAINING: staying, Role.DEPARTING: leaving, Role.JOINING: joining}[self.scenario.role][0]
        operations = self.operations = []
        if strike:
            self._target = target

        def begin() -> None:
            self._begun = time.monotonic()
            operations.extend(life.reshare_begin(staying, joining, leaving, shape.new_t))

        def done() -> bool:
            return bool(operations) and life.ended(operations)

        if strike and self.scenario.phase == Path.RESHARE:
            self._under_fault(target, begin, done)
        else:
            begin()
            self.world.until(done, lambda: self._where(operations))
        if any(life.operation(*each)[0] == "failed" for each in operations):
            self._given_up(operations, order)
            return False
        new = life.renewed([*staying, *joining], operations)
        struck = target if strike and self.scenario.phase in (Path.CONFIRM, Path.ABORT) else None
        return self._vote(order, new, operations, struck)

    def _given_up(self, operations: list[tuple[Member, str]], old: list[Member]) -> None:
        """The attempt has failed: it must end aborted wherever it has begun, and the old quorum signs."""
        self.result.outcome = "aborted, repeated"

        def ended() -> bool:
            self.life.give_up(operations)
            return self._states(operations) <= {"aborted", "failed"}

        self.world.until(ended, lambda: self._where(operations))
        self._expect(
            None, self.life.sign(old[: self.life.threshold], patient=True), "after an abort the old quorum signs"
        )

    def _vote(
        self, old: list[Member], new: list[Member], operations: list[tuple[Member, str]], target: Member | None
    ) -> bool:
        """From the votes to the outcome; False where the deadline for storing had passed before them (a slow machine),
        so that all have aborted."""
        life, of = self.life, {member.keygen_id: operation for member, operation in operations}
        aborts = self.scenario.path == Path.ABORT
        needed = len(old) - life.threshold + 1
        voters = old if aborts else self._confirmers(old, needed, target)
        word = "abort" if aborts else "confirm-deletion"
        wanted = {"aborted"} if aborts else {"clean"}

        def begin() -> None:
            self.world.together([lambda each=each: life.vote(each, of[each.keygen_id], word) for each in voters])

        def late() -> bool:
            return not aborts and life.late(operations, self._begun)

        def done() -> bool:
            return late() or (self._states(operations) <= wanted and self._settled(old, new, aborts))

        if target is not None:
            self._under_fault(target, begin, done)
        else:
            begin()
            self.world.until(done, lambda: self._where(operations))
        if late():
            self._given_up(operations, old)
            return False
        self._afterwards(old, new, aborts)
        if self._target is not None and self.missed is None:
            self.finale(self._target, old, new)
        return True

    def finale(self, target: Member, old: list[Member], new: list[Member]) -> None:
        """What else is done once the reshare has ended."""

    def _confirmers(self, old: list[Member], needed: int, target: Member | None) -> list[Member]:
        if target is None or target not in old:
            return old[:needed]
        others = [member for member in old if member is not target]
        return others[:needed] if self.scenario.follows else [target, *others][:needed]

    def _settled(self, old: Sequence[Member], new: Sequence[Member], aborts: bool) -> bool:
        """The shares' own states, and nothing left to carry."""
        wanted = [(member, {"active"} if aborts else {"erased"}) for member in old]
        wanted += [(member, {"parked", "discarded"} if aborts else {"active"}) for member in new]
        return all(self._state(member) in states for member, states in wanted)

    def _state(self, member: Member) -> str:
        return str(self.world.witness.query(member.vertex, _STATE, member.key_id)[0][0])

    def _afterwards(self, old: list[Member], new: list[Member], aborts: bool) -> None:
        """Who may sign does, who may not doesn't: the old quorum, the new one, and mixes of both."""
        life, t = self.life, self.life.threshold
        new_t = self.scenario.shape.new_t
        self.result.outcome = self.result.outcome or ("aborted" if aborts else "complete")
        if aborts:
            self._expect(None, life.sign(old[:t], patient=True), "the old quorum signs")
            self._expect(
                ("share_erased", "reshare_not_complete"), life.sign(new[:new_t]), "aborted shares sign nothing"
            )
            return
        some = old[: t - 1]
        mixed = [*some, next(member for member in new if member.vertex not in {each.vertex for each in some})]
        self._expect(("share_erased",), life.sign(old[:t]), "erased shares sign nothing")
        self._expect(("share_erased",), life.sign(mixed), "old and new shares sign nothing together")
        life.move_on(new, new_t)
        self._expect(None, life.sign(new[:new_t], patient=True), "the new quorum signs")

    # The fault -----------------------------------------------------------------------------------------------------

    def _under_fault(self, target: Member, begin: Callable[[], None], done: Callable[[], bool]) -> None:
        """A phase with the fault in it: `begin` makes the calls, `done` says that the phase has ended."""
        refused = threading.Event()  # the calls failed: the phase never begins, so nobody waits for its end

        def over() -> bool:
            try:
                return refused.is_set() or done()
            except psycopg.OperationalError:
                return False

        stage = Stage(self.supervisor, target.vertex, target.party, self.rng, over, self.world.patience)
        with self.supervisor.locks[target.vertex]:
            times: Times | None = None
            try:
                self.fault.prepare(stage)
                try:
                    times = self._struck_while(stage, begin, refused)
                    self.result.struck = True
                except NotReached as missed:
                    self.missed = missed
                end = self.world.until(done, lambda: f"{self.fault.name} at {target.vertex}: {self._told(target)}")
            finally:
                self.fault.withdraw(stage)
        if times is None:
            return
        self.result.seconds = max(0.0, end - times.struck)
        if isinstance(self.fault, AtPoint):
            self.result.since_back = max(0.0, end - times.back)

    def _struck_while(self, stage: Stage, begin: Callable[[], None], refused: threading.Event) -> Times:
        """The calls may wait for what the fault took away, so both go on at once; the calls' error comes first."""
        times: list[Times] = []

        def begun() -> None:
            try:
                begin()
            except BaseException:
                refused.set()
                raise

        self.world.together([begun, lambda: times.append(self.fault.strike(stage))])
        return times[0]

    # What is seen --------------------------------------------------------------------------------------------------

    def _states(self, operations: Sequence[tuple[Member, str]]) -> set[str]:
        return {self.life.attempt_of(*each)[1] for each in operations}

    def _where(self, operations: Sequence[tuple[Member, str]]) -> str:
        told = [f"{m.vertex} {self.life.operation(m, o)[0]}/{self.life.attempt_of(m, o)[1]}" for m, o in operations]
        return ", ".join(told)

    def _told(self, target: Member) -> str:
        """The sessions of the struck vertex that have not ended."""
        rows = self.world.witness.query(target.vertex, _SESSIONS)
        return "; ".join(str(row) for row in rows) or "no session left"

    def _expect(self, wanted: tuple[str, ...] | None, found: str | None, what: str) -> None:
        """Signed where nothing is wanted, else refused for one of these reasons."""
        if (wanted is None and found is None) or (wanted and found and any(each in found for each in wanted)):
            return
        self.result.wrong.append(f"{what}: {found or 'signed'}")

    def judge(self) -> None:
        """The invariants, from all databases and keystores."""
        if self.life.public_key:
            self.result.wrong += violations(self.world.witness.gather(self.life.public_key), self.restored)


_STATE = "SELECT state FROM keys_keyshare WHERE id = %s"
_SESSIONS = """SELECT kind, state, round, woken, lease_until > now(), poll_at - now(), error
                 FROM keys_protocolsession WHERE finished_at IS NULL"""
