"""An exported log, checked where there is neither Django nor a database: the first bad event is named, and whatever is
in the file there is never a traceback."""

import json
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.management import CommandError, call_command

from audit import verify as offline
from audit.models import AuditHead, Event
from audit.services import head_sign
from keys.heads import head_data
from tests.audit.logged import PEM, countersigned, sign, verify

HOUSE = Path(__file__).resolve().parents[2]
Lines = list[str]


@pytest.fixture
def exported(events: list[Event], tmp_path: Path) -> Path:
    head_sign(vertex="a", sign=sign)
    out = StringIO()
    call_command("audit_export", stdout=out)
    path = tmp_path / "log.jsonl"
    path.write_text(out.getvalue())
    (tmp_path / "key.pem").write_bytes(PEM)
    return path


def run(*arguments: object) -> int:
    return offline.main([str(each) for each in arguments])


def test_it_runs_where_nothing_of_a_vertex_is_set(exported: Path) -> None:
    """In a process of its own, without an environment; Django is not even loaded."""
    code = (
        "import sys; from audit.verify import main; code = main(sys.argv[1:]);"
        "sys.exit(code or any(name.split('.')[0] == 'django' for name in sys.modules))"
    )
    key = exported.with_name("key.pem")
    for command in (["-c", code], ["-m", "audit.verify"]):
        done = subprocess.run(
            [sys.executable, *command, str(exported), "--key", str(key)],
            cwd=HOUSE,
            env={},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("ok: 5 events, head ")


def swap(lines: Lines) -> Lines:
    return [lines[0], lines[2], lines[1], *lines[3:]]


def other_number(lines: Lines) -> Lines:
    return [line.replace('"seq":3', '"seq":true') for line in lines]


DAMAGES: dict[str, tuple[Callable[[Lines], Lines], str]] = {
    "changed": (lambda lines: [line.replace('"n":3', '"n":4') for line in lines], "event 3: was changed"),
    "dropped": (lambda lines: lines[:1] + lines[2:], "event 2: is missing"),
    "first dropped": (lambda lines: lines[1:], "event 1: is missing"),
    "repeated": (lambda lines: lines[:2] + lines[1:], "event 3: is missing: event 2 stands in its place"),
    "swapped": (swap, "event 2: is missing"),
    "two logs in one": (lambda lines: lines + lines, "event 6: is missing: event 1 stands in its place"),
    "tail cut": (lambda lines: lines[:3] + lines[5:], "event 4: is no longer there"),
    "tail and head cut": (lambda lines: lines[:3], "event 3: no signed head follows"),
    "head dropped": (lambda lines: lines[:5], "event 5: no signed head follows"),
    "head only": (lambda lines: lines[5:], "event 1: is no longer there"),
    "empty": (lambda lines: [], "event 1: is missing: the file holds no event"),
    "a blank line": (
        lambda lines: [*lines[:2], "", *lines[2:]],
        "event 3: can't be read: line 3: not an exported event",
    ),
    "a foreign line": (lambda lines: [*lines, "{}"], "event 6: can't be read: line 7: not an exported event"),
    "not JSON": (lambda lines: ["nonsense", *lines], "event 1: can't be read: line 1: not an exported event"),
    "no object": (lambda lines: [lines[0], "[7]", *lines[2:]], "event 2: can't be read: line 2: not an exported event"),
    "no number": (other_number, "event 3: can't be read: line 3: not an exported event"),
    "an endless number": (
        lambda lines: [line.replace('"seq":3', '"seq":1e999') for line in lines],
        "event 3: can't be read: line 3: not an exported event",
    ),
    "a number of many digits": (
        lambda lines: [line.replace('"seq":3', '"seq":' + "9" * 9000) for line in lines],
        "event 3: can't be read: line 3: not an exported event",
    ),
    "a time before all time": (
        lambda lines: [lines[0].replace(lines[0].split('"time":"')[1][:32], "0001-01-01T00:00:00.000000+14:00")],
        "event 1: can't be read: line 1: not an exported event",
    ),
    "nested without end": (
        lambda lines: [lines[0].replace('"data":{', '"data":{"x":' + "[" * 9000 + "]" * 9000 + ",")],
        "event 1: can't be read: line 1: not an exported event",
    ),
    "not canonical": (
        lambda lines: [lines[0].replace('"n":1', '"n": 1'), *lines[1:]],
        "event 1: can't be read: line 1: not an exported event in canonical form",
    ),
    "a field twice": (
        lambda lines: [lines[0].replace('"seq":1', '"seq":1,"seq":1'), *lines[1:]],
        "event 1: can't be read: line 1: not an exported event in canonical form",
    ),
    "carriage returns": (lambda lines: [line + "\r" for line in lines], "event 1: can't be read: line 1"),
    "cut within a line": (lambda lines: [*lines[:2], lines[2][:40]], "event 3: can't be read: line 3"),
    "another alphabet": (
        lambda lines: [lines[0].replace("thing", "thing\u00e9")],
        "event 1: can't be read: line 1: not text",
    ),
    "a line without end": (lambda lines: [lines[0], "x" * 300_000], "event 2: can't be read: line 2: longer than any"),
    "an empty head": (
        lambda lines: [*lines[:5], '{"head":"{}","signature":""}'],
        "event 6: can't be read: line 6: not an exported head",
    ),
    "a head not canonical": (
        lambda lines: [*lines[:5], lines[5].replace('"signature":"30', '"signature": "30')],
        "event 6: can't be read: line 6: not an exported head in canonical form",
    ),
    "a head cut": (lambda lines: [*lines[:5], lines[5][:50]], "event 6: can't be read: line 6: not an exported head"),
    "a head's vertex changed": (
        lambda lines: [*lines[:5], lines[5].replace('\\"vertex\\":\\"a\\"', '\\"vertex\\":\\"b\\"')],
        "event 5: the head signed by 'b' is not signed by this key",
    ),
    "a head's number changed": (
        lambda lines: [*lines[:5], lines[5].replace('\\"seq\\":5', '\\"seq\\":4')],
        "event 4: is another than the one that the head signed by 'a' names",
    ),
    "a head's signature changed": (
        lambda lines: [*lines[:5], lines[5].replace('"signature":"30', '"signature":"31')],
        "event 5: the head signed by 'a' is not signed by this key",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_export_is_named(exported: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    damage, message = DAMAGES[name]
    lines = exported.read_text().splitlines()
    key = exported.with_name("key.pem")
    assert run(exported, "--key", key) == 0
    changed = damage(list(lines))
    assert changed != lines
    exported.write_bytes("".join(f"{line}\n" for line in changed).encode())
    capsys.readouterr()
    assert run(exported, "--key", key) == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"the audit log does not hold: {message}")
    assert said.out == ""
    with pytest.raises(CommandError) as refused:
        verify(file=exported, pubkey=key)
    assert str(refused.value) == said.err.removesuffix("\n"), "manage.py says the same"


def test_no_byte_of_an_export_can_be_changed(exported: Path) -> None:
    """Each byte of one event and of the head replaced; only the flipped signature needs the key."""
    whole = exported.read_bytes()
    start = whole.index(b"\n", whole.index(b"\n") + 1) + 1
    places = [*range(start, whole.index(b"\n", start), 5), *range(whole.index(b'{"head"'), len(whole) - 1, 9)]
    key = exported.with_name("key.pem")
    for at in places:
        exported.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert run(exported, "--key", key) == 1, f"byte {at}"


def pem_of(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["absent.jsonl"], "No such file", id="no file"),
        pytest.param(["."], "Is a directory", id="a directory"),
        pytest.param(["log.jsonl", "--key", "absent.pem"], "absent.pem: ", id="no key file"),
        pytest.param(["log.jsonl", "--key", "log.jsonl"], "not a public key in PEM", id="key no PEM"),
        pytest.param(["log.jsonl", "--key", "other.pem"], "not a public key on P-256", id="key of another kind"),
        pytest.param(["log.jsonl", "--key", "p384.pem"], "not a public key on P-256", id="key on another curve"),
        pytest.param(["log.jsonl", "--head", "5"], "a head is SEQ:HASH", id="head without hash"),
        pytest.param(["log.jsonl", "--head", "x:" + "00" * 32], "a head is SEQ:HASH", id="head without number"),
        pytest.param(["log.jsonl", "--head", "5:" + "00" * 31], "a head is SEQ:HASH", id="head too short"),
        pytest.param(["log.jsonl", "--head=-1:" + "00" * 32], "a head is SEQ:HASH", id="head below zero"),
        pytest.param(["log.jsonl", "--against", "key.pem"], "key.pem: line 1: not an exported head", id="no heads"),
        pytest.param(["log.jsonl", "--against", "empty"], "empty: there is no signed head in it", id="empty heads"),
        pytest.param(["log.jsonl", "--against", "absent"], "absent: ", id="no file of heads"),
    ],
)
def test_what_can_not_be_asked_is_told_apart(
    exported: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: Lines, message: str
) -> None:
    """Status 2: nothing is said about the log."""
    monkeypatch.chdir(exported.parent)
    Path("other.pem").write_bytes(pem_of(ed25519.Ed25519PrivateKey.generate()))
    Path("p384.pem").write_bytes(pem_of(ec.generate_private_key(ec.SECP384R1())))
    Path("empty").touch()
    assert run(*arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("the audit log was not checked: ")
    assert message in said


def test_a_head_from_elsewhere_must_be_in_the_export(exported: Path, events: list[Event]) -> None:
    honest, wrong = bytes(events[2].hash).hex(), bytes(events[3].hash).hex()
    assert run(exported, "--head", f"3:{honest}", "--head", f"0:{log_start()}") == 0
    assert run(exported, "--head", f"3:{wrong}") == 1
    assert run(exported, "--head", f"0:{wrong}") == 1


def log_start() -> str:
    return bytes(Event.objects.get(seq=1).previous).hex()


def test_an_earlier_export_must_be_part_of_a_later_one(exported: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.jsonl"
    cut.write_text("".join(f"{line}\n" for line in exported.read_text().splitlines()[:3]))
    assert run(cut) == 0, "by itself the cut log holds"
    assert run(cut, "--against", exported) == 1
    assert run(exported, "--against", exported) == 0


def test_an_answer_of_the_api_is_a_head_to_hold_the_log_against(exported: Path, tmp_path: Path) -> None:
    answer, cut = tmp_path / "answer.json", tmp_path / "cut.jsonl"
    answer.write_text(json.dumps(head_data(AuditHead.objects.get())))
    cut.write_text("".join(f"{line}\n" for line in exported.read_text().splitlines()[:3]))
    key = ("--key", exported.with_name("key.pem"))
    assert run(exported, "--against", answer, *key) == 0
    assert run(cut, "--against", answer) == 1
    answer.write_text(answer.read_text().replace('"signature": "30', '"signature": "31'))
    assert run(exported, "--against", answer, *key) == 1, "the signature is checked"


def test_a_peer_s_head_is_not_one_of_the_log_itself(
    exported: Path, events: list[Event], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its signature would be asked of nobody: it belongs to what the log is held against."""
    lines = exported.read_text().splitlines()
    exported.write_text("".join(f"{line}\n" for line in [*lines[:5], countersigned(events[4])]))
    assert run(exported, "--key", exported.with_name("key.pem")) == 1
    assert "event 5: a peer's head stands among the log's own" in capsys.readouterr().err


def test_what_was_not_checked_is_said(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(exported)
    assert "note: no key was given" in capsys.readouterr().out
    lines = exported.read_text().splitlines()
    exported.write_text("\n".join(lines[:5]))
    run(exported)
    assert "note: no signed head covers the events after 0" in capsys.readouterr().out
