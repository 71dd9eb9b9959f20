"""`make model`, `python -m tests.reshare.model [words of a size]`: also what takes longer than a test run may."""

import sys
import time

from tests.reshare.model.search import search
from tests.reshare.model.sizes import LARGE, SMALL


def main(wanted: list[str]) -> int:
    failed = 0
    for name, run in {**SMALL, **LARGE}.items():
        if wanted and not all(word in name for word in wanted):
            continue
        started = time.process_time()
        found = search(run.size, ends=run.ends)
        seconds = time.process_time() - started
        never = found.violated is None and run.fires - found.fired
        failed += bool(found.violated or never)
        verdict = found.violated or (f"never possible: {', '.join(sorted(never))}" if never else "holds")
        print(f"{name}: {found.states} states, {seconds:.0f} s CPU, {verdict}", flush=True)
        if found.violated is not None:
            print("  " + " > ".join(found.trace))
    return 1 if failed else 0


sys.exit(main(sys.argv[1:]))
