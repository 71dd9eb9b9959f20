"""`python -m tests.mutants [module…]`: which changes of the checks of `mpc/` no test notices.

Fails when a survivor is not explained in survivors.toml, and when one that is explained there is noticed after all.
"""

import argparse
import os
import sys
import time
import tomllib
from pathlib import Path

import pytest

from tests.mutants.modules import MODULES
from tests.mutants.runner import KILLED, UNTESTED, Runner

HERE = Path(__file__).resolve().parent
LIMIT = 3.0  # seconds of CPU that the tests of one mutant may take


def explained() -> dict[str, str]:
    """Why each survivor survives, by name."""
    entries = tomllib.loads((HERE / "survivors.toml").read_text()).get("survivor", [])
    names = {entry["mutant"]: entry["why"] for entry in entries}
    if len(names) != len(entries):
        raise ValueError("survivors.toml explains a mutant twice")
    return names


def run(modules: dict[str, tuple[str, ...]], workers: int) -> Runner:
    known = explained()

    def tell(name: str, verdict: int) -> None:
        if verdict != KILLED and name not in known:
            what = "no test enters" if verdict == UNTESTED else "survives"
            print(f"{what}: {name}", flush=True)

    runner = Runner(modules, workers, tell)
    files = sorted({f"tests/mpc/{name}" for names in modules.values() for name in names})
    quiet = [
        "-q",
        "-s",
        "-p",
        "no:django",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:timeout",
        "-o",
        "addopts=",
        "-W",
        "ignore",
    ]
    code = pytest.main([*quiet, *files], plugins=[runner])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        sys.exit(int(code))
    return runner


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", choices=[*MODULES, []], metavar="module")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    modules = {name: MODULES[name] for name in arguments.modules or MODULES}
    begun = time.monotonic()
    runner = run(modules, arguments.workers)
    reasons = {name: why for name, why in explained().items() if name.partition(":")[0] in modules}
    survivors = {name for name, verdict in runner.verdicts.items() if verdict != KILLED}
    for name in sorted(set(reasons) - survivors):
        print(f"{'is noticed now' if name in runner.verdicts else 'no such mutant any more'}: {name}")
    for module, function, seconds in runner.slowest():
        if seconds > LIMIT:
            print(f"note: the tests of {module}:{function} take {seconds:.1f} s, more than {LIMIT:.0f} s")
    print(
        f"{len(runner.verdicts)} mutants, {len(runner.verdicts) - len(survivors)} noticed, "
        f"{len(survivors & set(reasons))} explained, in {time.monotonic() - begun:.0f} s"
    )
    return int(survivors != set(reasons))


if __name__ == "__main__":
    sys.exit(main())
