"""Runs mutants: one pytest session, a forked child for each.

All tests of the modules are collected and run once, unchanged: that warms what is cached and tells which tests enter
which function. A mutant then replaces the code object of its function in a child, where every module that imported
the function by name has the change too, and the child runs the tests that enter it, the fastest first, until one fails.
"""

from __future__ import annotations

import importlib
import inspect
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from mpc.hashing import XOF
from tests.mutants.operators import Mutant, mutants

CPU_SECONDS = 20  # a mutant that loops is noticed by this
SURVIVED, KILLED, UNTESTED = 0, 1, 2


def function_of(module: str, qualified: str) -> FunctionType:
    """The plain function behind methods, properties and decorators."""
    found: Any = importlib.import_module(module)
    for name in qualified.split("."):
        found = inspect.getattr_static(found, name)
    for attribute in ("fget", "func", "__func__"):
        found = getattr(found, attribute, None) or found
    found = inspect.unwrap(found)
    assert isinstance(found, FunctionType), (module, qualified)
    return found


def code_of(code: CodeType, qualified: str) -> CodeType | None:
    """The code object of a function in that of its module."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_qualname == qualified:
                return constant
            if deeper := code_of(constant, qualified):
                return deeper
    return None


def apply(mutant: Mutant) -> None:
    """Makes this process the mutant."""
    function = function_of(mutant.module, mutant.function)
    code = code_of(compile(mutant.tree, function.__code__.co_filename, "exec"), mutant.function)
    assert code is not None, mutant.name
    if set(code.co_freevars) != set(function.__code__.co_freevars):
        raise ValueError("another closure")
    function.__code__ = code


def predictable_randomness() -> None:
    """The operating system's randomness, the same in every child: a mutant's fate does not depend on the day."""
    counter = iter(range(2**62))
    os.urandom = lambda n: XOF(n, "mutants/urandom", next(counter).to_bytes(8, "big"))


@dataclass
class Runner:
    """A pytest plugin. `modules`: module → names of its test files in tests/mpc."""

    modules: dict[str, tuple[str, ...]]
    workers: int
    told: Callable[[str, int], None]
    verdicts: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    entered: dict[str, set[tuple[str, str]]] = field(default_factory=dict)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        predictable_randomness()
        sources = {module: Path(importlib.import_module(module).__file__ or "").read_text() for module in self.modules}
        for item in session.items:
            self._baseline(item)
        waiting: dict[int, Mutant] = {}
        for module, files in self.modules.items():
            items = [item for item in session.items if item.path.name in files]
            for mutant in mutants(module, sources[module]):
                if len(waiting) == self.workers:
                    self._reap(waiting)
                waiting[self._start(mutant, items)] = mutant
        while waiting:
            self._reap(waiting)
        return True

    def _baseline(self, item: pytest.Item) -> None:
        """Runs a test as it is, for its time and to note which functions it enters. One that fails ends the run."""
        entered: set[tuple[str, str]] = set()

        def note(frame: Any, event: str, _: object) -> None:
            if event == "call" and frame.f_globals.get("__name__") in self.modules:
                entered.add((frame.f_globals["__name__"], frame.f_code.co_qualname.partition(".<locals>")[0]))

        begun = time.process_time()
        reports = runtestprotocol(item, log=False, nextitem=None)
        self.seconds[item.nodeid] = time.process_time() - begun
        sys.setprofile(note)
        try:
            reports += runtestprotocol(item, log=False, nextitem=None)
        finally:
            sys.setprofile(None)
        self.entered[item.nodeid] = entered
        if any(report.failed for report in reports):
            raise pytest.UsageError(f"{item.nodeid} fails without any mutant")

    def _start(self, mutant: Mutant, items: list[pytest.Item]) -> int:
        pid = os.fork()
        if pid == 0:
            os._exit(self._fate(mutant, items))
        return pid

    def _fate(self, mutant: Mutant, items: list[pytest.Item]) -> int:
        """In the child."""
        signal.signal(signal.SIGPROF, lambda *_: os._exit(KILLED))
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        place = mutant.module, mutant.function
        chosen = sorted((i for i in items if place in self.entered[i.nodeid]), key=lambda i: self.seconds[i.nodeid])
        if not chosen:
            return UNTESTED
        apply(mutant)
        for item in chosen:
            item.session.shouldfail = False
            if any(report.failed for report in runtestprotocol(item, log=False, nextitem=None)):
                return KILLED
        return SURVIVED

    def _reap(self, waiting: dict[int, Mutant]) -> None:
        pid, status = os.wait()
        code, name = os.waitstatus_to_exitcode(status), waiting.pop(pid).name
        self.verdicts[name] = code if code in (SURVIVED, UNTESTED) else KILLED
        self.told(name, self.verdicts[name])

    def slowest(self) -> Iterator[tuple[str, str, float]]:
        """(module, function, seconds) of the tests that run for a mutant which survives."""
        spent: dict[tuple[str, str], float] = defaultdict(float)
        for nodeid, seconds in self.seconds.items():
            for module, function in self.entered[nodeid]:
                if Path(nodeid.partition("::")[0]).name in self.modules[module]:
                    spent[module, function] += seconds
        for (module, function), seconds in sorted(spent.items()):
            yield module, function, seconds
