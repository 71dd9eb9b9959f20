"""`python -m tests.stages [name…]`: all tests, stage by stage, each with its time and its share of CI's time.

With VERTEX_CI=1 a stage that takes more than twice its share fails, and so do skipped tests (tests/conftest.py).
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parent
OWN_STAGE = ("reshare/model", "cluster", "faults", "fuzz", "browser")


@dataclass(frozen=True, slots=True)
class Stage:
    """A call of pytest; `share` in seconds."""

    name: str
    share: float
    arguments: tuple[str, ...]
    folder: str = ""

    @property
    def present(self) -> bool:
        return any((TESTS / self.folder).rglob("test_*.py"))

    def run(self) -> int:
        command = [sys.executable, "-m", "pytest", "-q", *self.arguments]
        return subprocess.run([*command, f"tests/{self.folder}"], cwd=TESTS.parent, check=False).returncode


STAGES = (
    Stage("unit", 300, ("-n", "2", *(f"--ignore=tests/{folder}" for folder in OWN_STAGE))),
    Stage("model", 60, ("-n", "2", "--timeout=300"), "reshare/model"),
    Stage("cluster", 300, ("--timeout=300",), "cluster"),
    Stage("faults", 300, ("--timeout=900",), "faults"),
    Stage("fuzz", 90, ("--timeout=300",), "fuzz"),
    Stage("browser", 60, ("--timeout=300",), "browser"),
)


def main(names: list[str]) -> int:
    strict = os.environ.get("VERTEX_CI") == "1"
    unknown = set(names) - {stage.name for stage in STAGES}
    if unknown:
        print(f"unknown stages: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    failed = False
    for stage in STAGES:
        if not stage.present or (names and stage.name not in names):
            continue
        begun = time.monotonic()
        code = stage.run()
        taken = time.monotonic() - begun
        late = strict and taken > 2 * stage.share
        verdict = "failed" if code else "too slow" if late else "ok"
        print(f"stage {stage.name}: {verdict} in {taken:.0f} s (share {stage.share:.0f} s)", flush=True)
        failed |= bool(code) or late
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
