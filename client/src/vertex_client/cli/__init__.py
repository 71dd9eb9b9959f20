"""`vertex-client`: the command line, for the `cli` extra."""

import sys


def main() -> None:
    """The command's entry point; the exit codes are those of `cli.failures`."""
    try:
        from vertex_client.cli.app import app
    except ModuleNotFoundError as missing:
        if missing.name not in ("typer", "rich"):
            raise
        sys.stderr.write(f"the command line needs {missing.name}: pip install 'vertex-client[cli]'\n")
        sys.exit(2)
    app()
