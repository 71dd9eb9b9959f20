"""What became of one scenario."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from tests.faults.client import Unanswered
from tests.faults.life import Stuck
from tests.faults.struck import NotReached

if TYPE_CHECKING:
    from tests.faults.scenario import Scenario


class Verdict(StrEnum):
    """Worst last. Only `OK` is no failure of the run."""

    OK = "ok"
    NOT_REACHED = "not reached"  # the fault did not strike
    ERROR = "error"  # the harness, or a server of its own, failed: nothing is shown by it
    STUCK = "stuck"  # I4
    VIOLATED = "violated"  # I1–I3, I5, or an answer that should not have been given


SEVERITY = {verdict: number for number, verdict in enumerate(Verdict)}


@dataclass(slots=True)
class Result:
    """One line of the table."""

    scenario: "Scenario"
    outcome: str = ""
    wrong: list[str] = field(default_factory=list)  # violations, in words
    broke: Verdict | None = None  # why the scenario did not come to its end
    message: str = ""  # the exception's
    struck: bool = False
    seconds: float | None = None  # from the fault to the end of its phase
    since_back: float | None = None  # from when the killed process was back
    took: float = 0.0

    @property
    def verdict(self) -> Verdict:
        return Verdict.VIOLATED if self.wrong else self.broke or Verdict.OK

    @property
    def ok(self) -> bool:
        return self.verdict == Verdict.OK

    @property
    def told(self) -> list[str]:
        """All that is wrong."""
        return [*self.wrong, *([self.message] if self.message else [])]

    def broken_by(self, error: Exception) -> None:
        """The scenario ended with this; what ended it first is what counts."""
        text = f"{type(error).__name__}: {error}"
        if isinstance(error, AssertionError):  # a signature that does not verify
            self.wrong.append(text)
        elif self.broke is None:
            self.broke, self.message = _kind(error), text
        self.outcome = self.outcome or self.verdict


def _kind(error: Exception) -> Verdict:
    if isinstance(error, (Stuck, Unanswered)):
        return Verdict.STUCK
    return Verdict.NOT_REACHED if isinstance(error, NotReached) else Verdict.ERROR
