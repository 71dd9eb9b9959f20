"""Children of the launcher: their environment, their end, and what is said of those that fail."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.process import Child, StartError, base_env, python, run, spawn
from tests.cluster.test_embedded import alive, eventually

STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
signal.pause()
"""
FAMILY = f"""
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", {STUBBORN!r}]).pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def started() -> Iterator[list[Child]]:
    children: list[Child] = []
    yield children
    for child in children:
        child.kill()


def test_environment_is_exactly_what_was_given(tmp_path: Path) -> None:
    log = tmp_path / "log"
    run(
        "child",
        python("-c", "import os; print(sorted(os.environ))"),
        timeout=20,
        log=log,
        env={"A": "1", "LC_ALL": "C"},
    )
    assert log.read_text().strip() == "['A', 'LC_ALL']"
    assert log.stat().st_mode & 0o777 == 0o600


def test_base_environment_carries_no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "VERTEX_MASTER_KEY", "DJANGO_SETTINGS_MODULE", "RELAY_API_KEYS"):
        monkeypatch.setenv(name, "x")
    assert "x" not in base_env().values()


def test_failure_shows_the_end_of_the_log(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"(?s)migrate ended with 3:.*the reason"):
        run("migrate", python("-c", "print('the reason'); exit(3)"), timeout=20, log=tmp_path / "log", env={})


def test_a_run_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=f"slow ended with {-signal.SIGKILL}"):
        run("slow", python("-c", "import signal; signal.pause()"), timeout=0.2, log=tmp_path / "log", env={})


def test_only_the_main_thread_starts_children(tmp_path: Path) -> None:
    seen: list[Exception] = []

    def start() -> None:
        try:
            spawn("child", python("-c", ""), log=tmp_path / "log", env={})
        except RuntimeError as error:
            seen.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert [str(error) for error in seen] == ["children are started from the main thread only"]


def test_waiting_ends_the_whole_group_also_what_ignores_sigterm(tmp_path: Path, started: list[Child]) -> None:
    log = tmp_path / "log"
    child = spawn("family", python("-c", FAMILY), log=log, env=base_env())
    started.append(child)
    assert eventually(lambda: "up" in log.read_text() if log.exists() else False)
    grandchild = int(log.read_text().split()[0])
    assert os.getpgid(grandchild) == child.pid
    child.terminate()
    child.wait(5)
    assert not child.running
    assert eventually(lambda: not alive(grandchild))
