"""What a run prints: a line when a scenario ends, and the table at last."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from tests.faults.disks import variant
from tests.faults.points import Role
from tests.faults.result import SEVERITY, Result, Verdict
from tests.faults.shapes import SHAPES

BAR_FAULT, BAR_BACK = 20.0, 5.0  # seconds (issue: from the fault, or from when a killed process is back)


def late(result: Result) -> bool:
    """Recovered later than 20 s after the fault, and later than 5 s after the killed process was back."""
    after_fault = result.seconds is not None and result.seconds > BAR_FAULT
    return after_fault and (result.since_back is None or result.since_back > BAR_BACK)


def line(result: Result) -> str:
    scenario = result.scenario
    recovered = "–" if result.seconds is None else f"{result.seconds:.1f} s"
    back = "" if result.since_back is None else f" ({result.since_back:.1f} s after it was back)"
    verdict = "ok" if result.ok else f"{result.verdict.upper()}: " + "; ".join(result.told)
    where = f"{scenario.name}, {scenario.role}, {scenario.path}, {scenario.shape.name}"
    return f"{where}: {result.outcome}, recovered {recovered}{back}, {result.took:.1f} s: {verdict}"


def table(results: Sequence[Result]) -> str:
    """Markdown: fault and role, then for each shape outcome, invariants and time to recover; of several the worst."""
    rows: dict[tuple[str, str, Role], dict[str, Result]] = defaultdict(dict)
    for result in results:
        scenario = result.scenario
        row = rows[scenario.path, scenario.name, scenario.role]
        row[scenario.shape.name] = max(row.get(scenario.shape.name, result), result, key=_severity)
    head = ["path", "fault", "role", *(shape.name for shape in SHAPES)]
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    for (path, name, role), by_shape in sorted(rows.items()):
        cells = [_cell(by_shape.get(shape.name)) for shape in SHAPES]
        lines.append(" | ".join([path, name, role, *cells]))
    return "\n".join(f"| {each} |" for each in lines)


def _severity(result: Result) -> int:
    return SEVERITY[result.verdict]


def _cell(result: Result | None) -> str:
    if result is None:
        return ""
    held = "I1–I5 ok" if result.ok else result.verdict.upper()
    recovered = "" if result.seconds is None else f", {result.seconds:.1f} s"
    return f"{result.outcome}, {held}{recovered}" + (", late" if late(result) else "")


def figures(results: Sequence[Result], errors: Sequence[str] = ()) -> dict[str, Any]:
    """The run in numbers (seconds). `errors`: what ended a lane, or broke an audit chain."""
    verdicts = Counter(result.verdict for result in results)
    return {
        "scenarios": len(results),
        "faults": sum(result.struck for result in results),
        "recoveries": sum(result.struck and result.seconds is not None and result.ok for result in results),
        "violations": verdicts[Verdict.VIOLATED],
        "stuck": verdicts[Verdict.STUCK],
        "errors": verdicts[Verdict.ERROR] + len(errors),
        "not_reached": verdicts[Verdict.NOT_REACHED],
        "late": sum(map(late, results)),
        "disks": variant(),
        "after_fault": _spread([result.seconds for result in results]),
        "after_back": _spread([result.since_back for result in results]),
    }


def summary(results: Sequence[Result], errors: Sequence[str] = ()) -> str:
    """One sentence to quote, and the same as a line of JSON."""
    found = figures(results, errors)
    counts = ("scenarios", "faults", "recoveries", "violations", "stuck", "errors", "not_reached", "late")
    told = [f"{found[name]} {name.replace('_', ' ')}" for name in counts]
    for name, of in (("after the fault", "after_fault"), ("after the process was back", "after_back")):
        if spread := found[of]:
            told.append(f"recovered {name}: " + ", ".join(f"{at} {seconds:.1f} s" for at, seconds in spread.items()))
    return "; ".join(told) + "\n" + json.dumps(found)


def _spread(values: Sequence[float | None]) -> dict[str, float]:
    known = sorted(value for value in values if value is not None)
    if not known:
        return {}
    return {name: round(_at(known, share), 2) for name, share in (("p50", 0.5), ("p95", 0.95), ("max", 1.0))}


def _at(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]
