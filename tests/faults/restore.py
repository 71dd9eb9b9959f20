"""A vertex restored from an old dump: the database as it was at a step of the life cycle, with today's keystore, or
with the keystore of that day as well.

With today's keystore nothing is lost: the journal knows what was promised, accepted and stored, peers' receipts say the
rest. With an old keystore the peers' receipts unmask the vertex, which then signs nothing with that key.
"""

import time
import uuid

from cluster.vertex import PROCESSES, WORKER
from tests.faults.client import call, ok
from tests.faults.life import Member
from tests.faults.points import Point, Role, named
from tests.faults.scenario import Run, Scenario
from tests.faults.shapes import SAME, Shape
from tests.faults.struck import AtPoint, Stage, Times
from tests.faults.vertices import Snapshot

# A step each: dumps of before and after what the journal remembers.
STEPS = (
    ("before seed stored: reshare", (Role.REMAINING, Role.JOINING, Role.DEPARTING)),
    ("after journal: deal", (Role.REMAINING, Role.DEPARTING)),
    ("after round posted: round 1", (Role.REMAINING, Role.JOINING)),
    ("before sealed: store", (Role.REMAINING, Role.JOINING)),
    ("after sealed: store", (Role.REMAINING, Role.JOINING)),
    ("after receipt: STORED", (Role.REMAINING, Role.JOINING)),
    ("after journal: confirm", (Role.REMAINING, Role.DEPARTING)),
    ("after receipt: CONFIRMED", (Role.REMAINING, Role.DEPARTING)),
    ("after journal: accept confirmed", (Role.REMAINING, Role.DEPARTING)),
    ("after keys destroyed: superseded", (Role.REMAINING, Role.DEPARTING)),
    ("after database: erase", (Role.REMAINING, Role.DEPARTING)),
    ("after receipt: DELETED", (Role.REMAINING, Role.DEPARTING)),
    ("after database: activate", (Role.REMAINING, Role.JOINING)),
)


class Dumped(AtPoint):
    """The worker dies at a point; before it is started again, database and keystore are copied."""

    def __init__(self, point: Point, *, keystore: bool) -> None:
        super().__init__(point)
        self.keystore = keystore
        self.name = dumped_name(point, keystore)
        self.snapshot: Snapshot | None = None

    def prepare(self, stage: Stage) -> None:
        super().prepare(stage)
        stage.supervisor.hold(stage.vertex, WORKER)

    def strike(self, stage: Stage) -> Times:
        fired = self.await_fired(stage)
        cluster, supervisor = stage.cluster, stage.supervisor
        while cluster.vertex(stage.vertex).children[WORKER].running:
            time.sleep(0.01)
        label = uuid.uuid4().hex[:8]
        self.snapshot = supervisor.ask(lambda: cluster.snapshot(stage.vertex, label))
        supervisor.release(stage.vertex, WORKER)
        back = supervisor.back_at(stage.vertex, WORKER, fired - 1)
        return Times(fired, back or time.time())

    def withdraw(self, stage: Stage) -> None:
        super().withdraw(stage)
        stage.supervisor.release(stage.vertex, WORKER)


def dumped_name(point: Point, keystore: bool) -> str:
    return f"restored from {point.name}, " + ("keystore too" if keystore else "today's keystore")


