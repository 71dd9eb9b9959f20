"""The cluster's relay as a process."""

import secrets
from pathlib import Path

import httpx

from cluster.embedded import ATTEMPTS, free_port, until
from cluster.process import Child, StartError, base_env, python, spawn


class Relay:
    """A relay on a loopback port, over one Redis database, with one API key."""

    def __init__(self, redis_url: str, log_dir: Path, checkout: Path) -> None:
        self.api_key = secrets.token_hex(24)
        self.port = 0
        self._log = log_dir / "relay.log"
        self._checkout = checkout
        self._env = base_env() | {"RELAY_REDIS_URL": redis_url, "RELAY_API_KEYS": self.api_key}
        self.child: Child | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts on the earlier port if there was one (vertices know it), else on a free one, tried again when lost."""
        known = bool(self.port)
        for attempt in range(1, ATTEMPTS + 1):
            self.port = self.port if known else free_port()
            listen = ["--host", "127.0.0.1", "--port", str(self.port), "--no-access-log"]
            # Long polls of vertices that are gone would hold up the end.
            timeouts = ["--timeout-keep-alive", "75", "--timeout-graceful-shutdown", "1"]
            self.child = spawn(
                "relay",
                python("-m", "uvicorn", "relay.asgi:application", *listen, *timeouts),
                log=self._log,
                env=self._env,
                cwd=self._checkout,
            )
            try:
                until(lambda: ready(self.url), self.child)
            except StartError:
                self.child.kill()
                if known or attempt == ATTEMPTS:
                    raise
            else:
                return

    def stop(self) -> None:
        if self.child is not None:
            self.child.terminate()
            self.child.wait(10)


def ready(url: str) -> bool:
    """Whether `/health/ready` answers 200."""
    try:
        return httpx.get(f"{url}/health/ready", timeout=5).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
