"""Where the vertices are and who one is there: a TOML file that names no secret, or the description of `make cluster`.

[vertices.a]
url = "https://a.example.org"
token_env = "VERTEX_A_TOKEN"          # or token_file = "a.token", beside this file unless absolute
admin_token_env = "VERTEX_A_ADMIN"    # or admin_token_file; only for users, confirm and abort
"""

import hashlib
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vertex_client.vertex import Vertex

FOLDER = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
DEFAULT = FOLDER / "vertex-client.toml"
CLUSTER_USER = "vertex-client"
FIELDS = frozenset({"url", "token_env", "token_file", "admin_token_env", "admin_token_file", "allow_http", "timeout"})


class ConfigError(Exception):
    """The configuration can't be used; the message says what to do."""


def load(file: Path | None = None, cluster: Path | None = None) -> dict[str, Vertex]:
    """Vertices by name: of a cluster's description or its folder, else of a TOML file, by default
    $VERTEX_CLIENT_CONFIG or ~/.config/vertex-client.toml. Raises ConfigError."""
    if cluster is not None:
        return _of_cluster(cluster / "cluster.json" if cluster.is_dir() else cluster)
    return _of_file(file or Path(os.environ.get("VERTEX_CLIENT_CONFIG") or DEFAULT))


def _of_file(path: Path) -> dict[str, Vertex]:
    try:
        data = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}. Name a file with --config, or `make cluster`'s folder with --cluster .cluster"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from error
    tables = data.get("vertices")
    if not isinstance(tables, dict) or not tables:
        raise ConfigError(f"{path} has no [vertices.NAME] table")
    return {name: _vertex(path, name, table) for name, table in tables.items()}


def _vertex(path: Path, name: str, table: Any) -> Vertex:
    if not isinstance(table, dict) or not isinstance(table.get("url"), str):
        raise ConfigError(f"{path}: [vertices.{name}] has no url")
    if unknown := sorted(table.keys() - FIELDS):
        raise ConfigError(f"{path}: [vertices.{name}] has unknown fields: {', '.join(unknown)}")
    options = {each: table[each] for each in ("allow_http", "timeout") if each in table}
    try:
        return Vertex(table["url"], _token(path, table, "token"), _token(path, table, "admin_token"), **options)
    except ValueError as error:
        raise ConfigError(f"{path}: [vertices.{name}]: {error}") from error


def _token(path: Path, table: Mapping[str, Any], kind: str) -> str | None:
    """A token from the environment or a file; None where the table names neither."""
    if variable := table.get(f"{kind}_env"):
        if not os.environ.get(variable):
            raise ConfigError(f"the environment has no {variable}, which {path} names: set it, or use {kind}_file")
        return os.environ[variable]
    if file := table.get(f"{kind}_file"):
        return read_private(path.parent / file)
    return None


def read_private(path: Path) -> str:
    """The one line of a file that nobody else may read. Raises ConfigError."""
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"{path} can be read by others: chmod 600 {path}")
        return path.read_text().strip()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def write_private(path: Path, text: str) -> None:
    """Writes a file that nobody else may read; refuses to replace one. Raises ConfigError."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text + "\n")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def _of_cluster(path: Path) -> dict[str, Vertex]:
    """A cluster for trying out: its description has the admin tokens, and this command makes a user of its own at each
    vertex, whose API key is kept beside the description."""
    try:
        described = json.loads(path.read_text())["vertices"]
        found = {each["name"]: (each["url"], each["admin_token"]) for each in described}
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}. Start one with `make cluster`") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is no description of a cluster") from error
    return {name: Vertex(url, _cluster_user(path.parent, url, admin), admin) for name, (url, admin) in found.items()}


def _cluster_user(folder: Path, url: str, admin_token: str) -> str:
    """Made once for each vertex: the file's name follows from its admin token, which a new cluster has anew."""
    file = folder / f"client-{hashlib.sha256(admin_token.encode()).hexdigest()[:16]}.token"
    if not file.exists():
        with Vertex(url, admin_token=admin_token) as vertex:
            api_key = vertex.create_user(CLUSTER_USER).api_key
        write_private(file, api_key or "")
    return read_private(file)
