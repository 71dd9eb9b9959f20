"""Properties that hold for all inputs: one encoding of each message, and the algebra of each layer."""

from __future__ import annotations

import functools
import inspect
import itertools
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc import wire
from mpc.errors import Malformed
from mpc.group import SECP256K1 as G
from mpc.hashing import XOF
from mpc.limbs import all_reduced
from mpc.mul import MulReceiver, verify_extension
from mpc.ot.bits import unpack
from mpc.ot.extension import extend, verify
from mpc.params import XI, Q
from mpc.sharing import Polynomial, add_commitments, evaluate, interpolate, lagrange
from mpc.wire import Message, decode, encode
from tests.mpc.pairs import Draws, set_up

# The big blobs are bytes like others; their lengths are the table's (tests/mpc/attacks) to change.
KINDS = sorted(
    (
        kind
        for _, kind in inspect.getmembers(wire, inspect.isclass)
        if issubclass(kind, Message) and kind is not Message
    ),
    key=lambda kind: kind.__name__,
)
scalars = st.integers(0, Q - 1) | st.sampled_from((0, 1, 2, Q - 1, Q - 2, 2**256 - Q, 2**128))


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value that the type allows, as msgspec sees the type."""
    if isinstance(kind, msgspec.inspect.BytesType):
        least, most = kind.min_length or 0, kind.max_length or 64
        if least > 1_000:
            return st.binary(min_size=32, max_size=32).map(lambda seed: XOF(least, "test/blob", seed))
        return st.binary(min_size=least, max_size=min(most, max(least, 40)))
    if isinstance(kind, msgspec.inspect.IntType):
        return st.integers(kind.ge, kind.le) | st.sampled_from((kind.ge, kind.le, 127, 128, 255, 256, 65_535, 65_536))
    if isinstance(kind, msgspec.inspect.StrType):
        return st.text(max_size=min(kind.max_length or 40, 40))
    if isinstance(kind, msgspec.inspect.VarTupleType):
        return st.lists(values(kind.item_type), max_size=min(kind.max_length or 4, 4)).map(tuple)
    if isinstance(kind, msgspec.inspect.UnionType):
        return st.one_of(*(values(each) for each in kind.types))
    if isinstance(kind, msgspec.inspect.StructType):
        return messages(kind.cls)
    assert isinstance(kind, msgspec.inspect.NoneType), kind
    return st.none()


@functools.cache
def messages(kind: type[Message]) -> st.SearchStrategy[Message]:
    fields = msgspec.inspect.type_info(kind).fields  # type: ignore[attr-defined]
    return st.builds(kind, **{field.name: values(field.type) for field in fields})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_message_is_what_its_bytes_say(kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(messages(kind))
    encoded = encode(message)
    assert msgspec.to_builtins(decode(kind, encoded)) == msgspec.to_builtins(message)
    assert encode(decode(kind, encoded)) == encoded


@st.composite
def mutated(draw: st.DrawFn, encoded: bytes) -> bytes:
    """Bytes that are like the encoding of a message: one change anywhere."""
    at = draw(st.integers(0, min(len(encoded) - 1, 400)))
    other = bytes((draw(st.integers(0, 255)),))
    change = draw(st.sampled_from(("replace", "insert", "delete", "cut", "append", "repeat")))
    match change:
        case "replace":
            return encoded[:at] + other + encoded[at + 1 :]
        case "insert":
            return encoded[:at] + other + encoded[at:]
        case "delete":
            return encoded[:at] + encoded[at + 1 :]
        case "cut":
            return encoded[:at]
        case "append":
            return encoded + other
        case _:
            return encoded + encoded


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_other_bytes_are_another_message_or_none(kind: type[Message], data: st.DataObject) -> None:
    """No two byte strings are the same message: whoever signs bytes signs what is read from them."""
    message = data.draw(messages(kind))
    encoded = encode(message)
    changed = data.draw(mutated(encoded))
    try:
        read = decode(kind, changed)
    except Malformed:
        return
    assert encode(read) == changed
    assert (msgspec.to_builtins(read) == msgspec.to_builtins(message)) == (changed == encoded)


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_no_bytes_crash_the_decoder(data: bytes) -> None:
    for kind in KINDS:
        try:
            assert encode(decode(kind, data)) == data
        except Malformed:
            pass


# --- algebra ------------------------------------------------------------------------------------------------------


@given(st.lists(scalars, min_size=2, max_size=5), st.data())
@settings(max_examples=40, deadline=None)
def test_any_t_points_of_a_polynomial_give_its_secret(coefficients: list[int], data: st.DataObject) -> None:
    polynomial, t = Polynomial(G, coefficients), len(coefficients)
    xs = data.draw(st.sets(st.integers(1, 40), min_size=t, max_size=t + 2))
    assert sum(lagrange(G, x, xs) * polynomial.at(x) for x in xs) % Q == coefficients[0]
    assert sum(lagrange(G, x, xs) for x in xs) % Q == 1


@given(st.lists(st.integers(1, Q - 1), min_size=2, max_size=3), st.integers(1, 32))
@settings(max_examples=15, deadline=None)
def test_feldman_points_follow_the_polynomial(coefficients: list[int], x: int) -> None:
    polynomial = Polynomial(G, coefficients)
    points = polynomial.commit()
    share = polynomial.at(x)
    assert evaluate(G, points, x) == (G.base_mul(share) if share else G.identity)
    doubled = add_commitments(G, (points, points))
    assert evaluate(G, doubled, x) == G.combine((evaluate(G, points, x),) * 2)
    xs = range(x, x + len(coefficients))
    assert interpolate(G, {at: evaluate(G, points, at) for at in xs}) == points[0]


@given(st.lists(scalars, min_size=1, max_size=3), st.lists(scalars, min_size=2, max_size=4), st.data())
@settings(max_examples=20, deadline=None)
def test_dealt_shares_are_the_shares_of_the_same_secret(
    secret_and_slope: list[int], fresh: list[int], data: st.DataObject
) -> None:
    """Resharing in numbers: f_i(0) = λ_i·s_i over the dealers; the new shares interpolate to the old secret."""
    old = Polynomial(G, secret_and_slope)
    t = len(secret_and_slope)
    dealers = data.draw(st.sets(st.integers(1, 12), min_size=t, max_size=t + 1))
    dealt = [Polynomial(G, [lagrange(G, i, dealers) * old.at(i) % Q, *fresh]) for i in dealers]
    new_xs = range(1, len(fresh) + 2)
    shares = {x: sum(each.at(x) for each in dealt) % Q for x in new_xs}
    assert sum(lagrange(G, x, new_xs) * share for x, share in shares.items()) % Q == secret_and_slope[0]


@given(st.binary(min_size=68, max_size=68), st.binary(min_size=32, max_size=32))
@settings(max_examples=15, deadline=None)
def test_rows_of_the_extension_differ_by_delta_where_the_choice_is_one(choices: bytes, psid: bytes) -> None:
    """W = T ⊕ β·Δ."""
    pair = set_up("properties")
    rows, message = extend(pair.bob, psid, choices)
    beta = unpack(choices)[:XI, None]
    assert (verify(pair.alice, psid, message) == rows ^ beta * np.frombuffer(pair.alice.delta, np.uint8)).all()


@given(scalars, scalars, st.binary(min_size=68, max_size=68), st.binary(min_size=32, max_size=32))
@settings(max_examples=15, deadline=None)
def test_shares_of_a_product_add_up_to_it(a_1: int, a_2: int, choices: bytes, psid: bytes) -> None:
    """c + d = a·b, and b = Σ g_j·β_j."""
    pair = set_up("properties")
    receiver, first = MulReceiver.start(pair.bob, psid, Draws("bob", {"beta": choices}))
    c, second = verify_extension(pair.alice, psid, first).multiply(a_1, a_2, Draws("alice"))
    d = receiver.finish(second)
    assert [(x + y) % Q for x, y in zip(c, d, strict=True)] == [a_1 * receiver.b % Q, a_2 * receiver.b % Q]
    assert receiver.b == sum(itertools.compress(public_gadget(), unpack(choices)[:XI])) % Q
    assert all_reduced(np.frombuffer(second[:39_936], np.uint8).reshape(XI, -1))


@functools.cache
def public_gadget() -> tuple[int, ...]:
    """g from the specification: scalars of one XOF."""
    wide = XOF(32 * XI, "gadget")
    return tuple(int.from_bytes(wide[at : at + 32], "big") % Q for at in range(0, len(wide), 32))
