"""The sizes that docs/cryptography.md states are those of the messages that are sent."""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import pytest

from mpc import channel
from mpc.wire import encode
from tests.mpc.transcripts import SCENARIOS, transcript

PAGE = Path(__file__).parents[2] / "docs" / "cryptography.md"
ROW = re.compile(r"^\| ([KRS]\d(?:, [KRS]\d)*) \| `(\w+)` \| (all|each) \| ([\d,]+)", re.MULTILINE)


def payload(value: Any) -> int:
    """The bytes of all fields."""
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, msgspec.Struct):
        return sum(payload(getattr(value, name)) for name in value.__struct_fields__)
    return sum(map(payload, value)) if isinstance(value, tuple) else 0


@pytest.fixture(scope="module")
def sent() -> dict[str, set[int]]:
    """Kind of message → the sizes of those that the recorded scenarios send after their hellos."""
    sizes = defaultdict(set)

    def noting(message: msgspec.Struct) -> bytes:
        sizes[type(message).__name__].add(payload(message))
        return encode(message)

    with patch.object(channel, "encode", noting):
        for name in SCENARIOS:
            transcript(name)
    return sizes


def test_every_message_has_its_size(sent: dict[str, set[int]]) -> None:
    stated = {name: int(size.replace(",", "")) for _, name, _, size in ROW.findall(PAGE.read_text())}
    assert stated == {name: max(sizes) for name, sizes in sent.items()}


def test_sums_per_ordered_pair(sent: dict[str, set[int]]) -> None:
    """With the broadcasts counted once for the pair."""

    def total(*names: str) -> int:
        return sum(max(sent[name]) for name in names)

    sign = total("Commitment", "SignExtension", "SignProduct", "SignShare")
    keygen = total("Commitment", "KeygenOpening", "KeygenDeal", "EchoedAnswer", "Puncturing", "Outcome")
    stated = f"{sign / 1000:.1f} kB for a signature and {keygen / 1000:.1f} kB for a set-up"
    assert stated in PAGE.read_text()
