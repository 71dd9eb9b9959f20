"""`vertex-client`: keys, signatures and changes of quorum, from a terminal or a script.

Exit codes: 0 done, 1 a vertex refused or could not be reached, 2 wrong usage or configuration, 3 a reshare ended
otherwise than complete, 4 not in time.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from vertex_client.cli import keys, reshares
from vertex_client.cli.session import session_of

app = typer.Typer(
    help="Keys of several vertices: made, used, and moved between them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they would show local variables, and tokens are among them
)
users = typer.Typer(help="API users at the vertices (admin).", no_args_is_help=True)
app.add_typer(users, name="users")
COMMANDS: tuple[Callable[..., None], ...] = (
    keys.keys,
    keys.keygen,
    keys.sign,
    reshares.refresh,
    reshares.reshare,
    reshares.status,
    reshares.confirm,
    reshares.abort,
    reshares.carry,
)
for command in COMMANDS:
    app.command()(command)
users.command("create")(keys.users_create)


@app.callback()
def options(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="TOML file; by default $VERTEX_CLIENT_CONFIG")] = None,
    cluster: Annotated[Path | None, typer.Option(help="The folder of `make cluster`, .cluster, for trying out")] = None,
    json: Annotated[bool, typer.Option("--json", help="Answers and failures as JSON")] = False,
) -> None:
    """Options of all commands."""
    context.obj = session_of(config, cluster, json)
