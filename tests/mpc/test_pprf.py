"""Punctured trees: what Alice knows, what she can't, and which of Bob's lies she sees."""

import numpy as np
import pytest

from mpc.errors import CheckFailed, Malformed
from mpc.hashing import TH, XOF
from mpc.ot import pprf
from mpc.ot.bits import unpack
from tests.mpc.pairs import flip

PAIR = TH("test/pair", b"pprf")
PADS = np.frombuffer(XOF(128 * 2 * 16, "test", b"pads"), np.uint8).reshape(128, 2, 16)
# Groups 0 to 3 have each of the four pairs of choices; the rest is mixed.
CHOICES = unpack(b"\xd8" + XOF(15, "test", b"choices"))
LEAVES, MESSAGE = pprf.expand(PAIR, PADS)


def puncture(message=MESSAGE, *, pair=PAIR, pads=PADS):
    return pprf.puncture(pair, CHOICES, pads[np.arange(128), CHOICES], message)


def hidden(group):
    return 2 * (1 - int(CHOICES[2 * group])) + 1 - int(CHOICES[2 * group + 1])


def test_the_choices_cover_each_case():
    assert {hidden(group) for group in range(4)} == {0, 1, 2, 3}


def test_alice_gets_all_leaves_but_one():
    delta, leaves = puncture()
    assert (LEAVES.shape, leaves.shape, len(MESSAGE)) == ((64, 4, 16), (64, 3, 16), 6144)
    for group in range(64):
        for distance in (1, 2, 3):
            assert leaves[group, distance - 1].tobytes() == LEAVES[group, hidden(group) ^ distance].tobytes()
        assert LEAVES[group, hidden(group)].tobytes() not in MESSAGE + leaves.tobytes()
    assert (unpack(delta) == 1 - CHOICES).all()


def test_leaves_are_those_of_the_specification():
    for group in (0, 1, 63):
        nodes = PADS[2 * group]
        expected = [XOF(32, "prg", PAIR, bytes((group,)), bytes((v,)), nodes[v].tobytes()) for v in (0, 1)]
        assert LEAVES[group].tobytes() == b"".join(expected)
        part = MESSAGE[96 * group : 96 * group + 96]
        leaf = [LEAVES[group, y].tobytes() for y in range(4)]
        hashes = [XOF(32, "pprf", PAIR, bytes((group,)), bytes((y,)), leaf[y]) for y in range(4)]
        total = bytes(a ^ b ^ c ^ d for a, b, c, d in zip(*hashes, strict=True))
        assert part[32:64] == total
        assert part[64:] == TH("pprf-s", PAIR, bytes((group,)), b"".join(hashes))


@pytest.mark.parametrize("group", [0, 1, 2, 3, 63])
def test_each_byte_that_alice_uses_is_checked(group):
    """The correction of her other branch is one she can't read: flipping it changes nothing for her."""
    used = int(CHOICES[2 * group + 1])
    unread = range(16 * (1 - used), 16 * (2 - used))
    for at in range(96):
        message = flip(MESSAGE, 96 * group + at, at % 8)
        if at in unread:
            assert puncture(message)[1].tobytes() == puncture()[1].tobytes()
        else:
            with pytest.raises(CheckFailed) as failure:
                puncture(message)
            assert failure.value.check == "pprf"


def _another_pad(transfer):
    pads = PADS.copy()
    pads[transfer] ^= 1
    return pads


OTHER_INPUTS = {
    "another pair": {"pair": TH("test/pair", b"another")},
    "another first pad": {"pads": _another_pad(0)},
    "another second pad": {"pads": _another_pad(127)},
    "groups swapped": {"message": MESSAGE[96:192] + MESSAGE[:96] + MESSAGE[192:]},
}


@pytest.mark.parametrize("inputs", OTHER_INPUTS.values(), ids=OTHER_INPUTS)
def test_inconsistent_inputs_are_seen(inputs):
    with pytest.raises(CheckFailed) as failure:
        puncture(**inputs)
    assert failure.value.check == "pprf"


@pytest.mark.parametrize("message", [b"", MESSAGE[:-1], MESSAGE + b"\x00", MESSAGE[96:], MESSAGE * 2])
def test_wrong_lengths_are_malformed(message):
    with pytest.raises(Malformed):
        puncture(message)
