"""The hash chain of the event log, pure: the same code checks the table and an exported file.

``hash`` = SHA-256 over tag, seq, time, action, actor, subject, canonical data and the previous event's hash, each
part length-prefixed. A chain shows changes, gaps and insertions, not a cut tail or one rewritten from some event on:
for that heads are signed and handed out, and the chain is held against them.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

# What the first event follows.
EMPTY = hashlib.sha256(b"vertex/audit/genesis/1").digest()
_MAX_DEPTH = 16


class Broken(Exception):
    """The chain does not hold at `seq`."""

    def __init__(self, seq: int, reason: str) -> None:
        super().__init__(f"event {seq}: {reason}")
        self.seq = seq
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody says that event `seq` has this `hash` (32 bytes); `source` says who, in words."""

    seq: int
    hash: bytes
    source: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One event as it is hashed; `previous` and `hash` have 32 bytes."""

    seq: int
    time: datetime
    action: str
    actor: str
    subject: str
    data: dict[str, Any]
    previous: bytes
    hash: bytes

    def to_line(self) -> str:
        """One line of an exported log (JSON, no newline)."""
        return canonical(
            {
                "seq": self.seq,
                "time": time_text(self.time),
                "action": self.action,
                "actor": self.actor,
                "subject": self.subject,
                "data": self.data,
                "previous": self.previous.hex(),
                "hash": self.hash.hex(),
            }
        )

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Raises ValueError for anything but a line of `to_line`."""
        try:
            fields = json.loads(line)
            entry = cls(
                seq=int(fields["seq"]),
                time=datetime.fromisoformat(fields["time"]),
                action=str(fields["action"]),
                actor=str(fields["actor"]),
                subject=str(fields["subject"]),
                data=dict(fields["data"]),
                previous=bytes.fromhex(fields["previous"]),
                hash=bytes.fromhex(fields["hash"]),
            )
            same = entry.to_line() == line
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise ValueError("not an exported event") from error
        if not same:
            raise ValueError("not an exported event in canonical form")
        return entry


def entry_hash(
    *, seq: int, time: datetime, action: str, actor: str, subject: str, data: Mapping[str, Any], previous: bytes
) -> bytes:
    """32 bytes. Raises ValueError for data that have no canonical form."""
    parts = (str(seq), time_text(time), action, actor, subject, canonical(data))
    return digest("event", *(part.encode() for part in parts), previous)


def verify(entries: Iterable[Entry], claims: Iterable[Claim] = ()) -> tuple[int, bytes]:
    """Check a whole chain, and that it holds what `claims` say; gives its end (seq, hash). Raises Broken.

    The first bad event is named: one that was changed, the first that is missing, or the one that a claim contradicts.
    """
    claimed: dict[int, list[Claim]] = {}
    for claim in claims:
        claimed.setdefault(claim.seq, []).append(claim)
    seq, previous = 0, EMPTY
    _hold(seq, previous, claimed)
    for entry in entries:
        if entry.seq != seq + 1:
            raise Broken(seq + 1, f"is missing: event {entry.seq} stands in its place")
        if entry.previous != previous:
            raise Broken(entry.seq, "does not follow from the event before it")
        if entry.hash != _hash_of(entry):
            raise Broken(entry.seq, "was changed: its hash is another")
        seq, previous = entry.seq, entry.hash
        _hold(seq, previous, claimed)
    if claimed:
        claim = claimed[min(claimed)][0]
        raise Broken(seq + 1, f"is no longer there: the log ends before it, {claim.source} names event {claim.seq}")
    return seq, previous


def _hold(seq: int, digest: bytes, claimed: dict[int, list[Claim]]) -> None:
    for claim in claimed.pop(seq, ()):
        if claim.hash != digest:
            raise Broken(seq, f"is another than the one that {claim.source} names")


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces; strings, integers, booleans, None, lists and objects only.

    Raises ValueError for what the database would not give back as it was: floats, NUL, lone surrogates, other keys.
    """
    _check(value, _MAX_DEPTH)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest(purpose: str, *parts: bytes) -> bytes:
    """SHA-256 over length-prefixed parts under a tag of the audit log's own."""
    tagged = (f"vertex/audit/{purpose}/1".encode(), *parts)
    return hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in tagged)).digest()


def time_text(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")


def _hash_of(entry: Entry) -> bytes:
    try:
        return entry_hash(
            seq=entry.seq,
            time=entry.time,
            action=entry.action,
            actor=entry.actor,
            subject=entry.subject,
            data=entry.data,
            previous=entry.previous,
        )
    except (ValueError, OverflowError) as error:
        raise Broken(entry.seq, f"was changed: {error}") from error


def _check(value: Any, depth: int) -> None:
    if depth == 0:
        raise ValueError("nested too deeply for an event")
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError("text with NUL or a lone surrogate")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError("a key that is no text")
            _check(key, depth)
            _check(item, depth - 1)
    elif isinstance(value, list | tuple):
        for item in value:
            _check(item, depth - 1)
    elif not (value is None or isinstance(value, bool | int)):
        raise ValueError(f"a {type(value).__name__} has no canonical form")
