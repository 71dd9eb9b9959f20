"""Multiplication against a plain reading of the specification, honest and cheating."""

import hashlib

import pytest

from mpc.errors import CheckFailed, Malformed
from mpc.hashing import TH, XOF
from mpc.mul import MulReceiver, MulSender, verify_extension
from mpc.ot.bits import unpack
from mpc.ot.extension import verify
from mpc.params import XI, Q
from tests.mpc.pairs import Draws, flip, set_up

PSID = TH("test/psid", b"mul")
GADGET = [int.from_bytes(XOF(32 * XI, "gadget")[32 * j : 32 * j + 32], "big") % Q for j in range(XI)]
A = [int.from_bytes(XOF(32, "test/input", bytes((k,))), "big") % Q for k in (1, 2)]
BETA = XOF(68, "test", b"beta")


def scalar(value):
    return (value % Q).to_bytes(32, "big")


def scalars(data):
    return [int.from_bytes(data[at : at + 32], "big") for at in range(0, len(data), 32)]


def bob(psid=PSID, beta=BETA):
    return MulReceiver.start(set_up("mul").bob, psid, Draws("bob", {"beta": beta}))


def reference(rows, inputs, a_hat, lies=()):
    """Alice of section 6, one Python integer at a time: ((c_1, c_2), message).

    `lies`: (row, column): ã is wrong by one there, and everything after it is consistent with that.
    """
    delta = set_up("mul").alice.delta
    a = (*inputs, a_hat)
    zero, corrections = [], []
    for j, row in enumerate(rows):
        index, other = j.to_bytes(2, "big"), bytes(x ^ y for x, y in zip(row.tobytes(), delta, strict=True))
        zero.append(scalars(XOF(96, "rowhash", PSID, index, row.tobytes())))
        one = scalars(XOF(96, "rowhash", PSID, index, other))
        corrections.append([zero[j][k] - one[k] + a[k] + ((j, k) in lies) for k in range(3)])
    sent = b"".join(scalar(value) for row in corrections for value in row)
    theta = scalars(XOF(64, "theta", PSID, hashlib.sha256(sent).digest()))
    eta = scalar(a_hat + theta[0] * a[0] + theta[1] * a[1])
    check = b"".join(scalar(z[2] + theta[0] * z[0] + theta[1] * z[1]) for z in zero)
    c = tuple(-sum(g * z[k] for g, z in zip(GADGET, zero, strict=True)) % Q for k in (0, 1))
    return c, sent + eta + TH("mu", PSID, check)


INPUTS = {
    "random": A,
    "equal": [A[0], A[0]],
    "zero": [0, 0],
    "one and minus one": [1, Q - 1],
    "near 2^256 − q": [2**256 - Q, Q - (2**256 - Q)],
    "not reduced": [Q + 5, 2**256 - 1],
    "negative": [-1, -A[1]],
}
BETAS = {"random": BETA, "zeros": bytes(68), "ones": b"\xff" * 68}


@pytest.mark.parametrize("beta", BETAS.values(), ids=BETAS)
@pytest.mark.parametrize("inputs", INPUTS.values(), ids=INPUTS)
def test_shares_add_up_to_the_products(inputs, beta):
    receiver, first = bob(beta=beta)
    c, second = verify_extension(set_up("mul").alice, PSID, first).multiply(*inputs, Draws("alice"))
    d = receiver.finish(second)
    assert (len(first), len(second)) == (4400, 40000)
    assert receiver.b == sum(g for g, bit in zip(GADGET, unpack(beta), strict=False) if bit) % Q
    assert [(x + y) % Q for x, y in zip(c, d, strict=True)] == [a * receiver.b % Q for a in inputs]
    assert all(0 <= x < Q for x in (*c, *d, receiver.b))


@pytest.mark.parametrize("inputs", INPUTS.values(), ids=INPUTS)
def test_agrees_with_the_specification_value_by_value(inputs):
    first = bob()[1]
    hat = Draws("alice")(f"mul/{PSID.hex()}/hat", 48)
    expected = reference(verify(set_up("mul").alice, PSID, first), inputs, int.from_bytes(hat, "big") % (Q - 1) + 1)
    assert verify_extension(set_up("mul").alice, PSID, first).multiply(*inputs, Draws("alice")) == expected


def test_the_gadget_is_public_and_not_powers_of_two():
    assert len(set(GADGET)) == XI
    assert all(100 < g.bit_count() < 156 + 30 for g in GADGET)


def honest():
    """Both sides before `finish`: (Bob, message 2)."""
    receiver, first = bob()
    return receiver, verify_extension(set_up("mul").alice, PSID, first).multiply(*A, Draws("alice"))[1]


def beta_is(bit, count):
    """Rows, the first and last among them, whose β has that value."""
    rows = [j for j, value in enumerate(unpack(BETA)[:XI]) if value == bit]
    return rows[: count - 1] + rows[-1:]


@pytest.mark.parametrize(
    "at",
    [32 * (3 * j + k) + byte for bit in (0, 1) for j in beta_is(bit, 2) for k in range(3) for byte in (8, 31)]
    + [39936 + 8, 39936 + 31, 39968, 39999],
)
def test_a_flipped_bit_is_seen(at):
    """In ã (each column, rows with β = 0 and 1: ã is hashed into θ), in η, in μ."""
    receiver, message = honest()
    with pytest.raises(CheckFailed) as failure:
        receiver.finish(flip(message, at))
    assert failure.value.check == "mu"


