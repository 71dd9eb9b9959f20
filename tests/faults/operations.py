"""Operations that are more than a reshare, each under one fault: refresh, supersede, carry (lifecycle.md, step 7)."""

import time
from collections.abc import Sequence
from typing import cast

from cluster.vertex import WORKER
from tests.faults.life import Member, Stuck
from tests.faults.outages import ForgottenMeanwhile, away
from tests.faults.points import Role
from tests.faults.scenario import TRIES, Run

SETTLED = 1.0  # seconds after which a party that is clean has told the room so
Operations = list[tuple[Member, str]]  # a party and its operation's id


class RefreshRun(Run):
    """All stay, and policies confirm by themselves: from the calls to the end in one phase."""

    def _one_reshare(self, *, strike: bool) -> bool:
        life = self.life
        old = self.rng.sample(life.members, len(life.members))
        operations = self.operations = []

        def begin() -> None:
            operations.extend(life.refresh_begin())

        def failed() -> bool:
            return any(life.operation(*each)[0] == "failed" for each in operations)

        def done() -> bool:
            return bool(operations) and (failed() or self._states(operations) == {"clean"})

        if strike:
            self._under_fault(old[0], begin, done)
        else:
            begin()
            self.world.until(done, lambda: self._where(operations))
        if failed():
            self._given_up(operations, old)
            return False
        new = life.renewed(old, operations)
        self.world.until(lambda: self._settled(old, new, False), lambda: self._where(operations))
        self._afterwards(old, new, False)
        return True


class ForgottenRun(Run):
    """The target is complete and away when the old party that did not vote comes back, erases too, and all others
    end."""

    def _vote(self, old: list[Member], new: list[Member], operations: Operations, target: Member | None) -> bool:
        if target is None:
            return super()._vote(old, new, operations, target)
        life, of = self.life, {member.keygen_id: operation for member, operation in operations}
        others = [each for each in operations if each[0].vertex != target.vertex]
        [complete] = [each for each in operations if each not in others]
        *voters, late = old
        with away(self.supervisor, late.vertex):
            self.world.together(
                [lambda each=each: life.vote(each, of[each.keygen_id], "confirm-deletion") for each in voters]
            )
            self.world.until(lambda: self._states([complete]) == {"complete"}, lambda: self._where(operations))
            fault = cast("ForgottenMeanwhile", self.fault)

            def begin() -> None:
                self.supervisor.release(late.vertex, WORKER)
                self.world.until(lambda: self._states(others) == {"clean"}, lambda: self._where(operations))
                time.sleep(SETTLED)
                fault.others_ended.set()

            def done() -> bool:
                return self._states(operations) == {"clean"} and self._settled(old, new, False)

            self._under_fault(target, begin, done)
        self._afterwards(old, new, False)
        return True


class HungRun(Run):
    """Begins with attempts that hang on purpose."""

    def _quarantined(self, staying: Sequence[Member], leaving: Sequence[Member], joining: int) -> Operations:
        """A reshare up to quarantine, repeated where another lane's fault ended it."""
        life, operations = self.life, Operations()
        free = [name for name in self.world.names if name not in life.vertices]

        def stored() -> bool:
            """Everybody knows that every new share is stored: from now on no deadline ends the attempt."""
            rids = [(member.vertex, life.attempt_of(member, operation)[2]) for member, operation in operations]
            return all(
                self.world.witness.query(vertex, _STORED, rid)[0][0] == len(staying) + joining for vertex, rid in rids
            )

        for _ in range(TRIES):
            fresh = [self.world.member(name) for name in self.rng.sample(free, joining)]
            operations[:] = life.reshare_begin(staying, fresh, leaving, life.threshold)
            life.await_operations(operations)
            self.world.until(
                lambda: stored() or self._states(operations) <= {"aborted", "failed"}, lambda: self._where(operations)
            )
            if stored():
                return operations
        raise Stuck(f"{TRIES} attempts, none of which came to quarantine")

    def _discarded(self, shares: Sequence[Member]) -> bool:
        return all(self._state(member) == "discarded" for member in shares)


