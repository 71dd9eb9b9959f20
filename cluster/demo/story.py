"""Steps of a story: shown while they happen, kept with what they showed and took."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table


class StepFailed(Exception):
    """A step did not hold; the message names it."""


def check(holds: bool, what: str) -> None:
    """AssertionError, also under `python -O`."""
    if not holds:
        raise AssertionError(what)


@dataclass
class Story:
    console: Console
    told: list[tuple[str, list[str], float]] = field(default_factory=list)

    @contextmanager
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        """Yields what a step calls with each thing it has shown. Raises StepFailed from what it raises."""
        begun = time.monotonic()
        shown: list[str] = []

        def show(line: str) -> None:
            shown.append(line)
            self.console.print(f"    {line}", style="dim", highlight=False)

        self.console.print(f"[bold cyan]{len(self.told) + 1:2}[/]  {title}", highlight=False)
        try:
            with self.console.status("working"):
                yield show
        except Exception as error:
            raise StepFailed(f"step {len(self.told) + 1}, {title}: {error}") from error
        self.told.append((title, shown, time.monotonic() - begun))

    def table(self) -> Table:
        """All steps with their last word and their seconds."""
        table = Table("", "step", "what it showed", title="What happened")
        table.add_column("seconds", justify="right")
        for number, (title, shown, seconds) in enumerate(self.told, 1):
            table.add_row(str(number), title, shown[-1] if shown else "", f"{seconds:.1f}")
        table.add_section()
        table.add_row("", "together", "", f"{sum(seconds for *_, seconds in self.told):.1f}")
        return table
