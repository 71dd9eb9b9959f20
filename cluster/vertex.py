"""One vertex of a cluster: its secrets, its directories and its three processes."""

import json
import secrets
import shutil
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cluster.process import Child, base_env, python, spawn
from cluster.relay import ready
from cluster.rundir import TMPFS

WEB, WORKER, LISTEN = PROCESSES = ("web", "worker", "listen")
OPERATORS = "operators"
STOP_TIMEOUT = 10.0


def _secret() -> str:
    return secrets.token_hex(32)


@dataclass(slots=True)
class Vertex:
    """Everything that a client, an operator or a test needs to know of a vertex; `start` runs it."""

    name: str
    directory: Path = field(repr=False)
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    settings: Mapping[str, str] = field(repr=False)
    checkout: Path = field(repr=False)
    admin_token: str = field(default_factory=_secret, repr=False)
    admin_user: str = "operator"
    admin_password: str = field(default_factory=_secret, repr=False)
    approver_user: str = "approver"
    approver_password: str = field(default_factory=_secret, repr=False)
    master_key: str = field(default_factory=_secret, repr=False)
    secret_key: str = field(default_factory=_secret, repr=False)
    port: int = 0
    children: dict[str, Child] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for directory in (self.directory, self.keystore, self.log_dir):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def keystore(self) -> Path:
        return self.directory / "keystore"

    @property
    def log_dir(self) -> Path:
        return self.directory / "logs"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pids(self) -> dict[str, int]:
        """Each leads a process group: kill the group."""
        return {name: self.children[name].pid for name in PROCESSES}

    @property
    def ready(self) -> bool:
        return ready(self.url)

    def start(self) -> None:
        """Starts all processes, and the one that makes the two operators; `wait` for `ready` afterwards."""
        self.restart(WEB)  # first: it finds the port that the others are told
        self.restart(WORKER)
        self.restart(LISTEN)
        operators = [
            {"username": self.admin_user, "password": self.admin_password, "groups": ["operator"]},
            {"username": self.approver_user, "password": self.approver_password, "groups": ["approver"]},
        ]
        self._spawn(OPERATORS, python("manage.py", "ensure_operators"), stdin=json.dumps(operators).encode())

    def restart(self, process: str) -> None:
        """Starts one of `web`, `worker` and `listen` again; kills the one that runs."""
        self.kill(process)
        if process == WEB:
            self._start_web()
        elif process == WORKER:
            celery = python("-m", "celery", "-A", "vertex", "worker", "-P", "threads", "-c", "64")
            queues = ["--prefetch-multiplier", "1", "-Q", "sign,protocol,life", "-n", f"{self.name}@%h"]
            self._spawn(WORKER, [*celery, *queues], env=self.worker_env)
        else:
            self._spawn(LISTEN, python("manage.py", "listen"))

    def _start_web(self) -> None:
        # Bound here and handed over: nobody can take the port between finding and using it.
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._bind(listener)
            listener.listen(256)
            self.port = listener.getsockname()[1]
            gunicorn = python("-m", "gunicorn", "vertex.wsgi", "--bind", f"fd://{listener.fileno()}")
            gunicorn += ["--config", "python:vertex.serving"]
            threads = ["--worker-class", "gthread", "--workers", "1", "--threads", "64", "--keep-alive", "75"]
            rest = ["--timeout", "120", "--graceful-timeout", "5", "--no-control-socket", "--name", self.name]
            # Where gunicorn touches a file at each turn of its loop.
            touched = ["--worker-tmp-dir", str(TMPFS)] if TMPFS.is_dir() else []
            self._spawn(WEB, [*gunicorn, *threads, *rest, *touched], pass_fds=[listener.fileno()])

    def _bind(self, listener: socket.socket) -> None:
        """To the earlier port if there was one: a killed web's last process may take a moment to let go of it."""
        deadline = time.monotonic() + STOP_TIMEOUT
        while True:
            try:
                listener.bind(("127.0.0.1", self.port))
                return
            except OSError:
                if not self.port or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def command(self, process: str, argv: list[str | Path]) -> list[str | Path]:
        """The command line of a process; the fault tests put something in front of it."""
        return argv

    def _spawn(
        self,
        process: str,
        argv: list[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        pass_fds: list[int] | None = None,
    ) -> None:
        self.children[process] = spawn(
            f"{self.name} {process}",
            self.command(process, argv),
            log=self.log_dir / f"{process}.log",
            env=self._env() | dict(env or {}),
            cwd=self.checkout,
            stdin=stdin,
            pass_fds=pass_fds or (),
        )

    def _env(self) -> dict[str, str]:
        return base_env() | {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "VERTEX_NAME": self.name,
            "VERTEX_ADMIN_TOKEN": self.admin_token,
            "VERTEX_SECRET_KEY": self.secret_key,
            "VERTEX_PUBLIC_URL": self.url,
            **self.settings,
        }

    @property
    def worker_env(self) -> dict[str, str]:
        """The environment of what opens the keystore: workers, and commands as operators run them."""
        return self._env() | {"VERTEX_KEYSTORE": str(self.keystore), "VERTEX_MASTER_KEY": self.master_key}

    @property
    def dead(self) -> list[Child]:
        """Processes that ended by themselves; the one that makes the operators may, with exit code 0."""
        return [
            child
            for name, child in self.children.items()
            if not child.running and not (name == OPERATORS and child.popen.returncode == 0)
        ]

    @property
    def operators_made(self) -> bool:
        return not self.children[OPERATORS].running

    def kill(self, process: str) -> None:
        """SIGKILL to the process group; `restart` brings it back."""
        if process in self.children:
            self.children.pop(process).kill()

    def terminate(self) -> None:
        """Asks all processes to end; `stop` waits for them."""
        for child in self.children.values():
            child.terminate()

    def stop(self) -> None:
        self.terminate()
        deadline = time.monotonic() + STOP_TIMEOUT
        for child in self.children.values():
            child.wait(max(0.0, deadline - time.monotonic()))
        self.children.clear()

    def destroy(self) -> None:
        """Kills all processes and removes keystore and logs, as a lost machine would."""
        for process in list(self.children):
            self.kill(process)
        shutil.rmtree(self.directory)

    def describe(self) -> dict[str, object]:
        """The vertex as `cluster.json` shows it."""
        return {
            "name": self.name,
            "url": self.url,
            "admin_token": self.admin_token,
            "admin_user": self.admin_user,
            "admin_password": self.admin_password,
            "approver_user": self.approver_user,
            "approver_password": self.approver_password,
            "database_url": self.database_url,
            "redis_url": self.redis_url,
            "keystore": str(self.keystore),
            "log_dir": str(self.log_dir),
            "pids": self.pids,
        }
