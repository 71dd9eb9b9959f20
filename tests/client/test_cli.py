"""The command line: exit codes, what goes to which stream, and what to do next."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from vertex_client import BadAnswer, Key, Progress, QuorumError, Share, Unreachable, VertexError
from vertex_client.answers import EcdsaSignature, NewApiKey, Reshare
from vertex_client.cli import failures, session
from vertex_client.cli.app import app
from vertex_client.decoding import read
from vertex_client.quorum import Reshared
from vertex_client.quorum.together import Answers

from tests.client.vertices import API_KEY, party, reshare

PUBLIC = "02" + "11" * 32
RID = "ab" * 32
KEY = Key("ecdsa", PUBLIC, 2, (Share("a", "k-a", "id-a", "active"), Share("b", "k-b", "id-b", "active")))


def progress(**said: Any) -> Progress:
    view = reshare([party("id-a", "remaining", here=True, stored=True)], **said)
    return Progress.of(RID, {"a": read(Reshare)(view)}, {})


class Scripted:
    """A quorum that answers what it is told to, or raises it; what it was asked is kept."""

    def __init__(self, **answers: Any) -> None:
        self.vertices = {"a": None, "b": None}
        self.answers = answers
        self.asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __enter__(self) -> "Scripted":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        def answer(*args: Any, **kwargs: Any) -> Any:
            self.asked.append((name, args, kwargs))
            if isinstance(self.answers[name], Exception):
                raise self.answers[name]
            return self.answers[name]

        return answer


class Ran:
    """What a command printed and its exit code."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, quorum: Scripted, *words: str, **how: Any) -> None:
        monkeypatch.setattr(session, "load", lambda *_: {})
        monkeypatch.setattr(session, "Quorum", lambda _: quorum)
        result = CliRunner().invoke(app, list(words), **how)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        self.code, self.out, self.err = result.exit_code, result.stdout, result.stderr


def test_a_signature_is_printed_for_people_and_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    quorum = Scripted(find=KEY, sign=EcdsaSignature("1", "2", 0, "3"))
    words = ["sign", PUBLIC, "--hex", "0x00ff", "--by", "a,b", "--hash", "none", "--path", "m/0/7"]
    assert Ran(monkeypatch, quorum, *words).out == "r 1\ns 2\nv 0\nder 3\n"
    assert json.loads(Ran(monkeypatch, quorum, "--json", *words).out) == {"r": "1", "s": "2", "v": 0, "der": "3"}
    assert quorum.asked[1] == (
        "sign",
        (KEY, b"\x00\xff"),
        {"by": ["a", "b"], "hash_algo": "none", "derivation_path": [0, 7], "tweak": None},
    )


def test_a_message_is_given_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "message"
    file.write_bytes(b"\x01\x02")
    quorum = Scripted(find=KEY, sign=EcdsaSignature("1", "2", 0, "3"))
    for words, message in ((["--message", "é"], "é".encode()), (["--file", str(file)], b"\x01\x02")):
        assert Ran(monkeypatch, quorum, "sign", PUBLIC, *words).code == 0
        assert quorum.asked[-1][1] == (KEY, message)
    for words in ([], ["--message", "a", "--hex", "00"], ["--hex", "zz"]):
        ran = Ran(monkeypatch, quorum, "sign", PUBLIC, *words)
        assert (ran.code, ran.out) == (failures.USAGE, "")


