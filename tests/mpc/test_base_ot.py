"""Base OT: what both sides get, what never happens to a secret, what is refused."""

import numpy as np
import pytest

from mpc.errors import Malformed
from mpc.group import SECP256K1 as GROUP
from mpc.group import Secp256k1
from mpc.hashing import TH, XOF
from mpc.ot import base
from mpc.ot.bits import pack
from tests.mpc.pairs import Draws

PAIR = TH("test/pair", b"base")
CHOICES = {
    "all 0": bytes(16),
    "all 1": b"\xff" * 16,
    "mixed": XOF(16, "test", b"choices"),
}


def run(choices, seed="base"):
    a, key = base.start(Draws("bob"))
    return a, key, *base.answer(PAIR, key, Draws(seed, {"choices": choices}))


@pytest.mark.parametrize("choices", CHOICES.values(), ids=CHOICES)
def test_alice_gets_the_pad_of_her_choice_and_not_the_other(choices):
    a, key, bits, message, alice = run(choices)
    assert (len(key), len(message), alice.shape) == (33, 8448, (128, 16))
    assert pack(bits) == choices
    bob = base.pads(PAIR, a, message)
    assert (bob.shape, bob.dtype) == ((128, 2, 16), np.uint8)
    every = np.arange(128)
    assert (bob[every, bits] == alice).all()
    assert (bob[every, 1 - bits] != alice).any(axis=1).all()
    assert len({pad.tobytes() for pad in bob.reshape(256, 16)}) == 256


def test_pads_are_those_of_the_specification():
    a, _, _, message, _ = run(CHOICES["mixed"])
    bob = base.pads(PAIR, a, message)
    points = [message[at : at + 33] for at in range(0, len(message), 33)]
    for i, j in ((0, 0), (0, 1), (63, 1), (127, 0)):
        slot = bytes((i, j))
        blinded = GROUP.hash_to_point("ot/Hp", PAIR, slot, points[2 * i + 1 - j])
        product = GROUP.mul_public(GROUP.add(GROUP.decode(points[2 * i + j]), blinded), a)
        assert bob[i, j].tobytes() == XOF(16, "ot/pad", PAIR, slot, GROUP.ecdh_image(product))


def test_pads_depend_on_the_pair():
    a, _, _, message, alice = run(CHOICES["all 0"])
    other = base.pads(TH("test/pair", b"another"), a, message)
    assert not (other[:, 0] == alice).all(axis=1).any()


def test_choices_and_keys_are_drawn_fresh_for_each_pair():
    _, key = base.start(Draws("bob"))
    draws = Draws("alice")
    first = base.answer(PAIR, key, draws)
    second = base.answer(TH("test/pair", b"second"), key, draws)  # Draws refuses to give one label twice
    assert (first[0] != second[0]).any()
    assert base.start(Draws("bob"))[1] != base.start(Draws("bob, other counterparty"))[1]


@pytest.mark.parametrize("choices", CHOICES.values(), ids=CHOICES)
def test_work_is_the_same_for_both_choices(choices, monkeypatch):
    """As many multiplications, and a hash to a point for either branch: the number of its tries shows no choice."""
    calls = {"base_mul": [], "ecdh": [], "mul_public": [], "hash_to_points": [], "_lift": []}
    for name, made in calls.items():
        original = getattr(Secp256k1, name)
        monkeypatch.setattr(
            Secp256k1, name, lambda self, *args, _made=made, _call=original: _made.append(args) or _call(self, *args)
        )
    draws = Draws("work", {"choices": choices})
    message = base.answer(PAIR, base.start(Draws("bob"))[1], draws)[1]
    points = [message[at : at + 33] for at in range(0, len(message), 33)]
    assert {name: len(made) for name, made in calls.items()} == {
        "base_mul": 1 + 128,  # Bob's A and one for each transfer
        "ecdh": 128,
        "mul_public": 0,
        "hash_to_points": 3,
        "_lift": 3 * 128,
    }
    hashed = [args for args in calls["hash_to_points"] if args[0] == "ot/Hp"]
    rows = [
        (slot.tobytes(), other.tobytes()) for _, _, *columns in hashed for slot, other in zip(*columns, strict=True)
    ]
    assert all(args[1] == PAIR for args in hashed)
    assert len(rows) == 2 * 128
    assert set(rows) == {(bytes((i, j)), points[2 * i + 1 - j]) for i in range(128) for j in (0, 1)}


@pytest.mark.parametrize("choices", CHOICES.values(), ids=CHOICES)
def test_the_other_point_is_a_lifted_hash_and_no_product(choices, monkeypatch):
    products = []
    original = Secp256k1.base_mul

    def recorded(self, secret):
        products.append(original(self, secret))
        return products[-1]

    monkeypatch.setattr(Secp256k1, "base_mul", recorded)
    _, _, bits, message, _ = run(choices)
    fresh = Draws("base")
    for i, bit in enumerate(bits.tolist()):
        at = 33 * (2 * i + 1 - bit)
        other = GROUP.decode(message[at : at + 33])
        assert other == GROUP.hash_to_point("ot/blind", fresh(f"ot/{PAIR.hex()}/blind/{i}", 32))
        assert other not in products


def test_the_chosen_branch_can_not_be_told_by_its_sign():
    _, _, _, message, _ = run(CHOICES["all 0"])
    signs = [message[at] for at in range(0, len(message), 33)]
    for branch in (signs[0::2], signs[1::2]):
        assert 32 < branch.count(2) < 96  # 128 fair coins leave this range once in 2^24


NO_POINT = b"\x02" + (5).to_bytes(32, "big")


@pytest.mark.parametrize("key", [b"", bytes(33), NO_POINT, GROUP.generator.to_bytes() + b"\x00"])
def test_alice_refuses_a_bad_key(key):
    draws = Draws("alice")
    with pytest.raises(Malformed):
        base.answer(PAIR, key, draws)
    assert draws.labels == []


def _negated_hash(message):
    """φ_{5,1} such that P_{5,1} is the identity: its pad would be known to everybody."""
    other = message[33 * 10 : 33 * 11]
    forged = GROUP.negate(GROUP.hash_to_point("ot/Hp", PAIR, bytes((5, 1)), other)).to_bytes()
    return message[: 33 * 11] + forged + message[33 * 12 :]


BAD_ANSWERS = {
    "empty": lambda m: b"",
    "a byte short": lambda m: m[:-1],
    "a byte long": lambda m: m + b"\x00",
    "a point short": lambda m: m[33:],
    "first not a point": lambda m: NO_POINT + m[33:],
    "last not a point": lambda m: m[:-33] + NO_POINT,
    "an encoded identity": lambda m: m[:33] + bytes(33) + m[66:],
    "a sum that is the identity": _negated_hash,
}


@pytest.mark.parametrize("forge", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_bob_refuses_a_bad_answer(forge):
    a, _, _, message, _ = run(CHOICES["mixed"])
    with pytest.raises(Malformed):
        base.pads(PAIR, a, forge(message))
