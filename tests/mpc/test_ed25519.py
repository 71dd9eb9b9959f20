"""Ed25519's group as the protocols see it: what it must refuse, a second library, and algebra for all inputs."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.bindings import crypto_core_ed25519_add, crypto_core_ed25519_from_uniform

from mpc.ed25519 import ED25519 as GROUP
from mpc.ed25519 import Ed25519
from mpc.errors import Malformed
from mpc.group import SECP256K1, Group
from mpc.hashing import XOF

FIELD = 2**255 - 19
L = GROUP.order
G = bytes.fromhex("5866666666666666666666666666666666666666666666666666666666666666")
ORDER_4 = bytes(32)
ORDER_2 = (FIELD - 1).to_bytes(32, "little")
ORDER_8 = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
IDENTITY = (1).to_bytes(32, "little")


def signed(encoded: bytes) -> bytes:
    return encoded[:-1] + bytes((encoded[-1] | 0x80,))


NO_POINTS = {
    "empty": b"",
    "short": G[:-1],
    "long": G + b"\x00",
    "a compressed point of secp256k1": SECP256K1.generator.to_bytes(),
    "identity": IDENTITY,
    "identity with a sign": signed(IDENTITY),
    "order 2": ORDER_2,
    "order 2 with a sign": signed(ORDER_2),
    "order 4": ORDER_4,
    "order 4, the other": signed(ORDER_4),
    "order 8": ORDER_8,
    "order 8, its negative": signed(ORDER_8),
    "y = p: order 4 not reduced": FIELD.to_bytes(32, "little"),
    "y = p + 1: the identity not reduced": (FIELD + 1).to_bytes(32, "little"),
    "y = 2^255 − 1 not reduced": (2**255 - 1).to_bytes(32, "little"),
    "G with a part of order 2": crypto_core_ed25519_add(G, ORDER_2),
    "G with a part of order 4": crypto_core_ed25519_add(G, ORDER_4),
    "G with a part of order 8": crypto_core_ed25519_add(G, ORDER_8),
    "y = 2: not on the curve": (2).to_bytes(32, "little"),
}


@pytest.mark.parametrize("data", NO_POINTS.values(), ids=NO_POINTS)
def test_decode_refuses(data: bytes) -> None:
    with pytest.raises(Malformed):
        GROUP.decode(data)


def test_the_order_8_point_is_one() -> None:
    """Else the table above shows less than it says."""
    doubled = crypto_core_ed25519_add(ORDER_8, ORDER_8)
    assert doubled in (ORDER_4, signed(ORDER_4))
    assert crypto_core_ed25519_add(doubled, doubled) == ORDER_2


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_a_second_library(seed: int) -> None:
    secret = hashlib.sha256(bytes((seed,))).digest()
    clamped = bytearray(hashlib.sha512(secret).digest()[:32])
    clamped[0] &= 248
    clamped[31] = clamped[31] & 127 | 64
    scalar = int.from_bytes(clamped, "little")
    public = Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    assert GROUP.base_mul(scalar).to_bytes() == public
    assert GROUP.mul_public(GROUP.generator, scalar).to_bytes() == public
    assert GROUP.decode(public).to_bytes() == public
    assert GROUP.ecdh(GROUP.generator, scalar) == hashlib.sha256(public).digest()


def test_generator_and_order() -> None:
    assert GROUP.generator.to_bytes() == G
    assert GROUP.base_mul(L - 1) == GROUP.negate(GROUP.generator)
    assert GROUP.base_mul(L + 1) == GROUP.generator


def test_identity() -> None:
    identity, point = GROUP.identity, GROUP.base_mul(7)
    made = [
        GROUP.base_mul(0),
        GROUP.base_mul(L),
        GROUP.mul_public(point, 0),
        GROUP.mul_public(point, L),
        GROUP.mul_public(identity, 5),
        GROUP.negate(identity),
        GROUP.combine(()),
        GROUP.subtract(point, point),
        GROUP.combine((point, GROUP.base_mul(L - 5), GROUP.base_mul(L - 2))),
    ]
    assert all(each.is_identity and each == identity for each in made)
    assert GROUP.add(identity, point) == point == GROUP.add(point, identity)
    for use in (identity.to_bytes, lambda: GROUP.ecdh(identity, 1), lambda: GROUP.ecdh_image(identity)):
        with pytest.raises(ValueError, match="identity"):
            use()
    with pytest.raises(ValueError, match="zero"):
        GROUP.ecdh(point, L)


@pytest.mark.parametrize("scalar", [0, 1, 255, 256, L - 1])
def test_scalars_are_little_endian(scalar: int) -> None:
    encoded = GROUP.encode_scalar(scalar)
    assert encoded == scalar.to_bytes(32, "little")
    assert GROUP.decode_scalar(encoded) == scalar


@pytest.mark.parametrize(
    "data",
    [L.to_bytes(32, "little"), b"\xff" * 32, bytes(31), bytes(33), b""],
    ids=["order", "ones", "short", "long", "empty"],
)
def test_decode_scalar_refuses(data: bytes) -> None:
    with pytest.raises(Malformed):
        GROUP.decode_scalar(data)


def test_hash_to_point_multiplies_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("a hash to a point must not be a known multiple of another point")

    for name in ("base_mul", "mul_public", "ecdh"):
        monkeypatch.setattr(Ed25519, name, refused)
    points = [GROUP.hash_to_point(*parts) for parts in (("t", b"ab"), ("u", b"ab"), ("t", b"a", b"b"))]
    assert len(set(points)) == 3
    assert GROUP.hash_to_point("t", b"ab") == points[0]
    assert all(GROUP.decode(point.to_bytes()) == point for point in points)


def test_hash_to_point_adds_two_images() -> None:
    """One alone reaches half of the group, and twice one no more."""
    data = XOF(64, "t", b"ab", b"\x00")
    images = [crypto_core_ed25519_from_uniform(data[at : at + 32]) for at in (0, 32)]
    assert GROUP.hash_to_point("t", b"ab").to_bytes() == crypto_core_ed25519_add(*images)


groups = st.sampled_from([GROUP, SECP256K1])
scalars = st.integers(1, 2**256)


@given(groups, scalars, scalars)
@settings(max_examples=60, deadline=None)
def test_multiples_add_up(group: Group, a: int, b: int) -> None:
    assert group.add(group.base_mul(a), group.base_mul(b)) == group.base_mul(a + b)
    assert group.mul_public(group.base_mul(a), b) == group.base_mul(a * b)
    assert group.subtract(group.base_mul(a), group.base_mul(b)) == group.base_mul(a - b)
    point = group.base_mul(a)
    if not point.is_identity:
        assert group.decode(point.to_bytes()) == point
        assert group.decode_scalar(group.encode_scalar(a)) == a % group.order


@given(groups, st.binary(min_size=31, max_size=34) | st.binary(min_size=32, max_size=32))
@settings(max_examples=150, deadline=None)
def test_what_decodes_has_one_encoding(group: Group, data: bytes) -> None:
    for decode, encode in ((group.decode, group.encode), (group.decode_scalar, group.encode_scalar)):
        try:
            found = decode(data)
        except Malformed:
            continue
        assert encode(found) == data  # type: ignore[operator]
