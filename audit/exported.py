"""An exported log, checked without a database or settings: JSON lines, events in order and signed heads."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from audit import chain
from audit.heads import OWN, PREFIX, SEEN, Head, PublicKey

# The longest honest line: 64 KiB of data in canonical form, and the other fields.
MAX_LINE = 262_144
_EVENT = '{"action":'


class Unusable(Exception):
    """What the log was to be held against (a key, heads of peers) can't be read: nothing is said about the log."""


@dataclass(frozen=True, slots=True)
class Checks:
    """What a log is held against. Without a key the signatures of that kind are not checked."""

    key: PublicKey | None = None
    witness_keys: tuple[PublicKey, ...] = ()
    claims: tuple[chain.Claim, ...] = ()
    against: tuple[Head, ...] = ()

    def all_claims(self, own: Iterable[Head]) -> Iterator[chain.Claim]:
        yield from self.claims
        yield from (head.claim for head in (*own, *self.against))

    def check_signatures(self, own: Iterable[Head]) -> None:
        """Raises Broken for a head that its key does not verify, the log's own first."""
        for head in own:
            if head.format != OWN:
                raise chain.Broken(head.seq, "a peer's head stands among the log's own")
        for head in (*own, *self.against):
            keys = self.witness_keys if head.format == SEEN else (self.key,) if self.key else ()
            if keys:
                head.check(keys)


@dataclass(frozen=True, slots=True)
class Report:
    """A log that holds: its end, and up to where its own signed heads reach (0: there is none)."""

    seq: int
    hash: bytes
    signed: int
    checks: Checks = field(repr=False)

    def lines(self) -> Iterator[str]:
        """For people: the result, then what was not checked."""
        yield f"ok: {self.seq} events, head {self.hash.hex()}"
        if self.signed < self.seq:
            yield f"note: no signed head covers the events after {self.signed}: a cut there would not show"
        if self.signed and self.checks.key is None:
            yield "note: no key was given, the log's signed heads were not verified"
        if any(head.format == SEEN for head in self.checks.against) and not self.checks.witness_keys:
            yield "note: no witness key was given, the peers' signatures were not verified"


def verify_file(path: Path, checks: Checks) -> Report:
    """Check an exported log. Raises Broken, which names the first bad event; OSError if it can't be read."""
    with path.open("rb") as file:
        own = tuple(_readable_heads(file))
        file.seek(0)
        seq, digest = chain.verify(_entries(file), checks.all_claims(own))
    if seq == 0:
        raise chain.Broken(1, "is missing: the file holds no event")
    if checks.key is not None and not own:
        raise chain.Broken(seq, "no signed head follows: the file is cut, or was exported before one was asked for")
    checks.check_signatures(own)
    return Report(seq, digest, max((head.seq for head in own), default=0), checks)


def read_heads(path: Path) -> tuple[Head, ...]:
    """The heads of a file, a line each: a peer's `audit_heads`, answers of `GET /audit/head`, or an export, whose
    events are passed over. Raises Unusable."""
    heads = []
    try:
        with path.open("rb") as file:
            for number, line in _lines(file):
                if not line.startswith(_EVENT):
                    heads.append(_head(number, line, Head.from_line if line.startswith(PREFIX) else Head.from_answer))
    except (OSError, ValueError) as error:
        raise Unusable(f"{path}: {error}") from error
    if not heads:
        raise Unusable(f"{path}: there is no signed head in it")
    return tuple(heads)


def read_key(path: Path) -> PublicKey:
    """A PEM file. Raises Unusable."""
    try:
        return PublicKey.from_pem(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Unusable(f"{path}: {error}") from error


def parse_claim(text: str) -> chain.Claim:
    """``SEQ:HASH`` as somebody wrote it down. Raises Unusable."""
    seq, _, digest = text.partition(":")
    try:
        claim = chain.Claim(int(seq), bytes.fromhex(digest), "the given head")
    except ValueError as error:
        raise Unusable(f"a head is SEQ:HASH, not {text!a}") from error
    if claim.seq < 0 or len(claim.hash) != 32:
        raise Unusable(f"a head is SEQ:HASH with 64 hex digits, not {text!a}")
    return claim


def _readable_heads(file: BinaryIO) -> Iterator[Head]:
    """The heads of the log itself, before its events are read; a bad line is named when the events come to it."""
    try:
        for number, line in _lines(file):
            if line.startswith(PREFIX):
                yield _head(number, line)
    except ValueError:
        return


def _entries(file: BinaryIO) -> Iterator[chain.Entry]:
    last = 0
    try:
        for number, line in _lines(file):
            if line.startswith(PREFIX):
                _head(number, line)
                continue
            try:
                entry = chain.Entry.from_line(line)
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from error
            yield entry
            last = entry.seq
    except ValueError as error:
        raise chain.Broken(last + 1, f"can't be read: {error}") from error


def _head(number: int, line: str, read: Callable[[str], Head] = Head.from_line) -> Head:
    try:
        return read(line)
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from error


def _lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """Numbered lines of ASCII text without their ends. Raises ValueError for others."""
    number = 0
    while raw := file.readline(MAX_LINE + 1):
        number += 1
        if len(raw) > MAX_LINE:
            raise ValueError(f"line {number}: longer than any of a log")
        if not raw.isascii():
            raise ValueError(f"line {number}: not text")
        yield number, raw.decode("ascii").removesuffix("\n")