@pytest.mark.parametrize("column", [0, 1, 2])
def test_a_consistent_lie_in_one_row_is_caught_iff_its_beta_is_one(column):
    """The one bit that a cheating Alice learns, which the spare OTs absorb once: hence the ban."""
    rows = verify(set_up("mul").alice, PSID, bob()[1])
    for row in beta_is(0, 3):
        assert bob()[0].finish(reference(rows, A, 7, {(row, column)})[1]) == bob()[0].finish(reference(rows, A, 7)[1])
    for row in beta_is(1, 3):
        with pytest.raises(CheckFailed) as failure:
            bob()[0].finish(reference(rows, A, 7, {(row, column)})[1])
        assert failure.value.check == "mu"


def test_inputs_that_differ_between_rows_are_seen():
    rows = verify(set_up("mul").alice, PSID, bob()[1])
    with pytest.raises(CheckFailed):
        bob()[0].finish(reference(rows, A, 7, {(j, 0) for j in range(0, XI, 2)})[1])


def test_messages_of_another_session_or_pair_fail():
    other = TH("test/psid", b"another")
    first = bob()[1]
    for name, psid in (("mul", other), ("mul, other pair", PSID)):
        with pytest.raises(CheckFailed) as failure:
            verify_extension(set_up(name).alice, psid, first)
        assert failure.value.check == "extension"
    # Alice's message of another session of the same pair, over the same β.
    foreign = verify_extension(set_up("mul").alice, other, bob(other)[1]).multiply(*A, Draws("alice"))[1]
    with pytest.raises(CheckFailed) as failure:
        bob()[0].finish(foreign)
    assert failure.value.check == "mu"


def test_two_sessions_share_nothing():
    """Same inputs, same randomness, another psid: no block of either message appears in the other."""
    other = TH("test/psid", b"another")
    ours, theirs = ((bob(psid), psid) for psid in (PSID, other))
    messages = [
        first + verify_extension(set_up("mul").alice, psid, first).multiply(*A, Draws("alice"))[1]
        for (_, first), psid in (ours, theirs)
    ]
    blocks = [{m[at : at + 16] for at in range(0, len(m), 16)} for m in messages]
    assert blocks[0] & blocks[1] == set()


MALFORMED = {
    "empty": lambda m: b"",
    "a byte short": lambda m: m[:-1],
    "a byte long": lambda m: m + b"\x00",
    "a row short": lambda m: m[96:],
    "first scalar = q": lambda m: Q.to_bytes(32, "big") + m[32:],
    "a scalar in the middle = 2^256 − 1": lambda m: m[:19200] + b"\xff" * 32 + m[19232:],
    "last scalar of ã = q": lambda m: m[:39904] + Q.to_bytes(32, "big") + m[39936:],
    "η = q": lambda m: m[:39936] + Q.to_bytes(32, "big") + m[39968:],
    "η = 2^256 − 1": lambda m: m[:39936] + b"\xff" * 32 + m[39968:],
    "η + q instead of a small η": lambda m: m[:39936] + (Q + 1).to_bytes(32, "big") + m[39968:],
}


@pytest.mark.parametrize("forge", MALFORMED.values(), ids=MALFORMED)
def test_malformed_is_refused_before_any_choice_bit_is_used(forge):
    receiver, message = honest()
    receiver._beta = None  # whoever touches it gets a TypeError
    with pytest.raises(Malformed):
        receiver.finish(forge(message))


@pytest.mark.parametrize("forge", [lambda m: b"", lambda m: m[:-1], lambda m: m + b"\x00"])
def test_a_malformed_extension_is_refused(forge):
    with pytest.raises(Malformed):
        verify_extension(set_up("mul").alice, PSID, forge(bob()[1]))


@pytest.mark.parametrize("cheat", [False, True])
def test_each_side_acts_once(cheat):
    receiver, first = bob()
    sender = verify_extension(set_up("mul").alice, PSID, first)
    message = sender.multiply(*A, Draws("alice"))[1]
    with pytest.raises(RuntimeError):
        sender.multiply(*A, Draws("alice, again"))
    if cheat:
        with pytest.raises(CheckFailed):
            receiver.finish(flip(message, -1))
    else:
        receiver.finish(message)
    with pytest.raises(RuntimeError):
        receiver.finish(message)


def test_randomness_is_drawn_under_labels_of_the_session():
    draws = Draws("labels")
    _, first = MulReceiver.start(set_up("mul").bob, PSID, draws)
    verify_extension(set_up("mul").alice, PSID, first).multiply(*A, draws)
    assert draws.labels == [f"mul/{PSID.hex()}/beta", f"mul/{PSID.hex()}/hat"]


def test_nothing_secret_is_printed():
    receiver, first = bob()
    sender = verify_extension(set_up("mul").alice, PSID, first)
    assert (repr(receiver), repr(sender)) == ("MulReceiver(<redacted>)", "MulSender(<redacted>)")
    assert isinstance(sender, MulSender)
    for holder in (receiver, sender):
        with pytest.raises(TypeError):
            vars(holder)
