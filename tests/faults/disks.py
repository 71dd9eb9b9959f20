"""Small disks that are filled in truth: a tmpfs of its own for each vertex's keystore and for PostgreSQL, where this
user may mount; elsewhere ("limit") processes are forbidden to write, which `vertices` does.

A mount is named after the process that made it, so that the next run finds and removes what a killed one left.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from cluster.embedded import EmbeddedServers
from cluster.rundir import RunDir

TMPFS, LIMIT = "tmpfs", "limit"
KEYSTORE_SIZE = 32 << 20  # bytes: a thousand scenarios' keys and records
DATABASE_SIZE = 768 << 20  # bytes: seven databases, and the write-ahead log, which may grow to a third of it
OURS = "vertex-faults-"  # then the process id
_CHUNK = 1 << 20


class Disk:
    """A tmpfs of `size` bytes on a directory, which is made; of its user (by default our own), mode 0700."""

    def __init__(self, path: Path, size: int, *, user: int | None = None) -> None:
        self.path, self._ballast = path, path / "ballast"
        owner = os.geteuid() if user is None else user
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        options = f"size={size},mode=0700,uid={owner},gid={owner},nosuid,nodev"
        _run("mount", "-t", "tmpfs", "-o", options, f"{OURS}{os.getpid()}", path)

    def fill(self) -> None:
        """Until not one byte more can be written (ENOSPC), by anybody; again where something was freed meanwhile."""
        with suppress(OSError), self._ballast.open("ab", buffering=0) as file:
            size = _CHUNK
            while size:
                try:
                    file.write(bytes(size))
                except OSError:
                    size //= 2

    def free(self) -> None:
        """Room again, as much as there was."""
        self._ballast.unlink(missing_ok=True)

    def remove(self) -> None:
        """Unmounts, also while somebody has files open there."""
        unmount(self.path)


class DiskRunDir(RunDir):
    """A servers' run directory in which PostgreSQL has a disk of its own, `disk`."""

    disk: Disk | None = None

    def make(self, name: str, *, user: int | None, mode: int = 0o700) -> Path:
        if name != "pg" or variant() != TMPFS:
            return super().make(name, user=user, mode=mode)
        self.disk = Disk(self.path / name, DATABASE_SIZE, user=user)
        return self.disk.path

    def remove(self) -> None:
        if self.disk is not None:
            self.disk.remove()
        super().remove()


class DiskServers(EmbeddedServers):
    """Servers whose PostgreSQL can run out of disk."""

    run_dir_type = DiskRunDir
    settings = {**EmbeddedServers.settings, "max_wal_size": f"{DATABASE_SIZE // 3 >> 20}MB"}

    @property
    def disk(self) -> Disk | None:
        """PostgreSQL's, where it has one of its own."""
        assert isinstance(self._run_dir, DiskRunDir)
        return self._run_dir.disk


@cache
def variant() -> str:
    """`tmpfs` where this user may mount one, which is tried, else `limit`."""
    if os.geteuid() != 0 or shutil.which("mount") is None or shutil.which("umount") is None:
        return LIMIT
    clean_stale()
    with tempfile.TemporaryDirectory(prefix="vertex-mount-") as temporary:
        try:
            Disk(Path(temporary) / "disk", 1 << 16).remove()
        except (OSError, subprocess.CalledProcessError):
            return LIMIT
    return TMPFS


def mounted() -> Iterator[tuple[int, Path]]:
    """Every disk of such a run that is mounted: its process and directory."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        place, _, rest = line.partition(" - ")
        source = rest.split(" ")[1]
        if source.startswith(OURS):
            yield int(source.removeprefix(OURS)), Path(place.split(" ")[4].encode().decode("unicode_escape"))


def clean_stale(alive: Callable[[int], bool] = lambda pid: Path(f"/proc/{pid}").exists()) -> None:
    """Unmounts what processes that are gone have left."""
    for pid, path in list(mounted()):
        if not alive(pid):
            unmount(path)


def unmount(path: Path) -> None:
    """Lazily: whoever has files open there keeps them, and it is gone when they are closed. Silent where it is gone."""
    with suppress(subprocess.CalledProcessError):
        _run("umount", "--lazy", path)


def _run(program: str, *arguments: str | Path) -> None:
    found = shutil.which(program) or program
    subprocess.run([found, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
