"""`python -m tests.faults`: faults without number; the table of what became of them. Exit code 0 only if all held."""

import argparse
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.faults import plan
from tests.faults.harness import Harness
from tests.faults.kept import BadResults, Kept
from tests.faults.scenario import Scenario
from tests.faults.table import late, line, summary, table
from tests.faults.vertices import faketime

ALONE = 0.35  # share of the time


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def chosen(scenarios: list[Scenario], only: re.Pattern[str]) -> list[Scenario]:
    """Those in whose "name, role, path, shape" the expression is found."""
    return [each for each in scenarios if only.search(f"{each.name}, {each.role}, {each.path}, {each.shape.name}")]


def expression(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a regular expression: {error}") from error


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=85.0, help="no scenario begins later than that")
    parser.add_argument(
        "--only", type=expression, default="", help='those in whose "name, role, path, shape" this expression is found'
    )
    parser.add_argument("--seed", type=int, default=int(time.time()), help="decides who is struck, and when")
    parser.add_argument("--lanes", type=int, default=3, help="keys that are struck at once")
    parser.add_argument("--fixed", action="store_true", help="the forty of `make test` instead")
    parser.add_argument("--strict", action="store_true", help="what recovers late fails too (two idle cores)")
    parser.add_argument("--run-dir", type=Path, help="of the cluster; kept, with its logs (by default a temporary one)")
    parser.add_argument("--results", type=Path, help="file that results are added to; what held there is not played")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    say(f"seed {arguments.seed}")
    if faketime() is None:
        say("not run: clocks that jump (faketime is not installed)")
    everything = plan.fixed() if arguments.fixed else [*plan.alone(arguments.seed), *plan.everything(arguments.seed)]
    wanted, kept = chosen(everything, arguments.only), None
    if arguments.results is not None:
        try:
            kept = Kept(arguments.results, everything)
        except BadResults as error:
            parser.error(str(error))
        wanted = kept.left(wanted)
    alone = [scenario for scenario in wanted if scenario.alone]
    scenarios = [scenario for scenario in wanted if not scenario.alone]
    begun, seconds = time.monotonic(), 60 * arguments.minutes
    with (
        tempfile.TemporaryDirectory(prefix="vertex-faults-") as temporary,
        Harness(arguments.run_dir or Path(temporary), seed=arguments.seed, say=say, kept=kept) as harness,
    ):
        if harness.cluster.embedded is None:
            say("not run: PostgreSQL and Redis stopped (they are not this run's own)")
            alone = [each for each in alone if not each.fault().exclusive]
        # One at a time is slow: it must not use up the time of the others.
        harness.play(alone, lanes=1, deadline=begun + (ALONE if scenarios else 1) * seconds)
        harness.play(scenarios, lanes=arguments.lanes, deadline=begun + seconds)
        results = kept.results if kept else harness.results
        print(table(results), flush=True)  # before anything else can fail
        broken = harness.chains()
        for death in harness.supervisor.unexpected:
            say(f"{death.vertex} {death.process} ended by itself with {death.code}")
        failures = [*harness.errors, *broken]
        tardy = [result for result in results if late(result)]
        for result in tardy:
            say(f"late: {line(result)}")
        print(*failures, sep="\n", end="\n" if failures else "")
        print(summary(results, failures))
        failed = failures or any(not result.ok for result in results) or (arguments.strict and tardy)
        return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
