"""The demo: what it reads and writes for others, that it fails when a step does, and the whole of it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from coincurve import PrivateKey
from rich.console import Console

from cluster.cluster import CHECKOUT
from cluster.demo import __main__ as demo
from cluster.demo import copies, ethereum
from cluster.demo.story import StepFailed, Story, check
from cluster.process import StartError

# The example of EIP-155: a transaction, its hash and the key that signs it.
EXAMPLE_KEY = PrivateKey(b"\x46" * 32)
EXAMPLE: list[ethereum.Item] = [
    ethereum.number(9),
    ethereum.number(20 * 10**9),
    ethereum.number(21_000),
    b"\x35" * 20,
    ethereum.number(10**18),
    b"",
    ethereum.number(1),
    b"",
    b"",
]
EXAMPLE_BYTES = bytes.fromhex(
    "ec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080018080"
)


def test_transactions_are_encoded_and_hashed_as_specified() -> None:
    assert ethereum.encode(EXAMPLE) == EXAMPLE_BYTES
    assert ethereum.keccak256(EXAMPLE_BYTES).hex() == "daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53"
    assert ethereum.address_of(EXAMPLE_KEY.public_key.format()) == "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"


@pytest.mark.parametrize(
    ("item", "encoded"),
    [
        (b"", "80"),
        (b"\x00", "00"),
        (b"\x7f", "7f"),
        (b"\x80", "8180"),
        (b"dog", "83646f67"),
        ([], "c0"),
        ([[], [[]], [[], [[]]]], "c7c0c1c0c3c0c1c0"),
        (b"a" * 55, "b7" + "61" * 55),
        (b"a" * 56, "b838" + "61" * 56),
        (b"a" * 1024, "b90400" + "61" * 1024),
        ([b"a"] * 60, "f83c" + "61" * 60),
    ],
)
def test_rlp_there_and_back(item: ethereum.Item, encoded: str) -> None:
    assert ethereum.encode(item).hex() == encoded
    assert ethereum.decode(bytes.fromhex(encoded)) == item


@pytest.mark.parametrize("wrong", ["8080", "83646f", "c180c0"])
def test_rlp_that_is_cut_or_followed_by_something(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"cut off|follows"):
        ethereum.decode(bytes.fromhex(wrong))


def signed_example(**changes: Any) -> tuple[ethereum.Transaction, bytes]:
    fields = {"nonce": 0, "value": 1, **changes}
    transaction = ethereum.Transaction(1, fields["nonce"], 2, 3, 21_000, b"\x35" * 20, fields["value"])
    compact = EXAMPLE_KEY.sign_recoverable(ethereum.keccak256(transaction.message()), hasher=None)
    signature = {"r": compact[:32].hex(), "s": compact[32:64].hex(), "v": compact[64]}
    return transaction, transaction.signed(signature)


def test_the_sender_is_read_from_the_bytes() -> None:
    for nonce in range(8):  # both parities
        _, raw = signed_example(nonce=nonce)
        assert ethereum.sender(raw) == ethereum.address_of(EXAMPLE_KEY.public_key.format())
    changed = bytearray(raw)
    changed[11] ^= 1  # of the recipient
    assert ethereum.sender(bytes(changed)) != ethereum.address_of(EXAMPLE_KEY.public_key.format())
    with pytest.raises(ValueError, match="type 2"):
        ethereum.sender(signed_example()[0].message())


def test_copies_of_one_generation_are_the_key_and_mixes_are_not() -> None:
    old, new = copies.both_generations()
    assert copies.gives_the_key([old["B"], old["C"]])
    assert not copies.gives_the_key([old["B"]])
    assert not copies.gives_the_key([new["D"], new["F"]])
    assert not copies.gives_the_key([old["A"], new["D"], new["E"]])
    assert not copies.refuse_each_other([new["D"], new["E"], new["F"]])
    assert len(list(copies.mixes(old.values(), new.values(), 2))) == 15


def test_a_step_that_does_not_hold_is_named() -> None:
    story = Story(Console(quiet=True))
    with story.step("first") as show:
        show("something")
    with pytest.raises(StepFailed, match="step 2, second: it does not hold"), story.step("second"):
        check(False, "it does not hold")
    assert [(title, shown) for title, shown, _ in story.told] == [("first", ["something"])]


def test_the_demo_fails_when_a_step_does(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Broken:
        def __init__(self, *_: object, **__: object) -> None:
            raise StartError("no vertex today")

    monkeypatch.setattr(demo, "Cluster", Broken)
    monkeypatch.setattr(sys, "argv", ["demo"])
    assert demo.main() == 1
    assert "FAILED step 1, Six vertices and a relay start: no vertex today" in capsys.readouterr().out


def test_the_whole_demo(tmp_path: Path) -> None:
    """On servers of its own: those of the other tests have a cluster already."""
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    ran = subprocess.run(
        [sys.executable, "-m", "cluster.demo", "--run-dir", str(tmp_path)],
        cwd=CHECKOUT,
        env=environment | {"PYTHONPATH": str(CHECKOUT / "client" / "src")},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.endswith("Every step held.\n")
    for shown in ("under a taproot key", "not complete, nobody signs", "4 of 5 erased", "events: A "):
        assert shown in ran.stdout