class SupersedeRun(HungRun):
    """All parties reshare among themselves, nobody votes; their operators let the scenario's reshare supersede that."""

    hung: Sequence[Member] = ()

    def _reshare(self) -> None:
        members = self.life.members
        operations = self._quarantined(members, [], 0)
        self.hung = self.life.renewed(members, operations)
        self.world.together([lambda each=each: self.life.vote(*each, "supersede") for each in operations])
        super()._reshare()

    def _vote(self, old: list[Member], new: list[Member], operations: Operations, target: Member | None) -> bool:
        """Two attempts are stored everywhere, and nobody has voted: that has cost nobody the old share."""
        self._expect(
            None, self.life.sign(old[: self.life.threshold], patient=True), "before a vote the old quorum signs"
        )
        self.judge()
        return super()._vote(old, new, operations, target)

    def _settled(self, old: Sequence[Member], new: Sequence[Member], aborts: bool) -> bool:
        return super()._settled(old, new, aborts) and self._discarded(self.hung)

    def _afterwards(self, old: list[Member], new: list[Member], aborts: bool) -> None:
        refused = self.life.sign(self.hung[: self.life.threshold])
        self._expect(("share_erased", "reshare_not_complete"), refused, "superseded shares sign nothing")
        super()._afterwards(old, new, aborts)


class CarryRun(HungRun):
    """B votes for an attempt of A, B and the joining D, then promises another one with C, of which A knows nothing. A
    votes and erases; neither B nor C may follow. A's operator orders the first one to be carried on."""

    def _one_reshare(self, *, strike: bool) -> bool:
        life = self.life
        old = a, b, c = self.rng.sample(life.members, 3)
        operations = self.operations = self._quarantined([a, b], [c], 1)
        of = {member.keygen_id: operation for member, operation in operations}
        [d] = [member for member, _ in operations if member not in old]
        new = life.renewed([a, b, d], operations)
        second = self._hang(a, b, c, of)

        def begin() -> None:
            life.vote(a, of[a.keygen_id], "carry")

        def done() -> bool:
            ended = self._states(operations) == {"clean"} and self._settled(old, new, False)
            return ended and self._discarded(second)

        if strike:
            remaining = a if "propose" in self.scenario.name else b
            target = {Role.REMAINING: remaining, Role.DEPARTING: c, Role.JOINING: d}[self.scenario.role]
            self._under_fault(target, begin, done)
        else:
            begin()
            self.world.until(done, lambda: self._where(operations))
        refused = life.sign(second)
        self._expect(("share_erased", "reshare_not_complete"), refused, "shares of the other attempt sign nothing")
        self._afterwards(old, new, False)
        return True

    def _hang(self, a: Member, b: Member, c: Member, of: dict[str, str]) -> list[Member]:
        """The new shares of B and C's attempt, when the first one is committed and only A has erased for it."""
        life, query = self.life, self.world.witness.query
        rid = life.attempt_of(a, of[a.keygen_id])[2]
        life.vote(b, of[b.keygen_id], "confirm-deletion")
        self.world.until(
            lambda: query(a.vertex, _CONFIRMED, rid, bytes.fromhex(b.party))[0][0] == 1, lambda: "B's vote at A"
        )
        for member in (b, c):
            life.vote(member, of[member.keygen_id], "supersede")
        second = life.renewed([b, c], self._quarantined([b, c], [], 0))
        life.vote(a, of[a.keygen_id], "confirm-deletion")
        self.world.until(lambda: self._state(a) == "erased", lambda: f"A, which has voted, is {self._state(a)}")
        if (states := [self._state(member) for member in (b, c)]) != ["retiring", "retiring"]:
            self.result.wrong.append(f"below their promise B and C are {states}")
        self.judge()
        return second


_STORED = "SELECT count(DISTINCT party) FROM keys_receipt WHERE kind = 'STORED' AND subject = %s"
_CONFIRMED = "SELECT count(*) FROM keys_receipt WHERE kind = 'CONFIRMED' AND subject = %s AND party = %s"