class RestoreRun(Run):
    """The scenario to its end, then the restore of the struck vertex and what becomes of it."""

    spoils = True

    def finale(self, target: Member, old: list[Member], new: list[Member]) -> None:
        assert isinstance(self.fault, Dumped)
        assert self.fault.snapshot is not None
        rid = self.life.attempt_of(*self._another(target))[2]
        assert rid is not None
        if self.fault.keystore:
            self.restored = frozenset({target.party})
        try:
            self._restore(target.vertex, self.fault.snapshot)
            self.judge()  # nobody has done anything since
            self._receipts_to(target, old, new, rid.hex())
            if self.fault.keystore:
                self._unmasked(target, old)
            else:
                self._as_before(target, old, new)
        finally:
            self.supervisor.ask(lambda: self.world.cluster.forget(self.fault.snapshot))  # type: ignore[attr-defined,arg-type]

    def _another(self, target: Member) -> tuple[Member, str]:
        """A party that took part and was not restored, with its operation."""
        return next((m, o) for m, o in self.operations if m.vertex != target.vertex)

    def _restore(self, vertex: str, snapshot: Snapshot) -> None:
        assert isinstance(self.fault, Dumped)
        supervisor, cluster, keystore = self.supervisor, self.world.cluster, self.fault.keystore
        supervisor.hold(vertex, *PROCESSES)
        try:
            since = time.time()
            for process in PROCESSES:
                supervisor.kill(vertex, process)
            supervisor.ask(lambda: cluster.restore(vertex, snapshot, keystore=keystore))
            self.judge()
        finally:
            supervisor.release(vertex, *PROCESSES)
        for process in PROCESSES:
            supervisor.back_at(vertex, process, since - 1)
        self.world.until(lambda: cluster.vertex(vertex).ready, lambda: f"{vertex} ready after its restore")

    def _receipts_to(self, target: Member, old: list[Member], new: list[Member], rid: str) -> None:
        """Carried by hand from everybody else: the room has ended long ago."""
        for member in {each.vertex: each for each in (*old, *new) if each.vertex != target.vertex}.values():
            bundle = ok(member.user, f"GET /reshares/{rid}/receipts", patience=self.world.patience)
            answer = call(target.user, f"POST /reshares/{rid}/receipts", bundle, patience=self.world.patience)
            # A joiner that has lost everything about the reshare has no share which could be told of it.
            lost = self.fault.keystore and target not in old and answer.status == 404  # type: ignore[attr-defined]
            if answer.status != 200 and not lost:
                self.result.wrong.append(f"receipts of {member.vertex} refused: {answer.body}")

    def _as_before(self, target: Member, old: list[Member], new: list[Member]) -> None:
        self.world.until(lambda: self._settled(old, new, False), lambda: self._told(target))
        self._expect(("share_erased",), self.life.sign(old[:2]), "after a restore erased shares sign nothing")
        mine = [each for each in new if each.vertex == target.vertex]
        signers = [*mine, *(each for each in new if each not in mine)][: self.scenario.shape.new_t]
        self._expect(None, self.life.sign(signers, patient=True), "after a restore the new quorum signs")
        self.result.outcome += ", restored: as before"

    def _unmasked(self, target: Member, old: list[Member]) -> None:
        """Shown what it said later, the vertex stops signing with this key until its operator decides."""
        held = [each for each in old if each.vertex == target.vertex]
        if held:
            self.world.until(
                lambda: (
                    bool(self.world.witness.query(target.vertex, _SUSPENDED, held[0].key_id)[0][0])
                    or self.world.witness.query(target.vertex, _STATE, held[0].key_id)[0][0] == "erased"
                ),
                lambda: f"{target.vertex} unmasked: {self._told(target)}",
            )
            mixed = [held[0], *(each for each in old if each is not held[0])][: self.life.threshold]
            if self.life.sign(mixed) is None:
                self.result.wrong.append("a restored old share has signed")
        self.result.outcome += ", restored: unmasked"


def restores(shape: Shape = SAME) -> list[Scenario]:
    """Every step with every role that passes it, with and without the keystore."""
    found = []
    for name, roles in STEPS:
        point = named(name)
        for role in roles:
            for keystore in (False, True):
                found.append(
                    Scenario(
                        shape,
                        point.path,
                        role,
                        lambda point=point, keystore=keystore: Dumped(point, keystore=keystore),
                        dumped_name(point, keystore),
                        run=RestoreRun,
                        alone=True,
                    )
                )
    return found


_STATE = "SELECT state FROM keys_keyshare WHERE id = %s"
_SUSPENDED = "SELECT suspended FROM keys_keyshare WHERE id = %s"
