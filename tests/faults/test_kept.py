"""Several runs, one table: nothing that failed is forgotten, nothing that held is played twice."""

import json
import pathlib
from collections.abc import Callable

import pytest

from tests.faults.kept import BadResults, Kept
from tests.faults.life import Stuck
from tests.faults.points import Path, Role
from tests.faults.result import Result
from tests.faults.scenario import Scenario
from tests.faults.shapes import GROW, SAME
from tests.faults.struck import Fault

A, B, C = (
    Scenario(shape, Path.RESHARE, Role.REMAINING, Fault, name)
    for shape, name in ((SAME, "one"), (GROW, "one"), (SAME, "other"))
)


def test_the_next_run_has_the_results_and_plays_what_is_left(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "results"
    first = Kept(path, [A, B, C])
    assert first.left([A, B, C]) == [A, B, C]
    well = Result(A, "complete", struck=True, seconds=2.0, since_back=1.0, took=3.0)
    hung = Result(B, struck=True, took=90.0)
    hung.broken_by(Stuck("not within 90 s"))
    violated = Result(C, "complete", ["I2: two"], struck=True)
    for result in (well, hung, violated):
        first.add(result)
    assert first.results == [well, hung, violated]

    second = Kept(path, [A, B, C])
    assert second.results == [well, hung, violated]
    assert second.left([A, B, C]) == [B, C]
    second.add(Result(B, "complete", struck=True))
    third = Kept(path, [A, B, C])
    assert [result.ok for result in third.results] == [True, False, False, True], "what failed once still counts"
    assert third.left([A, B, C]) == [C]


def test_a_line_that_a_killed_run_did_not_finish_is_dropped(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "results"
    Kept(path, [A]).add(Result(A, "complete"))
    whole = path.read_text()
    path.write_text(whole + '{"cell": ["resh')
    kept = Kept(path, [A, B])
    kept.add(Result(B, "complete"))
    assert [result.scenario for result in Kept(path, [A, B]).results] == [A, B]


@pytest.mark.parametrize(
    "line",
    [
        "nothing",
        "[]",
        "{}",
        pytest.param(lambda good: {**good, "cell": ["reshare", "gone", "remaining", SAME.name]}, id="gone"),
    ],
)
def test_another_file_is_refused(tmp_path: pathlib.Path, line: str | Callable[[dict[str, object]], object]) -> None:
    path = tmp_path / "results"
    Kept(path, [A]).add(Result(A, "complete"))
    bad = line if isinstance(line, str) else json.dumps(line(json.loads(path.read_text())))
    path.write_text(path.read_text() + bad + "\n")
    with pytest.raises(BadResults, match="line 2"):
        Kept(path, [A])
