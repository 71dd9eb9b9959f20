"""A rotation of the master key, the same for all providers: one record after the other, the header last."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from keys.keystore.base import KeystoreUnavailable

_PASSES = 8


class Part(Protocol):
    """Records of one sort that a master key seals."""

    def stale(self) -> Iterable[str]:
        """What is there and is sealed under another master key than the one that writes."""

    def reseal(self, name: str) -> bool:
        """Seal one again, in one step that no other writer comes between; False when there was nothing to do."""


class Header(Protocol):
    def reseal(self) -> Iterator[str]: ...


def reseal(parts: Sequence[Part], header: Header) -> Iterator[str]:
    """Seal again until a whole pass finds nothing, then the header; yields each name once it is durable.

    Each record tells by itself under which key it is sealed, so there is no progress to keep: cut short anywhere, the
    next run goes on. What a worker still wrote under the old key is caught by the next pass. Raises KeystoreUnavailable
    where that has no end.
    """
    for _ in range(_PASSES):
        stale = [(part, name) for part in parts for name in part.stale()]
        if not stale:
            yield from header.reseal()
            return
        for part, name in stale:
            if part.reseal(name):
                yield name
    raise KeystoreUnavailable("workers still seal under the other master key")
