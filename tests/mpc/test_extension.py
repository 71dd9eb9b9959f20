"""OT extension against a bit-by-bit reading of the specification, honest and cheating."""

import numpy as np
import pytest

from mpc.errors import CheckFailed, Malformed
from mpc.hashing import TH, XOF
from mpc.ot.bits import unpack
from mpc.ot.extension import extend, verify
from mpc.ot.state import ALICE_STATE_LENGTH, BOB_STATE_LENGTH, AliceState, BobState
from tests.mpc.pairs import flip, set_up

PSID = TH("test/psid", b"extension")
CHOICES = XOF(68, "test", b"choices")
ROW = (1 << 416) - 1


def integer(data):
    return int.from_bytes(data, "little")


def reference(state, psid, choices, lies=()):
    """Bob of section 5 with Python integers as bit vectors: (columns V, message).

    `lies`: (group, bit): that group's u is made with the bit of x' flipped, everything after it consistently so.
    """
    x, sent, columns = integer(choices), b"", []
    for g in range(64):
        r = [integer(XOF(68, "row", psid, bytes((g,)), bytes((y,)), state.leaves[g, y].tobytes())) for y in range(4)]
        u = r[0] ^ r[1] ^ r[2] ^ r[3] ^ x
        for group, bit in lies:
            u ^= (group == g) << bit
        sent += u.to_bytes(68, "little")
        columns += [r[2] ^ r[3], r[1] ^ r[3]]
    stream = XOF(128 * 52, "check", psid, sent)
    matrix = [integer(stream[52 * i : 52 * i + 52]) for i in range(128)]
    bit = lambda i, v: ((matrix[i] & v & ROW).bit_count() & 1) ^ (v >> 416 + i & 1)  # noqa: E731
    check = sum(bit(i, x) << i for i in range(128)).to_bytes(16, "little")
    rows = [sum(bit(i, v) << c for c, v in enumerate(columns)).to_bytes(16, "little") for i in range(128)]
    return columns, sent + check + TH("tt", psid, b"".join(rows))


def test_agrees_with_the_specification_bit_by_bit():
    pair = set_up("extension")
    columns, expected = reference(pair.bob, PSID, CHOICES)
    rows, message = extend(pair.bob, PSID, CHOICES)
    assert message == expected
    assert len(message) == 4400
    assert [integer(row.tobytes()) for row in rows] == [
        sum((v >> j & 1) << c for c, v in enumerate(columns)) for j in range(416)
    ]


ALL_CHOICES = {"mixed": CHOICES, "zeros": bytes(68), "ones": b"\xff" * 68, "a single one": b"\x01" + bytes(67)}


@pytest.mark.parametrize("choices", ALL_CHOICES.values(), ids=ALL_CHOICES)
def test_rows_are_correlated(choices):
    pair = set_up("extension")
    rows, message = extend(pair.bob, PSID, choices)
    beta = unpack(choices)[:416, None]
    difference = beta * np.frombuffer(pair.alice.delta, np.uint8)
    assert rows.shape == (416, 16)
    assert (verify(pair.alice, PSID, message) == rows ^ difference).all()


def fails(message, *, psid=PSID, pair="extension"):
    with pytest.raises(CheckFailed) as failure:
        verify(set_up(pair).alice, psid, message)
    return failure.value.check == "extension"


@pytest.mark.parametrize("bit", [0, 5, 7])
@pytest.mark.parametrize("at", [0, 51, 52, 67, 68, 2200, 4351, 4352, 4360, 4367, 4368, 4399])
def test_a_flipped_bit_is_seen(at, bit):
    """In u (choices and tail, first, middle, last group), in x̃, in the hash of T̃."""
    assert fails(flip(extend(set_up("extension").bob, PSID, CHOICES)[1], at, bit))


def test_another_session_or_pair_is_seen():
    message = extend(set_up("extension").bob, PSID, CHOICES)[1]
    assert fails(message, psid=TH("test/psid", b"another"))
    assert fails(message, pair="extension, other")


@pytest.mark.parametrize("bit", [0, 415, 416, 543])
def test_a_consistent_lie_in_one_group_is_caught_iff_delta_is_not_zero_there(bit):
    """What a cheating Bob learns from the verdict: hence the ban, and one check of a pair at a time."""
    pair = set_up("extension")
    delta = unpack(pair.alice.delta).reshape(64, 2)
    quiet = [g for g in range(64) if not delta[g].any()][:2]
    loud = [g for g in range(64) if delta[g].tolist() in ([0, 1], [1, 0], [1, 1])][:6]
    assert quiet
    for group in quiet + loud:
        message = reference(pair.bob, PSID, CHOICES, [(group, bit)])[1]
        if group in loud:
            assert fails(message)
        else:
            assert verify(pair.alice, PSID, message).shape == (416, 16)


def test_the_check_sees_each_column():
    """Each of the 128 columns alone, wrong by one bit at Alice, fails the check."""
    pair = set_up("extension")
    delta = unpack(pair.alice.delta)
    message = extend(pair.bob, PSID, CHOICES)[1]
    for column in range(128):
        other = delta.copy()
        other[column] ^= 1
        state = AliceState(np.packbits(other, bitorder="little").tobytes(), pair.alice.leaves)
        with pytest.raises(CheckFailed):
            verify(state, PSID, message)


@pytest.mark.parametrize("forge", [lambda m: b"", lambda m: m[:-1], lambda m: m + b"\x00", lambda m: m[68:]])
def test_wrong_lengths_are_malformed(forge):
    pair = set_up("extension")
    with pytest.raises(Malformed):
        verify(pair.alice, PSID, forge(extend(pair.bob, PSID, CHOICES)[1]))


STATES = {"alice": (AliceState, ALICE_STATE_LENGTH, 3088), "bob": (BobState, BOB_STATE_LENGTH, 4096)}


@pytest.mark.parametrize(("kind", "length", "bytes_"), STATES.values(), ids=STATES)
def test_states_have_one_length_and_print_nothing(kind, length, bytes_):
    pair = set_up("extension")
    state = pair.alice if kind is AliceState else pair.bob
    data = state.encode()
    assert len(data) == length == bytes_
    again = kind.decode(data)
    assert again.encode() == data
    assert again.leaves.shape == state.leaves.shape
    assert repr(state) == f"{kind.__name__}(<redacted>)"
    for wrong in (b"", data[:-1], data + b"\x00"):
        with pytest.raises(Malformed):
            kind.decode(wrong)


def test_a_decoded_state_works():
    pair = set_up("extension")
    rows, message = extend(BobState.decode(pair.bob.encode()), PSID, bytes(68))
    assert (verify(AliceState.decode(pair.alice.encode()), PSID, message) == rows).all()
