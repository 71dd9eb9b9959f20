"""Collecting who failed which check, so that every check of a round is computed before anything is said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from mpc.errors import Blame, CheckFailed, Malformed
from mpc.wire import Message, decode

M = TypeVar("M", bound=Message)


class Findings:
    """What a round's checks found. ``conclude`` speaks, and only then."""

    def __init__(self) -> None:
        self._banned: set[bytes] = set()
        self._blamed: set[bytes] = set()
        self._reasons: list[str] = []

    @contextmanager
    def about(self, party: bytes) -> Iterator[None]:
        """Notes what goes wrong inside against ``party``, whose signed message is being checked."""
        try:
            yield
        except CheckFailed as error:
            self._banned.add(party)
            self._reasons.append(str(error))
        except Malformed as error:
            self._blamed.add(party)
            self._reasons.append(str(error))

    def conclude(self, reason: str = "") -> None:
        """Raises Blame if anything was found: the bans if there are any, else the rest.

        ``reason`` replaces the reasons found where saying which check failed would tell a cheater something.
        """
        culprits = self._banned or self._blamed
        if culprits:
            raise Blame(culprits, reason or "; ".join(self._reasons), ban=bool(self._banned))


@contextmanager
def blaming(party: bytes) -> Iterator[None]:
    """``Findings`` about one party, spoken at once."""
    findings = Findings()
    with findings.about(party):
        yield
    findings.conclude()


def decode_all(payloads: Mapping[bytes, bytes], kind: type[M]) -> dict[bytes, M]:
    """The messages, by sender. Blames everybody whose does not parse: its signature is theirs."""
    findings, messages = Findings(), {}
    for sender, payload in payloads.items():
        with findings.about(sender):
            messages[sender] = decode(kind, payload)
    findings.conclude()
    return messages