# What a quorum raises; the exit code, and what standard error says.
FAILURES: dict[str, tuple[Exception, int, list[str]]] = {
    "refused": (
        QuorumError("keys", {"a": VertexError("access_denied", "no valid token", 401), "b": Unreachable("gone")}, {}),
        failures.FAILED,
        [
            "keys failed",
            "a: access_denied: no valid token",
            "b: unreachable: gone",
            f"→ {failures.NEXT['access_denied']}",
            f"→ {failures.NEXT['unreachable']}",
        ],
    ),
    "one vertex's": (BadAnswer("not JSON", 502), failures.FAILED, ["bad_answer: not JSON", "→ see whether the url"]),
    "usage": (ValueError("no key begins so"), failures.USAGE, ["no key begins so"]),
    "time": (TimeoutError("it still waits for b"), failures.TIMEOUT, ["it still waits for b", "→ it goes on"]),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failures_say_what_to_do_next(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error, code, said = FAILURES[name]
    ran = Ran(monkeypatch, Scripted(keys=error), "keys")
    assert (ran.code, ran.out) == (code, "")
    lines = ran.err.splitlines()
    assert len(lines) == len(said)
    assert [line for line, start in zip(lines, said, strict=True) if not line.startswith(start)] == []


def test_failures_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    error = QuorumError("keys", {"a": VertexError("share_erased", "gone", 400)}, {})
    ran = Ran(monkeypatch, Scripted(keys=error), "--json", "keys")
    assert json.loads(ran.err) == {"failures": {"a": {"err_type": "share_erased", "err_msg": "gone", "status": 400}}}


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ([progress(), progress(state="complete", complete=True)], 0),
        ([progress(), progress(state="aborted")], failures.ENDED),
    ],
    ids=["complete", "aborted"],
)
def test_a_reshare_is_watched_to_its_end(steps: list[Progress], code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    quorum = Scripted(find=KEY, reshare=Reshared(RID, KEY, KEY), watch=steps)
    words = ["reshare", PUBLIC, "--to", "a, b,d", "-t", "3", "--absent", "c", "--deletions", "2"]
    ran = Ran(monkeypatch, quorum, "--json", *words)
    assert ran.code == code
    assert [json.loads(line)["state"] for line in ran.out.splitlines()] == [step.state for step in steps]
    assert quorum.asked[1] == (
        "reshare",
        (KEY, ["a", "b", "d"], 3),
        {"absent": ["c"], "deletions_required": 2},
    )
    assert Ran(monkeypatch, quorum, *words, "--no-watch").out == f"{RID}\n"


def test_progress_shows_who_has_done_what(monkeypatch: pytest.MonkeyPatch) -> None:
    parties = [
        party("id-a", "remaining", here=True, stored=True, vote="confirmed", deleted=True),
        party("id-c", "departing"),
        party("id-dddddddd", "joining"),
    ]
    shown = Progress.of(RID, {"a": read(Reshare)(reshare(parties))}, {"b": Unreachable("gone")})
    ran = Ran(monkeypatch, Scripted(progress=shown), "status", RID)
    lines = [line.split() for line in ran.out.splitlines()]
    assert lines[0] == ["reshare", RID, "voting", "confirmed", "1", "of", "2,", "erased", "1", "of", "2"]
    assert ["a", "remaining", "✓", "confirmed", "✓", "–"] in lines
    assert ["…id-c", "departing", "·", "–", "–", "·"] in lines
    assert ["…dddddddd", "joining", "–", "·", "·", "–"] in lines
    assert ["b:", "unreachable:", "gone"] in lines
    assert ran.out.endswith("waits for …dddddddd to store the new share\n")


def test_a_vote_is_asked_for_after_what_it_is_about_was_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    quorum = Scripted(progress=progress(), confirm=Answers({}, {}))
    declined = Ran(monkeypatch, quorum, "confirm", RID, "a", input="n\n")
    assert declined.code == 1
    assert declined.out.index("waits for") < declined.out.index("Delete the old shares of a for good?")
    assert [name for name, *_ in quorum.asked] == ["progress"]
    assert Ran(monkeypatch, quorum, "confirm", RID, "a", "--reason", "r", input="y\n").code == 0
    assert quorum.asked[2] == ("confirm", (RID, ["a"]), {"reason": "r", "exports_destroyed": None})


def test_a_vote_that_one_vertex_refuses_is_told_and_the_others_count(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Answers({"a": 1}, {"b": VertexError("you_have_to_be_admin", "no", 400)})
    ran = Ran(monkeypatch, Scripted(progress=progress(), abort=failed), "abort", RID, "a", "b", "--yes")
    assert ran.code == failures.FAILED
    assert ran.out.startswith("reshare ")
    assert ran.err.splitlines()[0] == "b: you_have_to_be_admin: no"
    assert "admin_token_env" in ran.err


def test_api_keys_go_to_files_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = Answers({"a": NewApiKey("u1", API_KEY)}, {"b": Unreachable("gone")})
    quorum = Scripted(create_users=made)
    ran = Ran(monkeypatch, quorum, "users", "create", "bob", "--tokens", str(tmp_path / "new"))
    assert ran.code == failures.FAILED
    assert (tmp_path / "new" / "a.token").read_text() == f"{API_KEY}\n"
    assert API_KEY not in ran.out + ran.err
    assert "b: unreachable" in ran.err
    again = Ran(monkeypatch, quorum, "users", "create", "bob", "--tokens", str(tmp_path / "new"))
    assert again.code == failures.USAGE
    assert "exists: name another folder" in again.err
    assert len(quorum.asked) == 1  # no key was made that no file could take


def test_a_wrong_scheme_and_no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran = Ran(monkeypatch, Scripted(), "keygen", "-t", "2", "--scheme", "rsa")
    assert (ran.code, ran.err) == (failures.USAGE, "there is no scheme rsa: ecdsa, ed25519, bip340\n")
    monkeypatch.undo()
    bare = CliRunner().invoke(app, ["--config", str(tmp_path / "none.toml"), "keys"])
    assert bare.exit_code == failures.USAGE
    assert "--config" in bare.stderr


def test_every_next_step_is_about_an_error_that_there_is() -> None:
    from vertex.errors import ERROR_STATUS

    ours = {failures.UNREACHABLE, failures.NOT_WAITED_FOR, failures.BAD_ANSWER, failures.DISAGREEMENT}
    assert failures.NEXT.keys() - ours <= ERROR_STATUS.keys()
