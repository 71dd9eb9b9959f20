"""Orders to the processes of one vertex: die, or stop, where a site of `points` is passed."""

import json
import os
import uuid
from dataclasses import dataclass
from pathlib import Path

from tests.faults.armed import ARMED, FIRED, READY
from tests.faults.points import Point


@dataclass(frozen=True, slots=True)
class Order:
    """One order; `fired_at` tells when it was obeyed."""

    folder: Path
    name: str

    @property
    def fired_at(self) -> float | None:
        """Unix seconds, or None while no process has passed there."""
        try:
            return (self.folder / FIRED / self.name).stat().st_mtime
        except FileNotFoundError:
            return None

    def take_back(self) -> None:
        (self.folder / ARMED / self.name).unlink(missing_ok=True)


def arm(folder: Path, point: Point, *, party: str = "", action: str = "kill") -> Order:
    """Order the next process of the vertex that passes the point for this party (hex; empty: any) to die or stop."""
    (folder / ARMED).mkdir(parents=True, exist_ok=True)
    (folder / FIRED).mkdir(exist_ok=True)
    (folder / READY).mkdir(exist_ok=True)
    order = Order(folder, f"{uuid.uuid4().hex}.json")
    wanted = {"site": point.site, "label": point.label, "when": point.when, "party": party, "action": action}
    written = folder / f"{order.name}.new"
    written.write_text(json.dumps(wanted))
    written.rename(folder / ARMED / order.name)
    return order


def ready(folder: Path, leader: int) -> bool:
    """Whether a process of the group that this one leads has said that it works (faketime's program is its child)."""
    for path in (folder / READY).glob("*"):
        try:
            if os.getpgid(int(path.name)) == leader:
                return True
        except ProcessLookupError:
            continue
    return False
