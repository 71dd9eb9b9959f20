"""The table of what a share answers, against the contract's own."""

from datetime import UTC, datetime

import pytest

from keys.actions import ACTIONS, TABLE, Action, require
from keys.models import KeyShare
from vertex.errors import ApiError

State = KeyShare.State
BEFORE, NOT_COMPLETE, CONFLICT = "key_operation_before_keygen", "reshare_not_complete", "reshare_conflict"

# docs: state -> sign, derive, read, reshare, export (backup as export), delete
CONTRACT: dict[tuple[str, int], str] = {
    (State.CREATED, 1): f"{BEFORE} {BEFORE} ok {BEFORE} {BEFORE} ok",
    (State.QUARANTINED, 1): f"{BEFORE} {BEFORE} ok {BEFORE} {BEFORE} {CONFLICT}",
    (State.QUARANTINED, 2): f"{NOT_COMPLETE} ok ok {NOT_COMPLETE} {NOT_COMPLETE} {CONFLICT}",
    (State.PARKED, 2): f"{NOT_COMPLETE} ok ok {NOT_COMPLETE} {NOT_COMPLETE} {CONFLICT}",
    (State.ACTIVE, 1): "ok ok ok ok ok ok",
    (State.RETIRING, 1): f"ok ok ok {CONFLICT} {CONFLICT} vote",
    (State.SUPERSEDED, 1): "share_superseded ok ok share_superseded share_superseded going",
    (State.ERASED, 1): "share_erased ok ok share_erased share_erased again",
    (State.DISCARDED, 2): "share_erased ok ok share_erased share_erased again",
}


def word(key: KeyShare, action: Action) -> str:
    try:
        return require(key, action)
    except ApiError as error:
        return error.err_type


@pytest.mark.parametrize(("state", "generation"), CONTRACT)
def test_what_a_share_answers(state: str, generation: int) -> None:
    key = KeyShare(state=state, generation=generation, public_key=b"\x02" * 33)
    asked: list[Action] = ["sign", "derive", "read", "reshare", "export", "delete"]
    assert " ".join(word(key, action) for action in asked) == CONTRACT[state, generation]
    assert word(key, "backup") == word(key, "export")
    first = "ok" if state == State.CREATED else "already_performed_keygen"
    assert [word(key, "keygen"), word(key, "join")] == [first, first]


@pytest.mark.parametrize(("state", "generation"), CONTRACT)
def test_what_a_share_of_a_key_that_was_exported_whole_answers(state: str, generation: int) -> None:
    """Where it would have acted it refuses; all else is as before, and the export may be tried again."""
    said = {"state": state, "generation": generation, "public_key": b"\x02" * 33}
    plain, exported = KeyShare(**said), KeyShare(**said, exported_at=datetime.now(UTC))
    for action in ACTIONS:
        before = word(plain, action)
        ended = before == "ok" and action in ("sign", "reshare", "backup")
        assert word(exported, action) == ("share_superseded" if ended else before), action


def test_every_state_and_action_has_an_answer() -> None:
    assert set(TABLE) == {*State.values, "keygen"}
    assert all(set(row) == set(ACTIONS) for row in TABLE.values())


def test_public_data_that_never_were() -> None:
    assert word(KeyShare(state=State.ERASED, generation=1, public_key=None), "derive") == BEFORE
