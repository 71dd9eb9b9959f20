"""Results in a file, a line of JSON each, so that several runs fill one table."""

import json
import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from tests.faults.result import Result, Verdict
from tests.faults.scenario import Scenario


class BadResults(Exception):
    """The file is not one of results, or speaks of scenarios that aren't planned."""


class Kept:
    """The results in a file, which may not exist yet. All count, also where a scenario failed and later did not."""

    def __init__(self, path: Path, planned: Sequence[Scenario]) -> None:
        self._path = path
        self._planned = {_cell(each): each for each in planned}
        self.results: list[Result] = []
        written = path.read_text() if path.exists() else ""
        whole = written[: written.rfind("\n") + 1]
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                self.results.append(self._read(json.loads(line)))
            except (ValueError, KeyError, TypeError) as error:
                raise BadResults(f"{path}, line {number}: {type(error).__name__}: {error}") from error
        if whole != written:  # a run that was killed while it wrote
            os.truncate(path, len(whole.encode()))

    def left(self, scenarios: Sequence[Scenario]) -> list[Scenario]:
        """Those that have not ended well yet."""
        done = {_cell(result.scenario) for result in self.results if result.ok}
        return [each for each in scenarios if _cell(each) not in done]

    def add(self, result: Result) -> None:
        """Write one down."""
        told = {name: getattr(result, name) for name in _FIELDS}
        with self._path.open("a") as file:
            file.write(json.dumps({"cell": _cell(result.scenario), **told}) + "\n")
        self.results.append(result)

    def _read(self, line: dict[str, Any]) -> Result:
        told = {name: line[name] for name in _FIELDS}
        told["broke"] = None if told["broke"] is None else Verdict(told["broke"])
        return Result(self._planned[tuple(line["cell"])], **told)


_FIELDS = [each.name for each in fields(Result) if each.name != "scenario"]


def _cell(scenario: Scenario) -> tuple[str, ...]:
    """Where it stands in the table."""
    return str(scenario.path), scenario.name, str(scenario.role), scenario.shape.name
