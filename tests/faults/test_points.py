"""Kill points name functions that are there, and transitions and receipts that the rule knows."""

import importlib
import json
import multiprocessing
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from reshare.rule import steps
from reshare.rule.table import TABLE
from reshare.rule.types import Kind
from tests.faults import plan
from tests.faults.armed import FIRED, Orders, wrap
from tests.faults.arming import arm
from tests.faults.points import POINTS, SITES, Role, Seen, Site, When, cells, named
from tests.faults.points import Path as Way
from tests.faults.shapes import SAME, SHAPES

STEP_OF = {
    "journal": steps.Journal,
    "database": steps.Database,
    "sealed": steps.Seal,
    "proved": steps.Prove,
    "erased": steps.Erase,
    "verified": steps.Verify,
    "dropped": steps.Drop,
}


@pytest.mark.parametrize("site", SITES.values(), ids=lambda site: site.name)
def test_every_site_is_a_function_of_the_code(site: Site) -> None:
    module, _, path = site.target.partition(":")
    owner = importlib.import_module(module)
    for part in path.split("."):
        owner = getattr(owner, part)
    assert callable(owner)


def test_every_point_has_a_site_and_a_name_of_its_own() -> None:
    assert {point.site for point in POINTS} <= SITES.keys()
    assert len({point.name for point in POINTS}) == len(POINTS)
    assert {role for _, role in cells()} == set(Role)


def test_labels_are_transitions_and_receipts_of_the_rule() -> None:
    transitions = {transition.name for transition in TABLE}
    labels = {label for point in POINTS if point.site in STEP_OF for label in point.label.split("|")}
    assert labels <= transitions
    assert {point.label for point in POINTS if point.site == "receipt"} <= set(Kind)


def test_the_fixed_forty() -> None:
    fixed = plan.fixed()
    assert len(fixed) == 40
    assert sum(scenario.shape is not SAME for scenario in fixed) == 6
    assert {scenario.shape for scenario in fixed} == set(SHAPES)
    assert len({(scenario.name, scenario.role, scenario.shape) for scenario in fixed}) == 40
    assert {scenario.path for scenario in fixed} == set(Way)


def test_refresh_supersede_and_carry_are_struck_where_they_pass() -> None:
    rows = {(each.path, each.name.removeprefix("kill "), each.role): each for each in plan.operations()}
    assert len(rows) == len(list(plan.operations())), "a row of its own for each"
    assert len({(path, role) for path, _, role in rows}) == 1 + 3 + 3
    for point, role in cells():
        key = (point.name, role)
        if point.path in (Way.SUPERSEDE, Way.CARRY):
            assert (point.path, *key) in rows
        if role == Role.REMAINING and point.path in (Way.RESHARE, Way.CONFIRM) and "following" not in point.label:
            assert (Way.REFRESH, *key) in rows
    assert all(each.run is not None and not each.run.spoils for each in rows.values())
    drawn = [each.path for each in plan.everything(seed=1)]
    assert {Way.REFRESH, Way.SUPERSEDE, Way.CARRY} <= set(drawn[:60]), "a run broken off has some of each"


def test_the_plan_covers_every_cell_of_the_table() -> None:
    planned = {(scenario.name, scenario.role, scenario.shape.name) for scenario in plan.everything(seed=1)}
    for point, role in cells():
        assert (f"kill {point.name}", role, SAME.name) in planned
    assert len(planned) >= 300


def test_every_row_is_played_once_before_any_is_twice() -> None:
    drawn = [(each.path, each.name, each.role) for each in plan.everything(seed=1)]
    rows = set(drawn)
    assert set(drawn[: len(rows)]) == rows
    assert drawn[: len(rows)] != [(each.path, each.name, each.role) for each in plan.everything(seed=2)][: len(rows)]


def test_a_site_that_is_gone_stops_the_process() -> None:
    gone = Site("gone", "keys.shares:no_such_function", lambda: Seen("", ""))
    with pytest.raises(AttributeError, match="no_such_function"):
        wrap(gone, lambda *_: None)


def _pass_by(folder: Path, site: str, when: When, seen: Seen) -> None:
    Orders(folder).hit(site, when, seen)
    os._exit(0)


@pytest.mark.parametrize(
    ("seen", "when", "code"),
    [
        (Seen("confirm", "aa"), When.AFTER, -signal.SIGKILL),
        (Seen("confirm", "bb"), When.AFTER, 0),
        (Seen("abort", "aa"), When.AFTER, 0),
        (Seen("confirm", "aa"), When.BEFORE, 0),
    ],
    ids=["here", "another party", "another label", "too early"],
)
def test_a_process_dies_at_the_point_that_it_was_ordered_to_and_nowhere_else(
    tmp_path: Path, seen: Seen, when: When, code: int
) -> None:
    order = arm(tmp_path, named("after journal: confirm"), party="aa")
    process = multiprocessing.get_context("fork").Process(target=_pass_by, args=(tmp_path, "journal", when, seen))
    process.start()
    process.join()
    assert process.exitcode == code
    assert (order.fired_at is not None) == (code != 0)


def test_an_order_is_obeyed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, sig: killed.append(sig))
    point = named("after journal: confirm")
    order = arm(tmp_path, point, action="stop")
    for _ in range(3):
        Orders(tmp_path).hit("journal", When.AFTER, Seen("confirm", "aa"))
    assert killed == [signal.SIGSTOP]
    assert json.loads((tmp_path / FIRED / order.name).read_text())["site"] == "journal"


def test_what_was_taken_back_is_not_obeyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("obeyed"))
    order = arm(tmp_path, named("after journal: confirm"))
    order.take_back()
    Orders(tmp_path).hit("journal", When.AFTER, Seen("confirm", "aa"))
    assert order.fired_at is None


def test_a_wrapped_function_is_the_same_before_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(double=lambda number: 2 * number)
    monkeypatch.setattr(importlib, "import_module", lambda _: module)
    passed: list[tuple[str, When, Seen]] = []
    site = Site("doubled", "anything:double", lambda number: Seen(str(number), ""))
    wrap(site, lambda *what: passed.append(what))
    assert module.double(3) == 6
    assert passed == [("doubled", when, Seen("3", "")) for when in (When.BEFORE, When.AFTER)]
