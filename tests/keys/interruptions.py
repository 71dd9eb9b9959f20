"""Ends an operation on a keystore before or after each of its durable steps, as a kill -9 or a lost host would.

Directories and tokens: in a child process that is killed with SIGKILL when it is about to do its n-th step (what the
kernel has taken by then stays, as after a kill). Vault: the n-th request that changes something is lost before Vault
does it, or its answer after.
"""

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from keys.keystore import Keystore, KeystoreUnavailable
from keys.keystore.token import Token
from tests.keys.providers import Provider, Vault
from tests.keys.vault_server import Fault

Work = Callable[[Provider], object]
# What a directory's durability and its names are made of.
_SYSTEM_CALLS = ("fsync", "link", "rename", "unlink", "pwrite")
_MOST_STEPS = 200


def interrupted(provider: Provider, work: Work) -> Iterator[bool]:
    """Run `work` again and again, interrupted one step later each time, until it comes through; for Vault twice, with
    requests and with answers lost. Yields after each run whether it came through; the caller puts back what the next
    one needs."""
    runs: list[Callable[[int], bool]] = [lambda step: _killed(provider, work, step)]
    if isinstance(provider, Vault):
        runs = [partial(_lost, provider, work, fault) for fault in (Fault.LOST, Fault.UNANSWERED)]
    for run in runs:
        for step in range(_MOST_STEPS):
            through = run(step)
            assert not (through and step == 0), "nothing was interrupted"
            yield through
            if through:
                break
        else:
            raise AssertionError("it never comes through")


def _lost(provider: Vault, work: Work, fault: str, step: int) -> bool:
    seen = itertools.count()

    def plan(request: str) -> str | None:
        changes = request.startswith(("POST transit/keys", "DELETE", "POST secret"))
        return fault if changes and next(seen) == step else None

    provider.server.fault = plan
    try:
        work(provider)
    except KeystoreUnavailable:
        return False
    finally:
        provider.server.fault = lambda request: None
    return True


def _killed(provider: Provider, work: Work, step: int) -> bool:
    child = os.fork()
    if child == 0:  # no way back into the tests from here
        try:
            _arm(step)
            work(provider)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.waitstatus_to_exitcode(status) == 0, "the child failed otherwise"
    return True


def _arm(step: int) -> None:
    """Kill this process when it is about to do its step-th step."""
    seen = itertools.count()

    def before(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            if next(seen) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return counted

    for name in _SYSTEM_CALLS:
        setattr(os, name, before(getattr(os, name)))
    for name in ("make", "destroy"):
        setattr(Token, name, before(getattr(Token, name)))


def opened(work: Callable[[Keystore], object]) -> Work:
    """The work of a process that opens the keystore first."""
    return lambda provider: work(provider.open())
