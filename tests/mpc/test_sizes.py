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
ROW = re.compile(
    r"^\| [A-Z]\d(?:, [KRS]\d)* \| `(\w+)` \| (?:all|each) \| ([\d,]+|–) \| ([\d,]+|–) \| ([\d,]+|–) \|$", re.MULTILINE
)
COLUMNS = ("ecdsa", "bip340", "ed25519")
Sizes = dict[str, dict[str, int]]


def payload(value: Any) -> int:
    """The bytes of all fields."""
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, msgspec.Struct):
        return sum(payload(getattr(value, name)) for name in value.__struct_fields__)
    return sum(map(payload, value)) if isinstance(value, tuple) else 0


@pytest.fixture(scope="module")
def sent() -> Sizes:
    """Scheme → kind of message → the size of the largest that the recorded scenarios send after their hellos."""
    sizes: dict[str, dict[str, int]] = defaultdict(dict)
    for name in SCENARIOS:
        of_scheme = sizes[name.partition("-")[0]]

        def noting(message: msgspec.Struct, of_scheme: dict[str, int] = of_scheme) -> bytes:
            kind = type(message).__name__
            if not kind.endswith(("Fields", "Bundle")):  # a hello's, encoded in it; a batch's: test_batch.py
                of_scheme[kind] = max(payload(message), of_scheme.get(kind, 0))
            return encode(message)

        with patch.object(channel, "encode", noting):
            transcript(name)
    return sizes


def test_every_message_has_its_size(sent: Sizes) -> None:
    stated: Sizes = {scheme: {} for scheme in COLUMNS}
    for name, *sizes in ROW.findall(PAGE.read_text()):
        for scheme, size in zip(COLUMNS, sizes, strict=True):
            if size != "–":
                stated[scheme][name] = int(size.replace(",", ""))
    assert stated == sent


def test_sums_per_ordered_pair(sent: Sizes) -> None:
    """With the broadcasts counted once for the pair."""

    def total(scheme: str, *names: str) -> int:
        return sum(sent[scheme][name] for name in names)

    page = " ".join(PAGE.read_text().split())
    sign = total("ecdsa", "Commitment", "SignExtension", "SignProduct", "SignShare")
    setup = total("ecdsa", "Commitment", "KeygenOpening", "KeygenDeal", "EchoedAnswer", "Puncturing", "Outcome")
    assert f"{sign / 1000:.1f} kB for an ECDSA signature and {setup / 1000:.1f} kB for a set-up" in page
    frost = total("bip340", "FrostCommitment", "FrostShare")
    key = total("bip340", "Commitment", "KeygenOpening", "KeygenDeal", "EchoedOutcome")
    assert f"{frost} B for a BIP340 signature and {key} B for a key" in page
