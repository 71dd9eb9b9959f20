"""What a run prints: a line when a scenario ends, and the table at last."""

from collections import defaultdict
from collections.abc import Sequence

from tests.faults.points import Role
from tests.faults.scenario import SHAPES, Result

BAR_FAULT, BAR_BACK = 20.0, 5.0  # seconds (issue: from the fault, or from when a killed process is back)


def late(result: Result) -> bool:
    """Recovered later than 20 s after the fault, and later than 5 s after the killed process was back."""
    after_fault = result.seconds is not None and result.seconds > BAR_FAULT
    return after_fault and (result.since_back is None or result.since_back > BAR_BACK)


def line(result: Result) -> str:
    scenario = result.scenario
    recovered = "–" if result.seconds is None else f"{result.seconds:.1f} s"
    back = "" if result.since_back is None else f" ({result.since_back:.1f} s after it was back)"
    verdict = "ok" if result.ok else "WRONG: " + "; ".join(result.wrong)
    where = f"{scenario.name}, {scenario.role}, {scenario.path}, {scenario.shape.name}"
    return f"{where}: {result.outcome}, recovered {recovered}{back}, {result.took:.1f} s: {verdict}"


def table(results: Sequence[Result]) -> str:
    """Markdown: fault and role, then for each shape outcome, invariants and time to recover."""
    rows: dict[tuple[str, str, Role], dict[str, Result]] = defaultdict(dict)
    for result in results:
        scenario = result.scenario
        rows[scenario.path, scenario.name, scenario.role][scenario.shape.name] = result
    head = ["path", "fault", "role", *(shape.name for shape in SHAPES)]
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    for (path, name, role), by_shape in sorted(rows.items()):
        cells = [_cell(by_shape.get(shape.name)) for shape in SHAPES]
        lines.append(" | ".join([path, name, role, *cells]))
    return "\n".join(f"| {each} |" for each in lines)


def _cell(result: Result | None) -> str:
    if result is None:
        return ""
    held = "I1–I5 ok" if result.ok else "VIOLATED"
    recovered = "" if result.seconds is None else f", {result.seconds:.1f} s"
    return f"{result.outcome}, {held}{recovered}"


def summary(results: Sequence[Result]) -> str:
    times = sorted(result.seconds for result in results if result.seconds is not None)
    backs = sorted(result.since_back for result in results if result.since_back is not None)
    wrong = sum(not result.ok for result in results)
    told = [f"{len(results)} faults", f"{wrong} violations or stuck", f"{sum(map(late, results))} late"]
    for name, values in (("after the fault", times), ("after the process was back", backs)):
        if values:
            told.append(
                f"recovered {name}: p50 {_at(values, 0.5):.1f} s, p95 {_at(values, 0.95):.1f} s, max {values[-1]:.1f} s"
            )
    return "; ".join(told)


def _at(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]
