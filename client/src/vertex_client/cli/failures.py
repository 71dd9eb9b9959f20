"""Failures for people: what went wrong where, what to do next, and the exit code."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import typer
from rich.console import Console

from vertex_client.config import ConfigError
from vertex_client.errors import BAD_ANSWER, DISAGREEMENT, NOT_WAITED_FOR, UNREACHABLE, QuorumError, VertexError

FAILED = 1  # a vertex refused, or could not be reached
USAGE = 2  # the command or its configuration is wrong
ENDED = 3  # a reshare came to another end than completion
TIMEOUT = 4

NEXT = {
    UNREACHABLE: "see whether the vertex runs and its url is right; a protocol that waited for it has changed nothing",
    NOT_WAITED_FOR: "repeat it once that party answers",
    BAD_ANSWER: "see whether the url leads to a vertex, and not to a proxy's page",
    DISAGREEMENT: "don't use any of the answers; compare the vertices' event logs",
    "access_denied": "the token is unknown or revoked: have an admin make one (vertex-client users create)",
    "already_voted": "see what was decided: vertex-client status RID",
    "deletion_not_ready": "not every new share is stored yet: vertex-client status RID --watch, then repeat it",
    "executor_result": "nothing has changed for the shares; repeat it once all parties are up",
    "key_id_not_exists": "see what there is: vertex-client keys",
    "not_found": "see what there is: vertex-client status",
    "not_ready": "the vertex starts or has lost a back end: its /health/ready says which",
    "policy_validation_failed": "a policy refused it: ask who runs that vertex",
    "reshare_conflict": "another reshare of this key is not decided: vertex-client status, then confirm or abort it",
    "reshare_not_complete": "the new shares are quarantined: vertex-client status says whose confirmation is missing",
    "share_erased": "the key has a newer generation: vertex-client keys",
    "share_superseded": "the key has a newer generation: vertex-client keys",
    "too_many_requests": "wait a little, then repeat it",
    "you_have_to_be_admin": "this needs the vertex's admin token: admin_token_env or admin_token_file in the config",
}


def told(error: VertexError) -> dict[str, object]:
    """A failure as JSON."""
    return {"err_type": error.err_type, "err_msg": error.err_msg, "status": error.status}


@contextmanager
def failures_shown(as_json: bool) -> Iterator[None]:
    """Shows what goes wrong inside on standard error, and exits with its code."""
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    try:
        yield
    except (ConfigError, ValueError) as error:
        console.print(str(error))
        raise typer.Exit(USAGE) from error
    except TimeoutError as error:
        console.print(str(error))
        console.print("→ it goes on: vertex-client status RID --watch, or vertex-client confirm RID VERTEX …")
        raise typer.Exit(TIMEOUT) from error
    except VertexError as error:
        show(console, {"": error}, as_json)
        raise typer.Exit(FAILED) from error
    except QuorumError as error:
        if not as_json:
            console.print(f"{error.what} failed")
        show(console, error.failures, as_json)
        raise typer.Exit(FAILED) from error


def show(console: Console, failures: Mapping[str, VertexError], as_json: bool) -> None:
    """Each failure with its vertex, and once for each type what to do next."""
    if as_json:
        console.print(json.dumps({"failures": {name: told(error) for name, error in failures.items()}}))
        return
    for name, error in failures.items():
        console.print(f"{name}: {error}" if name else str(error))
    for err_type in dict.fromkeys(error.err_type for error in failures.values()):
        if err_type in NEXT:
            console.print(f"→ {NEXT[err_type]}")
