"""What a share answers, by its state: the one table that every route, service and worker asks."""

from typing import Literal

from keys.models import KeyShare
from vertex.errors import ERROR_STATUS, ApiError

State = KeyShare.State
# `join`: the new share of a party that joins a quorum. `read`: metadata and export-id. `reshare`: refresh too.
# `export`: of the whole key; `backup`: of this share.
Action = Literal["keygen", "join", "sign", "derive", "read", "reshare", "export", "delete", "backup"]

ACTIONS: tuple[Action, ...] = ("keygen", "join", "sign", "derive", "read", "reshare", "export", "delete", "backup")
OK = "ok"
VOTE = "vote"  # delete of a retiring share: this vertex's word in the reshare
AGAIN = "again"  # delete of what is gone: the same answer once more
GOING = "going"  # delete of what is to be erased anyway: `AGAIN` once it is, `share_superseded` until then

_MESSAGES = {
    "already_performed_keygen": "this key was generated already, or is being generated",
    "key_operation_before_keygen": "this key was not generated yet, or not stored by all parties",
    "reshare_not_complete": "this share is quarantined: its reshare is not complete",
    "reshare_conflict": "a reshare of this share is in flight, or the key is being stored",
    "share_superseded": "this share was superseded by a reshare",
    "share_erased": "this share was erased",
}
_KEYGEN = "already_performed_keygen"
_BEFORE = "key_operation_before_keygen"
_NOT_COMPLETE = "reshare_not_complete"
_CONFLICT = "reshare_conflict"
_SUPERSEDED = "share_superseded"
_ERASED = "share_erased"
_SUSPENDED: frozenset[Action] = frozenset({"sign", "reshare", "export", "backup"})  # what a suspended share does not do

# Columns as in ACTIONS, but for `backup`, which answers as `export` does.
# `keygen` is a share that its key generation left quarantined: not yet stored by all.
_ROWS: dict[str, tuple[str, ...]] = {
    #                  keygen   join     sign           derive   read  reshare        export         delete
    State.CREATED: (OK, OK, _BEFORE, _BEFORE, OK, _BEFORE, _BEFORE, OK),
    "keygen": (_KEYGEN, _KEYGEN, _BEFORE, _BEFORE, OK, _BEFORE, _BEFORE, _CONFLICT),
    State.QUARANTINED: (_KEYGEN, _KEYGEN, _NOT_COMPLETE, OK, OK, _NOT_COMPLETE, _NOT_COMPLETE, _CONFLICT),
    State.PARKED: (_KEYGEN, _KEYGEN, _NOT_COMPLETE, OK, OK, _NOT_COMPLETE, _NOT_COMPLETE, _CONFLICT),
    State.ACTIVE: (_KEYGEN, _KEYGEN, OK, OK, OK, OK, OK, OK),
    State.RETIRING: (_KEYGEN, _KEYGEN, OK, OK, OK, _CONFLICT, _CONFLICT, VOTE),
    State.SUPERSEDED: (_KEYGEN, _KEYGEN, _SUPERSEDED, OK, OK, _SUPERSEDED, _SUPERSEDED, GOING),
    State.ERASED: (_KEYGEN, _KEYGEN, _ERASED, OK, OK, _ERASED, _ERASED, AGAIN),
    State.DISCARDED: (_KEYGEN, _KEYGEN, _ERASED, OK, OK, _ERASED, _ERASED, AGAIN),
}
TABLE: dict[str, dict[Action, str]] = {
    state: dict(zip(ACTIONS, (*row, row[ACTIONS.index("export")]), strict=True)) for state, row in _ROWS.items()
}
# What a key that was exported whole is no longer good for. The export itself may be tried again.
_ENDED_BY_EXPORT: tuple[Action, ...] = ("sign", "reshare", "backup")


def standing(key: KeyShare) -> str:
    """The row of the table: the state, with a keygen's quarantine told from a reshare's."""
    if key.state == State.QUARANTINED and key.generation == 1:
        return "keygen"
    return key.state


def refusals_of(action: Action) -> tuple[str, ...]:
    """The error types of `require` for this action, in whatever state."""
    words = {row[action] for row in TABLE.values()} & ERROR_STATUS.keys()
    if action == "delete":
        words.add(_SUPERSEDED)
    if action in _SUSPENDED:
        words.add(_CONFLICT)
    return tuple(sorted(words))


def require(key: KeyShare, action: Action) -> str:
    """`OK`, `VOTE`, `AGAIN` or `GOING`; raises the ApiError that this share answers to this action."""
    if key.suspended and action in _SUSPENDED:
        raise ApiError(_CONFLICT, f"this share is suspended until an operator decides: {key.suspended}")
    word = TABLE[standing(key)][action]
    if word == OK and key.exported_at and action in _ENDED_BY_EXPORT:
        raise ApiError(_SUPERSEDED, "this key was exported whole: its parties don't use their shares any more")
    if word in ERROR_STATUS:
        raise ApiError(word, _MESSAGES[word])
    if action == "derive" and key.public_key is None:
        raise ApiError(_BEFORE, "this share never had a public key")
    return word
