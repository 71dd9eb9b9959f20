"""An error ends one scenario and no lane; what is counted of a run, and what its table shows."""

import json
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from cluster.process import StartError
from tests.faults import plan
from tests.faults.client import Unanswered
from tests.faults.harness import Harness
from tests.faults.life import Life, Stuck, World
from tests.faults.outages import Servers
from tests.faults.points import Path, Role, named
from tests.faults.result import Result, Verdict
from tests.faults.scenario import Run, Scenario
from tests.faults.shapes import SAME
from tests.faults.struck import AtPoint, Fault, NotReached, Stage, Times
from tests.faults.table import figures, summary, table
from tests.faults.vertices import STORE_BY


class Nothing(Fault):
    name = "nothing"

    def strike(self, stage: Stage) -> Times:
        return Times(0.0, 0.0)


def scenario(run: type[Run] | None = None, fault: Callable[[], Fault] = Nothing, name: str = "nothing") -> Scenario:
    return Scenario(SAME, Path.RESHARE, Role.REMAINING, fault, name, run=run)


def raising(error: Exception, violations: tuple[str, ...] = ()) -> type[Run]:
    class Raising(Run):
        def perform(self) -> None:
            raise error

        def judge(self) -> None:
            self.result.wrong += violations

    return Raising


def harness(life: Callable[[], Any]) -> Harness:
    """One without a cluster, whose lanes are threads and whose keys are made by `life`."""
    found = object.__new__(Harness)
    found.seed, found.say = 1, lambda _: None
    found.results, found.errors, found._lock, found._kept = [], [], threading.Lock(), None
    found.world = found.supervisor = SimpleNamespace(run=lambda lanes: [lane() for lane in lanes])  # type: ignore[assignment]
    found.new_life = lambda rng, t=2, n=3: life()  # type: ignore[method-assign]
    return found


def key() -> Any:
    return SimpleNamespace(threshold=2, members=[None] * 3, past=[])


