"""The recorded transcripts are what the code says today, and a changed hash tag is a changed transcript."""

import ast
from pathlib import Path
from unittest.mock import patch

import pytest

import mpc
from mpc import hashing
from tests.mpc.transcripts import HERE, SCENARIOS, failures, recorded, transcript

# Tags of what no session sends: a keygen_id's checksum.
ELSEWHERE = {"keygen-id"}
HASHES = {"TH": 0, "XOF": 1, "th_rows": 0, "xof_rows": 1, "hash_to_point": 0, "hash_to_points": 0}


def tags() -> set[str]:
    """Every tag that `mpc/` hashes under, from its source."""
    found = set()
    for path in Path(mpc.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and (place := HASHES.get(ast.unparse(node.func).rpartition(".")[2])) is not None
            ):
                argument = node.args[place]
                if isinstance(argument, ast.Constant):
                    found.add(argument.value)
                else:  # handed on by a function of a group or of mpc.hashing
                    assert path.name in ("group.py", "ed25519.py", "hashing.py"), ast.unparse(node)
    return found


def used_by(name: str) -> set[str]:
    """The tags that a scenario hashes under."""
    used, tagged = set(), hashing._tagged.__wrapped__

    def note(tag: str) -> bytes:
        used.add(tag)
        return tagged(tag)

    with patch.object(hashing, "_tagged", note):
        transcript(name)
    return {tag for tag in used if not tag.startswith("test/")}


USED = {name: used_by(name) for name in SCENARIOS}


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_transcript_is_the_recorded_one(name: str) -> None:
    assert transcript(name) == recorded(name)


def test_there_is_a_recording_of_each_scenario() -> None:
    assert {path.stem for path in HERE.glob("*.json")} == set(SCENARIOS)


def test_the_recordings_use_every_tag() -> None:
    assert tags() - ELSEWHERE == set().union(*USED.values())


@pytest.mark.parametrize("tag", sorted(set().union(*USED.values())))
def test_a_changed_tag_changes_a_transcript(tag: str) -> None:
    """With another tag, everything is as consistent as before, and still it shows."""
    name = next(name for name in SCENARIOS if tag in USED[name])
    tagged = hashing._tagged.__wrapped__
    with patch.object(hashing, "_tagged", lambda each: tagged(each + "!" if each == tag else each)):
        changed = transcript(name)
    assert changed != recorded(name)
    assert not failures(changed)
