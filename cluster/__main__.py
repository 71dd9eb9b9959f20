"""`python -m cluster --parties 5`: a cluster that runs until it is interrupted."""

import argparse
import fcntl
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from cluster.cluster import CHECKOUT, MAX_PARTIES, Cluster
from cluster.process import StartError

# What a user may set for all vertices of a cluster; the rest is the launcher's to decide.
TUNABLE = (
    "VERTEX_CLEAN_BY",
    "VERTEX_COMPLETE_BY",
    "VERTEX_LEASE",
    "VERTEX_LOG_LEVEL",
    "VERTEX_STORE_BY",
    "VERTEX_SWEEP",
    "VERTEX_SYNC_TIMEOUT",
    "VERTEX_TWO_PERSON",
    "VERTEX_VOTE_BY",
)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # Once: what stops the cluster must not be stopped by a second Ctrl-C half-way.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _watch(cluster: Cluster) -> None:
    reported: set[int] = set()
    while True:
        for child in cluster.dead:
            if child.pid not in reported:
                reported.add(child.pid)
                _say(f"{child.name} (pid {child.pid}) ended with {child.popen.returncode}; see {child.log}")
        time.sleep(0.5)


def main(run_dir: Path = CHECKOUT / ".cluster") -> int:
    parser = argparse.ArgumentParser(prog="python -m cluster", description=__doc__)
    parser.add_argument("--parties", type=int, default=5, choices=range(1, MAX_PARTIES + 1), metavar=f"1…{MAX_PARTIES}")
    arguments = parser.parse_args()
    run_dir.mkdir(mode=0o700, exist_ok=True)
    with (run_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            _say(f"another cluster runs in {run_dir}")
            return 1
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _interrupt)
        try:
            (run_dir / "cluster.json").unlink(missing_ok=True)
            settings = {name: os.environ[name] for name in TUNABLE if name in os.environ}
            with Cluster(arguments.parties, run_dir, settings=settings, say=_say) as cluster:
                _say(f"described in {cluster.write_description()}; Ctrl-C stops it")
                _watch(cluster)
        except KeyboardInterrupt:
            _say("stopped")
        except StartError as error:
            _say(str(error))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