@pytest.mark.parametrize(
    ("error", "violations", "verdict"),
    [
        (StartError("postgres did not start"), (), Verdict.ERROR),
        (httpx.ConnectError("refused"), (), Verdict.ERROR),
        (KeyError("worker"), (), Verdict.ERROR),
        (Stuck("not within 90 s"), (), Verdict.STUCK),
        (Unanswered("a vertex"), (), Verdict.STUCK),
        (NotReached("a point"), (), Verdict.NOT_REACHED),
        (AssertionError("a signature does not verify"), (), Verdict.VIOLATED),
        (StartError("postgres did not start"), ("I2: two",), Verdict.VIOLATED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_an_error_fails_its_own_scenario_only(error: Exception, violations: tuple[str, ...], verdict: Verdict) -> None:
    played = harness(key)
    played.play([scenario(raising(error, violations)), scenario(type("Well", (raising(error),), WELL))], lanes=1)
    assert [result.verdict for result in played.results] == [verdict, Verdict.OK]
    assert any(str(error) in told for told in played.results[0].told)
    assert played.errors == []


def test_a_result_is_kept_when_its_scenario_ends() -> None:
    kept: list[Result] = []
    played = harness(key)
    played._kept = SimpleNamespace(add=kept.append)  # type: ignore[assignment]
    played.play(
        [scenario(raising(RuntimeError("no"))), scenario(type("Well", (raising(RuntimeError("no")),), WELL))], lanes=1
    )
    assert kept == played.results
    assert len(kept) == 2


WELL: dict[str, Any] = {"perform": lambda self: None}


def test_a_lane_without_a_key_is_an_error_of_the_run_and_ends_no_other_one() -> None:
    keys = iter([StartError("no"), StartError("no"), StartError("no"), key()])

    def life() -> Any:
        found = next(keys)
        if isinstance(found, Exception):
            raise found
        return found

    played = harness(life)
    played.play([scenario(type("Well", (Run,), WELL | {"judge": lambda self: None}))], lanes=2)
    assert played.errors == ["lane 0: StartError: no"]
    assert [result.ok for result in played.results] == [True]


class Recorded(Nothing):
    """Fails where it is told to, and remembers that it was withdrawn."""

    def __init__(self, at: str) -> None:
        self.at, self.withdrawn = at, 0

    def prepare(self, stage: Stage) -> None:
        if self.at == "prepare":
            raise StartError("prepare")

    def strike(self, stage: Stage) -> Times:
        if self.at == "strike":
            raise StartError("strike")
        while not stage.over():
            pass
        raise NotReached("over")

    def withdraw(self, stage: Stage) -> None:
        self.withdrawn += 1


@pytest.mark.parametrize("at", ["prepare", "strike", "begin"])
def test_an_error_under_a_fault_withdraws_it_and_frees_the_vertex(at: str) -> None:
    fault, lock = Recorded(at), threading.Lock()
    world = object.__new__(World)
    world.patience, world._pool = 5.0, ThreadPoolExecutor(2)
    supervisor: Any = SimpleNamespace(locks={"a": lock})
    target: Any = SimpleNamespace(vertex="a", party="aa")

    def begin() -> None:
        if at == "begin":
            raise StartError("begin")

    run = Run(world, supervisor, key(), scenario(fault=lambda: fault), "seed")
    with pytest.raises(StartError, match=at):
        run._under_fault(target, begin, lambda: False)
    assert fault.withdrawn == 1
    assert not lock.locked()


def test_a_point_that_a_stuck_phase_never_reaches_is_not_awaited_for_ever() -> None:
    fault = AtPoint(named("after journal: confirm"))
    fault._order = SimpleNamespace(fired_at=None)  # type: ignore[assignment]
    stage = Stage(SimpleNamespace(), "a", "aa", random.Random(1), lambda: False, patience=0.05)  # type: ignore[arg-type]
    with pytest.raises(NotReached, match="confirm"):
        fault.await_fired(stage)


def test_a_server_that_did_not_come_back_is_started_again_by_the_withdrawal() -> None:
    comes = iter([False, True])
    started: list[bool] = []

    def up(_: Any) -> None:
        started.append(next(comes))
        if not started[-1]:
            raise StartError("postgres did not start")

    nobody: Any = SimpleNamespace(
        hold=lambda *_: None, release=lambda *_: None, ask=lambda call: call(), cluster=SimpleNamespace()
    )
    stage = Stage(nobody, "a", "aa", random.Random(1), lambda: False, 1.0)
    fault = Servers("postgres stopped", lambda _: None, up, seconds=0.0)
    with pytest.raises(StartError):
        fault.strike(stage)
    fault.withdraw(stage)
    fault.withdraw(stage)
    assert started == [False, True]


def test_clocks_are_played_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "faketime", lambda: "/usr/bin/faketime")
    jumps = [each for each in [*plan.alone(1), *plan.everything(1)] if each.name.startswith("clock of")]
    assert len(jumps) == 48
    assert all(each.alone for each in jumps)


def test_the_figures_of_a_run() -> None:
    well = Result(scenario(), "complete", struck=True, seconds=2.0, since_back=1.0)
    slow = Result(scenario(), "complete", struck=True, seconds=30.0, since_back=6.0)
    two = Result(scenario(), "complete", ["I2: two"], struck=True, seconds=3.0)
    hung = Result(scenario(), struck=True)
    hung.broken_by(Stuck("not within 90 s"))
    failed, missed = Result(scenario()), Result(scenario())
    failed.broken_by(StartError("no"))
    missed.broken_by(NotReached("a point"))
    found = figures([well, slow, two, hung, failed, missed], ["audit log of a: broken"])
    counts = {name: number for name, number in found.items() if isinstance(number, int)}
    assert counts == {
        "scenarios": 6,
        "faults": 4,
        "recoveries": 2,
        "violations": 1,
        "stuck": 1,
        "errors": 2,
        "not_reached": 1,
        "late": 1,
    }
    assert found["after_fault"] == {"p50": 3.0, "p95": 30.0, "max": 30.0}
    sentence, line = summary([well, slow]).splitlines()
    assert sentence.startswith("2 scenarios; 2 faults; 2 recoveries; 0 violations; 0 stuck; 0 errors; 0 not reached")
    assert json.loads(line) == figures([well, slow])


def test_the_table_shows_the_worst_of_a_cell() -> None:
    bad = Result(scenario(), "complete", ["I2: two"], struck=True, seconds=3.0)
    good = Result(scenario(), "complete", struck=True, seconds=30.0)
    assert "| complete, VIOLATED, 3.0 s |" in table([bad, good])
    assert "| complete, I1–I5 ok, 30.0 s, late |" in table([good])


@pytest.mark.parametrize(
    ("ago", "states", "confirmed", "late"),
    [
        (STORE_BY + 1, ["aborted", "aborted"], {"a": ["a"], "b": []}, True),
        (STORE_BY - 1, ["aborted", "aborted"], {"a": [], "b": []}, False),
        (STORE_BY + 1, ["aborted", "voting"], {"a": [], "b": []}, False),
        (STORE_BY + 1, ["aborted", "aborted"], {"a": ["a"], "b": ["b"]}, False),
    ],
    ids=["late", "too early", "not everywhere", "two of three have confirmed"],
)
def test_an_abort_is_excused_by_the_deadline_for_storing_alone(
    ago: float, states: list[str], confirmed: dict[str, list[str]], late: bool
) -> None:
    witness = SimpleNamespace(query=lambda vertex, *_: [(party.encode(),) for party in confirmed[vertex]])
    world: Any = SimpleNamespace(witness=witness)
    members: list[Any] = [SimpleNamespace(vertex=name) for name in "abc"]
    life = Life(world, members, threshold=2)
    life.attempt_of = lambda member, operation: ("", operation, b"")  # type: ignore[method-assign]
    assert life.late(list(zip(members, states, strict=False)), time.monotonic() - ago) is late


@pytest.mark.parametrize("err_type", ["not_ready", "executor_result"])
def test_a_call_that_was_cut_off_is_made_again_even_behind_one_that_waits(err_type: str) -> None:
    found = {"waits": ("pending", None), "cut off": ("failed", {"err_type": err_type}), "again": ("done", {})}
    witness = SimpleNamespace(query=lambda vertex, sql, operation: [found[operation]])
    life = Life(SimpleNamespace(witness=witness), [], threshold=2)  # type: ignore[arg-type]
    asked: list[Any] = []
    life.begin = lambda member, *call: asked.append(call) or "again"  # type: ignore[method-assign,func-returns-value]
    life.calls.made["cut off"] = ("POST /ecdsa/keygen", {})
    member: Any = SimpleNamespace(vertex="a")
    assert not life.ended([(member, "waits"), (member, "cut off")])
    again = err_type == "not_ready"
    assert asked == ([("POST /ecdsa/keygen", {})] if again else [])
    assert life.operation(member, "cut off")[0] == ("done" if again else "failed")
