"""`python -m tests.faults.armed <folder> <program…>`: runs a program of a vertex that can be told to die.

Every site of `points` is wrapped once Django is set up and before the program starts; nothing of this is in production,
and no setting of a vertex leads here. A call that an order in `<folder>/armed` is about takes the order away (a rename,
so exactly one thread of one process obeys it, once), which is at the same time the record that the point was reached,
and stops the process: SIGKILL, or SIGSTOP until somebody sends SIGCONT.
"""

import functools
import importlib
import json
import os
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.points import SITES, Seen, Site, When

ARMED, FIRED, READY = "armed", "fired", "ready"
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def wrap(site: Site, hit: Callable[[str, When, Seen], None]) -> None:
    """Put `hit` around a function of the real code. AttributeError, ImportError: the site is no longer there."""
    module_name, _, path = site.target.partition(":")
    owner: Any = importlib.import_module(module_name)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    real = getattr(owner, name)

    @functools.wraps(real)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        seen = site.read(*args, **kwargs)
        hit(site.name, When.BEFORE, seen)
        result = real(*args, **kwargs)
        hit(site.name, When.AFTER, seen)
        return result

    setattr(owner, name, wrapped)


class Orders:
    """The orders of one process: a folder of small files, looked at whenever a site is passed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in (ARMED, FIRED, READY):
            (folder / name).mkdir(exist_ok=True)

    def hit(self, site: str, when: When, seen: Seen) -> None:
        for order in list((self._folder / ARMED).glob("*.json")):
            try:
                wanted = json.loads(order.read_text())
            except FileNotFoundError:  # another thread obeyed it, or it was taken back
                continue
            here = (wanted["site"], wanted["when"]) == (site, when) and seen.label in wanted["label"].split("|")
            if here and wanted["party"] in ("", seen.party):
                self._obey(order, wanted["action"])

    def _obey(self, order: Path, action: str) -> None:
        fired = self._folder / FIRED / order.name
        try:
            order.rename(fired)
        except FileNotFoundError:
            return
        os.utime(fired)
        os.kill(os.getpid(), SIGNALS[action])

    def ready(self) -> None:
        """Tell that this process works."""
        (self._folder / READY / str(os.getpid())).touch()


def main() -> None:
    folder, *program = sys.argv[1:]
    orders = Orders(Path(folder))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vertex.settings")
    sys.path.insert(0, os.getcwd())
    import django

    django.setup()
    for site in SITES.values():
        wrap(site, orders.hit)
    if program[0] == "-m":
        from celery.signals import worker_ready

        worker_ready.connect(lambda **_: orders.ready(), weak=False)
        sys.argv = program[1:]
        runpy.run_module(program[1], run_name="__main__", alter_sys=True)
    else:
        orders.ready()
        sys.argv = program
        runpy.run_path(program[0], run_name="__main__")


if __name__ == "__main__":
    main()
