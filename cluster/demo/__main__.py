"""`python -m cluster.demo`: the life of a key between real vertices; exit code 0 only if every step held."""

import argparse
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from cluster.cluster import Cluster
from cluster.demo.plot import tell
from cluster.demo.story import StepFailed, Story

PARTIES = 6


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m cluster.demo", description=__doc__)
    parser.add_argument("--run-dir", type=Path, help="of the cluster; kept, with its logs (by default a temporary one)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to end, it stops its servers first
    console = Console(width=None if sys.stdout.isatty() else 160)
    story = Story(console)
    with ExitStack() as stack:
        run_dir = arguments.run_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vertex-demo-")))
        try:
            with story.step("Six vertices and a relay start") as show:
                cluster = stack.enter_context(Cluster(PARTIES, run_dir, say=lambda line: show(line.strip())))
            tell(story, cluster)
        except StepFailed as failed:
            console.print_exception()
            console.print(f"[bold red]FAILED[/] {failed}", highlight=False)
            return 1
        except KeyboardInterrupt:
            console.print("interrupted")
            return 130
        console.print(story.table())
    console.print("[bold green]Every step held.[/]")
    return 0


if __name__ == "__main__":
    sys.exit(main())
