"""`python -m cluster.bench`: JSON lines on standard output, progress on standard error."""

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from cluster.bench import cpu, rest, schnorr
from cluster.bench.figures import say
from cluster.cluster import Cluster


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m cluster.bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=50, help="of each call that is measured")
    parser.add_argument("--warm-ups", type=int, default=5, help="before each, not counted")
    parser.add_argument("--run-dir", type=Path, help="of the cluster; kept, with its logs (by default a temporary one)")
    parser.add_argument("--only", choices=("cpu", "rest"), help="half of the benchmark")
    arguments = parser.parse_args()
    # A cluster that is told to end must stop its servers.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if arguments.only != "rest":
        for figure in cpu.measure(runs=arguments.runs):
            figure.show()
        for figure in schnorr.measure(runs=arguments.runs):
            figure.show()
    if arguments.only != "cpu":
        with (
            tempfile.TemporaryDirectory(prefix="vertex-bench-") as temporary,
            Cluster(rest.PARTIES, arguments.run_dir or Path(temporary), say=say) as cluster,
        ):
            for figure in rest.measure(cluster, runs=arguments.runs, warm_ups=arguments.warm_ups):
                figure.show()
    return 0


if __name__ == "__main__":
    sys.exit(main())
