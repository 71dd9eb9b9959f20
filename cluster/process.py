"""Child processes that die with their parent, each leading a session and process group of its own."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1


class StartError(RuntimeError):
    """A child did not come up; the message says which, and the end of what it logged."""


def _die_with_parent(parent: int, sig: int) -> Callable[[], None]:
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def in_child() -> None:
        # After a change of user the kernel forgets the death signal, so this must be the last step before exec.
        prctl(PR_SET_PDEATHSIG, int(sig), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return in_child


@dataclass(slots=True)
class Child:
    """A started process; its pid is also its process group and session."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    def send(self, sig: int) -> None:
        """Signals the whole group; silent when it is gone."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, sig)

    def terminate(self, sig: int = signal.SIGTERM) -> None:
        """Asks the leader alone, which knows how to end its own children."""
        if self.running:
            self.popen.send_signal(sig)

    def wait(self, timeout: float) -> None:
        """Waits for the leader; whatever of its group is left after that, or after `timeout` seconds, is killed."""
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(timeout)
        self.kill()

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.popen.wait()

    def tail(self, lines: int = 15) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""


def spawn(
    name: str,
    argv: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str],
    cwd: Path | None = None,
    user: int | None = None,
    stdin: bytes | None = None,
    pass_fds: Sequence[int] = (),
    death_signal: int = signal.SIGTERM,
) -> Child:
    """Starts a child with exactly the environment `env`, its output appended to `log` (mode 600).

    Only from the main thread: the kernel sends the death signal when the *thread* that forked ends. `user` needs root.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("children are started from the main thread only")
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "wb") as sink:
        popen = subprocess.Popen(
            [str(part) for part in argv],
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
            pass_fds=tuple(pass_fds),
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            preexec_fn=_die_with_parent(os.getpid(), death_signal),  # noqa: PLW1509  nothing but two system calls
        )
    if stdin is not None:
        assert popen.stdin is not None
        popen.stdin.write(stdin)
        popen.stdin.close()
    return Child(name, popen, log)


def run(name: str, argv: Sequence[str | Path], *, timeout: float, **how: object) -> None:
    """Runs a child to its end; `StartError` with the end of its log when that is not exit code 0."""
    child = spawn(name, argv, **how)  # type: ignore[arg-type]
    child.wait(timeout)
    if child.popen.returncode:
        raise StartError(f"{name} ended with {child.popen.returncode}:\n{child.tail()}")


def python(*arguments: str | Path) -> list[str | Path]:
    """The command line of this very interpreter."""
    return [sys.executable, *arguments]


def base_env() -> dict[str, str]:
    """What every Python child gets of our environment: nothing that configures or that is secret."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "SSL_CERT_FILE") if name in os.environ}
    # One thread for numpy's matrix products: parallelism is by session, and cores are shared.
    return kept | {"LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", "OPENBLAS_NUM_THREADS": "1"}
