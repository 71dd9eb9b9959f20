"""Commands about keys and users."""

from pathlib import Path
from typing import Annotated, cast

import typer

from vertex_client.answers import SCHEMES, Scheme, Signature
from vertex_client.cli.session import At, Names, PublicKey, Session, listed_names
from vertex_client.cli.show import as_json, keys_table
from vertex_client.config import ConfigError, write_private
from vertex_client.routes.signing import HashAlgo


def keys(context: typer.Context) -> None:
    """All keys of which these vertices hold shares."""
    session: Session = context.obj
    with session.quorum() as quorum:
        found = quorum.keys()
        if session.json:
            session.line(as_json(found))
        else:
            session.console.print(keys_table(found))


def keygen(
    context: typer.Context,
    threshold: Annotated[int, typer.Option("--threshold", "-t", help="How many sign")],
    at: At = None,
    scheme: Annotated[str, typer.Option(help=" | ".join(SCHEMES))] = "ecdsa",
) -> None:
    """Generate a key between vertices."""
    session: Session = context.obj
    with session.quorum() as quorum:
        key = quorum.keygen(_scheme(scheme), threshold, at or None)
        if session.json:
            session.line(as_json(key))
        else:
            session.console.print(keys_table([key]))


def sign(
    context: typer.Context,
    public_key: PublicKey,
    message: Annotated[str | None, typer.Option(help="The message as text")] = None,
    hex: Annotated[str | None, typer.Option(help="The message in hex")] = None,
    file: Annotated[Path | None, typer.Option(help="The message in a file")] = None,
    by: Names = None,
    hash: Annotated[str, typer.Option(help="sha256 | keccak256 | sha256d | none; ECDSA")] = "sha256",
    path: Annotated[str | None, typer.Option(help="Derivation path: 0/1")] = None,
    tweak: Annotated[str | None, typer.Option(help="Taproot: 32 bytes in hex, or empty; BIP340")] = None,
) -> None:
    """Sign a message: with the vertices named, or as many as it takes."""
    session: Session = context.obj
    with session.quorum() as quorum:
        signature = quorum.sign(
            quorum.find(public_key),
            _message(message, hex, file),
            by=listed_names(by),
            hash_algo=cast("HashAlgo", hash),
            derivation_path=None if path is None else [int(step) for step in path.removeprefix("m/").split("/")],
            tweak=None if tweak is None else bytes.fromhex(tweak),
        )
        session.line(as_json(signature) if session.json else _shown(signature))


def users_create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The user's name")],
    tokens: Annotated[Path, typer.Option(help="A folder for the API keys: VERTEX.token, mode 600")],
    at: Annotated[list[str] | None, typer.Option(help="Only at this vertex; may be repeated")] = None,
) -> None:
    """A user of this name at each vertex. API keys go to files, never to the terminal."""
    session: Session = context.obj
    with session.quorum() as quorum:
        tokens.mkdir(mode=0o700, parents=True, exist_ok=True)
        for vertex in at or quorum.vertices:
            if (tokens / f"{vertex}.token").exists():  # before there is a key that it could not take
                raise ConfigError(f"{tokens / vertex}.token exists: name another folder")
        made = quorum.create_users(name, at or None)
        for vertex, user in made.answers.items():
            write_private(tokens / f"{vertex}.token", user.api_key or "")
            session.line(f"{vertex}: user {user.user_id}, API key in {tokens / vertex}.token")
        made.all("create-user")


def _scheme(name: str) -> Scheme:
    if name not in SCHEMES:
        raise ValueError(f"there is no scheme {name}: {', '.join(SCHEMES)}")
    return name


def _message(text: str | None, digits: str | None, file: Path | None) -> bytes:
    given = [each for each in (text, digits, file) if each is not None]
    if len(given) != 1:
        raise ValueError("give the message once: --message, --hex or --file")
    if file is not None:
        return file.read_bytes()
    return text.encode() if text is not None else bytes.fromhex((digits or "").removeprefix("0x"))


def _shown(signature: Signature) -> str:
    return "\n".join(f"{name} {value}" for name, value in vars(signature).items())
