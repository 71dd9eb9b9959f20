"""Where tokens come from: the environment and private files, never the configuration itself."""

from pathlib import Path

import pytest
from vertex_client.config import ConfigError, load, write_private

GOOD = """
[vertices.a]
url = "https://a.example"
token_env = "A_TOKEN"
[vertices.b]
url = "https://b.example"
token_file = "b.token"
admin_token_file = "b.admin"
timeout = 5.0
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("A_TOKEN", "from-the-environment")
    write_private(tmp_path / "b.token", "from-a-file")
    write_private(tmp_path / "b.admin", "admin-from-a-file")
    (tmp_path / "good.toml").write_text(GOOD)
    return tmp_path


def test_tokens_come_from_the_environment_and_from_files(folder: Path) -> None:
    vertices = load(folder / "good.toml")
    assert list(vertices) == ["a", "b"]
    a, b = (vertices[name].access for name in "ab")
    assert (a.api_key, a.admin_token) == ("from-the-environment", None)
    assert (b.api_key, b.admin_token, b.timeout) == ("from-a-file", "admin-from-a-file", 5.0)


# What stands in the file, and what is said about it.
BAD = {
    "no TOML": ("[", "bad.toml: "),
    "no vertices": ("x = 1", r"has no \[vertices.NAME\] table"),
    "no url": ("[vertices.a]\ntoken_env = 'A_TOKEN'", r"\[vertices.a\] has no url"),
    "a token in the file": ("[vertices.a]\nurl = 'https://a'\ntoken = 's'", "unknown fields: token$"),
    "an empty variable": ("[vertices.a]\nurl = 'https://a'\ntoken_env = 'NO_SUCH'", "no NO_SUCH, .* set it"),
    "no such file": ("[vertices.a]\nurl = 'https://a'\ntoken_file = 'none'", "none: No such file"),
    "others can read it": ("[vertices.a]\nurl = 'https://a'\ntoken_file = 'open'", "chmod 600 .*open"),
    "in the clear": ("[vertices.a]\nurl = 'http://a.example'", r"\[vertices.a\]: .* in the clear"),
}


@pytest.mark.parametrize("name", BAD)
def test_files_that_can_not_be_used(name: str, folder: Path) -> None:
    text, said = BAD[name]
    (folder / "bad.toml").write_text(text)
    (folder / "open").write_text("token")
    (folder / "open").chmod(0o640)
    with pytest.raises(ConfigError, match=said):
        load(folder / "bad.toml")


def test_no_file_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERTEX_CLIENT_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(ConfigError, match=r"Name a file with --config, or .* --cluster"):
        load()
    with pytest.raises(ConfigError, match="make cluster"):
        load(cluster=tmp_path)
    (tmp_path / "cluster.json").write_text("[]")
    with pytest.raises(ConfigError, match="no description of a cluster"):
        load(cluster=tmp_path)


def test_private_files_are_private_and_replace_nothing(tmp_path: Path) -> None:
    write_private(tmp_path / "new", "token")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new").read_text() == "token\n"
    with pytest.raises(ConfigError, match="File exists"):
        write_private(tmp_path / "new", "other")
    assert (tmp_path / "new").read_text() == "token\n"
