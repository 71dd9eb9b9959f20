"""A measured figure and its one line of JSON."""

import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One line of the benchmark. `bar`: what the value must not exceed, in the same unit."""

    name: str
    value: float
    unit: str
    bar: float | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """The figure as JSON; `more` follows the fixed names."""
        bar = {} if self.bar is None else {"bar": self.bar}
        fixed = {"name": self.name, "value": _rounded(self.value), "unit": self.unit, **bar}
        return json.dumps(fixed | {name: _rounded(value) for name, value in self.more.items()})

    def show(self) -> None:
        """The line on standard output, and a word on standard error when the bar is missed."""
        print(self.line(), flush=True)
        if self.bar is not None and self.value > self.bar:
            say(f"{self.name}: {self.value:.1f} {self.unit} is over the bar of {self.bar:g}")


def of_times(name: str, seconds: Sequence[float], *, share: float = 0.5, bar: float | None = None) -> Figure:
    """A quantile of durations, in milliseconds: by default the median. ValueError without any."""
    times = [1000 * each for each in seconds]
    more = {"n": len(times), "min": min(times), "max": max(times)}
    return Figure(name, quantile(times, share), "ms", bar, more)


def quantile(values: Sequence[float], share: float) -> float:
    """The value that a `share` of the values does not exceed, between its neighbours where none sits there."""
    if len(values) == 1:
        return values[0]
    if share == 0.5:
        return statistics.median(values)
    return statistics.quantiles(values, n=100, method="inclusive")[round(100 * share) - 1]


def say(line: str) -> None:
    """Progress, on standard error."""
    print(line, file=sys.stderr, flush=True)


def _rounded(value: Any) -> Any:
    return round(value, 2) if isinstance(value, float) else value
