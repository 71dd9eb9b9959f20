"""Tables and JSON of what the commands answer."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from vertex_client.quorum import Key, PartyProgress, Progress

NOT_THEIRS = Text("·", style="dim")
STYLES = {"clean": "bold green", "complete": "bold green", "aborted": "bold red", "failed": "bold red"}


def as_json(value: Any) -> str:
    """One line of JSON, times in ISO 8601."""
    return json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else asdict(value)


def keys_table(keys: Iterable[Key]) -> Table:
    """Generations of keys, a line each."""
    table = Table("scheme", "public key", "quorum", "generation", "shares", box=None, header_style="dim")
    for key in keys:
        states = ", ".join(f"{share.vertex} {share.state}" for share in key.shares)
        quorum = f"{key.threshold} of {len(key.parties) or len(key.shares)}"
        table.add_row(key.scheme, Text(key.public_key, overflow="fold"), quorum, str(key.generation), states)
    return table


def progress_data(progress: Progress) -> dict[str, Any]:
    """For `--json`."""
    return {
        "rid": progress.rid,
        "state": progress.state,
        "complete": progress.complete,
        "clean": progress.clean,
        "deletions_required": progress.deletions_required,
        "confirmed": progress.confirmed,
        "deleted": progress.deleted,
        "waits": progress.waits,
        "parties": [asdict(party) | {"name": party.name} for party in progress.parties],
        "failures": {name: error.err_type for name, error in progress.failures.items()},
    }


def progress_shown(progress: Progress) -> Group:
    """Who has done what, and what it waits for."""
    table = Table("", "", "stored", "voted", "erased", "knows", box=None, header_style="dim")
    for party in progress.parties:
        voted = _voted(party)
        cells = [_mark(party.stored), voted, _mark(party.deleted), _mark(party.knows)]
        table.add_row(Text(party.name, style="bold"), Text(party.role, style="dim"), *cells)
    return Group(_headline(progress), table, *_more(progress))


def _headline(progress: Progress) -> Text:
    needed = "?" if progress.deletions_required is None else progress.deletions_required
    line = Text.assemble("reshare ", (progress.rid, "dim"), "  ")
    line.append(progress.state, style=STYLES.get(progress.state, "bold yellow"))
    line.append(f"  confirmed {progress.confirmed} of {needed}, erased {progress.deleted} of {needed}")
    return line


def _more(progress: Progress) -> Iterator[Text]:
    for name, error in progress.failures.items():
        yield Text(f"{name}: {error}", style="red")
    if progress.waits:
        yield Text(f"waits for {progress.waits}", style="yellow")


def _mark(done: bool | None) -> Text:
    return NOT_THEIRS if done is None else Text("✓", style="green") if done else Text("–", style="yellow")


def _voted(party: PartyProgress) -> Text:
    if party.vote is not None:
        return Text(party.vote, style="green" if party.vote == "confirmed" else "red")
    return NOT_THEIRS if party.deleted is None else Text("–", style="yellow")


def followed(console: Console, steps: Iterable[Progress], *, json_lines: bool) -> Progress | None:
    """Shows progress while it changes: a live table on a terminal, else a table or a line of JSON for each change."""
    last: Progress | None = None
    if json_lines:
        for last in steps:
            console.print(as_json(progress_data(last)), soft_wrap=True, markup=False, highlight=False)
    elif console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            for last in steps:
                live.update(progress_shown(last), refresh=True)
    else:
        for last in steps:
            console.print(progress_shown(last))
    return last
