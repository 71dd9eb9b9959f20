"""What all commands share: the options before them, and the vertices that these name."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vertex_client.cli.failures import failures_shown
from vertex_client.config import load
from vertex_client.quorum import Quorum


@dataclass
class Session:
    """What the options before the command say."""

    config: Path | None
    cluster: Path | None
    json: bool
    console: Console

    @contextmanager
    def quorum(self) -> Iterator[Quorum]:
        """The configured vertices; shows what goes wrong and exits with its code."""
        with failures_shown(self.json), Quorum(load(self.config, self.cluster)) as quorum:
            yield quorum

    def line(self, text: str) -> None:
        """One line on standard output, as it is."""
        self.console.print(text, soft_wrap=True, markup=False, highlight=False)


At = Annotated[list[str] | None, typer.Argument(help="Vertices, by name; all if none is named")]
PublicKey = Annotated[str, typer.Argument(help="The public key, or how it begins")]
Rid = Annotated[str, typer.Argument(help="The reshare's rid")]
Names = Annotated[str | None, typer.Option(help="Vertices, by name: a,b,c")]
Reason = Annotated[str | None, typer.Option(help="For the event log")]
Watch = Annotated[bool, typer.Option(help="Show who has done what until it is complete")]
Seconds = Annotated[float | None, typer.Option(help="Watch no longer than this")]


def session_of(config: Path | None, cluster: Path | None, json: bool) -> Session:
    """Off a terminal tables are wide: nothing is cut in a log."""
    return Session(config, cluster, json, Console(width=None if os.isatty(1) else 160))


def listed_names(listed: str | None) -> list[str] | None:
    """`a,b,c` as a list."""
    return None if listed is None else [name.strip() for name in listed.split(",") if name.strip()]
