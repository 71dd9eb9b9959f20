"""secp256k1 as the protocols see it: vectors, a second library, and everything that must be refused."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mpc.errors import Malformed
from mpc.group import SECP256K1 as GROUP
from mpc.group import Point, Secp256k1
from mpc.hashing import XOF
from mpc.params import Q

FIELD = 2**256 - 2**32 - 977
G = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")

MULTIPLES = {
    1: G.hex(),
    2: "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5",
    3: "02f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9",
    Q - 1: "03" + G[1:].hex(),
    Q + 1: G.hex(),
}


@pytest.mark.parametrize("scalar", MULTIPLES)
def test_known_multiples_of_the_generator(scalar):
    assert GROUP.base_mul(scalar).to_bytes().hex() == MULTIPLES[scalar]
    assert GROUP.mul_public(GROUP.generator, scalar).to_bytes().hex() == MULTIPLES[scalar]


@pytest.mark.parametrize("seed", range(8))
def test_agrees_with_a_second_library(seed):
    secret = int.from_bytes(XOF(32, "test", bytes((seed,))), "big") % Q
    key = ec.derive_private_key(secret, ec.SECP256K1())
    assert GROUP.base_mul(secret).to_bytes() == key.public_key().public_bytes(
        Encoding.X962, PublicFormat.CompressedPoint
    )
    other = GROUP.hash_to_point("test", bytes((seed,)))
    peer = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), other.to_bytes())
    assert GROUP.mul_public(other, secret).to_bytes()[1:] == key.exchange(ec.ECDH(), peer)
    assert GROUP.ecdh(other, secret) == GROUP.ecdh_image(GROUP.mul_public(other, secret))


def test_ecdh_is_sha256_of_the_compressed_product():
    product = bytes.fromhex(MULTIPLES[3])
    assert GROUP.ecdh(GROUP.generator, 3) == hashlib.sha256(product).digest()
    assert GROUP.ecdh_image(GROUP.decode(product)) == hashlib.sha256(product).digest()


NO_POINTS = {
    "empty": b"",
    "short": G[:-1],
    "long": G + b"\x00",
    "uncompressed prefix": b"\x04" + G[1:],
    "hybrid prefix": b"\x06" + G[1:],
    "prefix 0": b"\x00" + G[1:],
    "all zero (an encoded identity)": bytes(33),
    "one zero byte (SEC 1's identity)": b"\x00",
    "x not on the curve": b"\x02" + (5).to_bytes(32, "big"),
    "x = 0": b"\x02" + bytes(32),
    "x not reduced": b"\x02" + (FIELD + 1).to_bytes(32, "big"),  # x = 1 is on the curve
    "x-only": G[1:],
}


@pytest.mark.parametrize("data", NO_POINTS.values(), ids=NO_POINTS)
def test_decode_refuses(data):
    with pytest.raises(Malformed):
        GROUP.decode(data)


def test_identity():
    identity, point = GROUP.identity, GROUP.base_mul(7)
    made = [
        GROUP.base_mul(0),
        GROUP.base_mul(Q),
        GROUP.mul_public(point, 0),
        GROUP.mul_public(identity, 5),
        GROUP.negate(identity),
        GROUP.combine(()),
        GROUP.add(point, GROUP.negate(point)),
        GROUP.subtract(point, point),
        GROUP.combine((point, GROUP.base_mul(Q - 5), GROUP.base_mul(Q - 2))),
    ]
    assert all(p.is_identity and p == identity and hash(p) == hash(identity) for p in made)
    assert point != identity
    assert identity != point
    assert GROUP.add(identity, point) == point
    for use in (identity.to_bytes, lambda: GROUP.ecdh(identity, 1), lambda: GROUP.ecdh_image(identity)):
        with pytest.raises(ValueError, match="identity"):
            use()
    with pytest.raises(ValueError, match="zero"):
        GROUP.ecdh(point, Q)


def test_points_are_values():
    point, same = GROUP.base_mul(11), GROUP.add(GROUP.base_mul(5), GROUP.base_mul(6))
    assert point == same
    assert hash(point) == hash(same)
    assert point != GROUP.negate(point)
    assert point != point.to_bytes()
    before = point.to_bytes()
    GROUP.negate(point), GROUP.mul_public(point, 3), GROUP.add(point, point)
    assert point.to_bytes() == before
    assert GROUP.decode(before) == point
    assert repr(point) == f"Point({before.hex()})"


@pytest.mark.parametrize("scalar", [0, 1, Q - 1])
def test_scalars_round_trip(scalar):
    assert GROUP.decode_scalar(GROUP.encode_scalar(scalar)) == scalar


NO_SCALARS = {"q": Q.to_bytes(32, "big"), "ones": b"\xff" * 32, "short": bytes(31), "long": bytes(33), "empty": b""}


@pytest.mark.parametrize("data", NO_SCALARS.values(), ids=NO_SCALARS)
def test_decode_scalar_refuses(data):
    with pytest.raises(Malformed):
        GROUP.decode_scalar(data)


@pytest.mark.parametrize("wide", [0, Q - 2, Q - 1, Q, 2**384 - 1])
def test_random_scalar_is_never_zero_and_always_reduced(wide):
    scalar = GROUP.random_scalar(lambda label, size: wide.to_bytes(size, "big"), "x")
    assert scalar == wide % (Q - 1) + 1
    assert 1 <= scalar < Q


def test_random_scalar_draws_16_bytes_more_than_it_needs():
    drawn = []
    GROUP.random_scalar(lambda label, size: drawn.append((label, size)) or bytes(size), "label")
    assert drawn == [("label", 48)]


def test_hash_to_point_lifts_a_hash_and_multiplies_nothing(monkeypatch):
    def refused(*_):
        raise AssertionError("a hash to a point must not be a known multiple of another point")

    for name in ("base_mul", "mul_public", "combine", "ecdh"):
        monkeypatch.setattr(Secp256k1, name, refused)
    tries, prefixes = [], set()
    for i in range(64):
        encoded = GROUP.hash_to_point("test", b"part", bytes((i,))).to_bytes()
        hashes = [XOF(33, "test", b"part", bytes((i,)), bytes((counter,))) for counter in range(64)]
        used = next(counter for counter, data in enumerate(hashes) if data[1:] == encoded[1:])
        assert encoded[0] == 2 + (hashes[used][0] & 1)
        tries.append(used)
        prefixes.add(encoded[0])
    assert prefixes == {2, 3}, "both signs, else these points can be told from multiples of G"
    assert max(tries) > 1


def test_hash_to_point_separates_tags_and_parts():
    points = [
        GROUP.hash_to_point(*parts) for parts in (("t", b"ab"), ("u", b"ab"), ("t", b"a", b"b"), ("t", b"b", b"a"))
    ]
    assert len(set(points)) == 4
    assert GROUP.hash_to_point("t", b"ab") == points[0]
    assert isinstance(points[0], Point)


def test_hashes_to_points_are_those_of_every_row():
    rows = np.frombuffer(XOF(200 * 33, "test"), np.uint8).reshape(200, 33)
    numbers = np.arange(200, dtype=np.uint8)[:, None]
    expected = [GROUP.hash_to_point("test", b"head", bytes((r,)), rows[r].tobytes()) for r in range(200)]
    assert GROUP.hash_to_points("test", b"head", numbers, rows) == expected


def test_a_hash_that_never_hits_the_curve_ends(monkeypatch):
    monkeypatch.setattr("mpc.group.xof_counted", lambda size, encoded: [bytes(32) + b"\x05"] * 256)
    with pytest.raises(ArithmeticError, match="256"):
        GROUP.hash_to_points("test", np.zeros((1, 1), np.uint8))


def test_many_threads_get_what_one_gets():
    """A worker runs 64 sessions at once; libsecp256k1 runs without the interpreter's lock: nothing may be shared."""

    def work(number):
        rows = np.full((20, 4), number, np.uint8)
        points = GROUP.hash_to_points("test", rows)
        return [
            (point.to_bytes(), GROUP.add(point, GROUP.base_mul(number + 1)).to_bytes(), GROUP.ecdh(point, number + 1))
            for point in points
        ]

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(work, range(64))) == [work(number) for number in range(64)]
