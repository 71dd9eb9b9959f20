"""BIP340 and BIP341: the published vectors, and the keys that a signature can be for."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc import bip340
from mpc.derive import offset
from mpc.errors import Malformed
from mpc.frost.keys import SigningKey, signing_key
from mpc.group import SECP256K1 as G
from tests.mpc import schnorr
from tests.mpc.vectors import load

SIGNATURES = load("bip340")["vectors"]
TWEAKS = load("bip341")["vectors"]
CODE = bytes(range(32))


@pytest.mark.parametrize("vector", SIGNATURES, ids=lambda vector: f"{vector['index']} {vector['comment']}")
def test_signatures_of_bip340(vector: dict[str, Any]) -> None:
    key, message, signature = (bytes.fromhex(vector[name]) for name in ("public_key", "message", "signature"))
    assert bip340.verify(key, message, signature) == vector["valid"]
    assert schnorr.verify(key, message, signature) == vector["valid"]


def test_all_vectors_are_there() -> None:
    assert [vector["index"] for vector in SIGNATURES] == list(range(19))
    assert len(TWEAKS) == 7


@pytest.mark.parametrize("cut", [slice(0, 63), slice(0, 0)])
def test_a_signature_has_64_bytes_and_a_key_32(cut: slice) -> None:
    key, message, signature = (bytes.fromhex(SIGNATURES[1][name]) for name in ("public_key", "message", "signature"))
    assert not bip340.verify(key, message, signature[cut])
    assert not bip340.verify(key, message, signature + b"\x00")
    assert not bip340.verify(b"\x02" + key, message, signature)
    assert not bip340.verify(key + b"\x00", message, signature), "the library would not have looked at the last byte"
    assert not bip340.verify(key[:31], message, signature)


@pytest.mark.parametrize(
    "key",
    [SIGNATURES[5]["public_key"], SIGNATURES[14]["public_key"], "00" * 32, "02" + SIGNATURES[1]["public_key"], ""],
    ids=["not on the curve", "not below p", "x = 0", "compressed", "empty"],
)
def test_lift_x_refuses(key: str) -> None:
    with pytest.raises(Malformed):
        bip340.lift_x(bytes.fromhex(key))


def test_lift_x_gives_the_point_with_even_y() -> None:
    for secret in range(1, 9):
        point = G.base_mul(secret)
        lifted = bip340.lift_x(bip340.x_only(point.to_bytes()))
        assert bip340.has_even_y(lifted)
        assert lifted == (point if bip340.has_even_y(point) else G.negate(point))


@pytest.mark.parametrize("vector", TWEAKS, ids=lambda vector: vector["internal_key"][:8])
def test_tweaks_of_bip341(vector: dict[str, str]) -> None:
    """From the private key: internal key, t, and the output key with its private key."""
    secret = int(vector["internal_private_key"], 16)
    internal, root = bytes.fromhex(vector["internal_key"]), bytes.fromhex(vector["root"])
    assert bip340.tap_tweak(internal, root) == int(vector["tweak"], 16)
    public_key = G.base_mul(secret).to_bytes()
    assert bip340.x_only(signing_key("bip340", public_key, CODE).public.to_bytes()) == internal
    key = signing_key("bip340", public_key, CODE, tweak=root)
    assert bip340.x_only(key.public.to_bytes()).hex() == vector["output_key"]
    even = key.share(secret)
    assert int(vector["output_private_key"], 16) in (even, G.order - even)
    assert G.base_mul(even) == key.public


@pytest.mark.parametrize("root", [b"\x00", bytes(31), bytes(33)])
def test_a_root_has_32_bytes_or_none(root: bytes) -> None:
    with pytest.raises(ValueError, match="script tree"):
        bip340.tap_tweak(bytes(32), root)


def test_a_tweak_of_the_order_or_more_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for number, taken in ((G.order - 1, True), (G.order, False), (2**256 - 1, False)):
        monkeypatch.setattr(bip340, "tagged_hash", lambda *_, number=number: number.to_bytes(32, "big"))
        if taken:
            assert bip340.tap_tweak(bytes(32), b"") == number
        else:
            with pytest.raises(ValueError, match="no such tweak"):
                bip340.tap_tweak(bytes(32), b"")


def test_only_bip340_keys_are_tweaked() -> None:
    with pytest.raises(ValueError, match="only BIP340"):
        signing_key("ecdsa", G.generator.to_bytes(), CODE, tweak=b"")


@given(
    st.integers(1, G.order - 1),
    st.lists(st.integers(0, 2**31 - 1), max_size=2),
    st.none() | st.just(b"") | st.binary(min_size=32, max_size=32),
)
@settings(max_examples=60, deadline=None)
def test_shares_of_a_key_become_shares_of_what_is_signed_for(secret: int, path: list[int], tweak: bytes | None) -> None:
    """Offset, then even y, then the tweak, then even y again; of the secret as of its public half."""
    public_key = G.base_mul(secret).to_bytes()
    key = signing_key("bip340", public_key, CODE, path, tweak)
    assert bip340.has_even_y(key.public)
    assert G.base_mul(key.share(secret)) == key.public == key.public_share(G.base_mul(secret))
    delta, child = offset(public_key, CODE, path)
    internal = bip340.x_only(child)
    even = (secret + delta) % G.order
    if child[0] == 3:
        even = G.order - even
    if tweak is not None:
        even = (even + bip340.tap_tweak(internal, tweak)) % G.order
    assert bip340.x_only(G.base_mul(even).to_bytes()) == bip340.x_only(key.public.to_bytes())


def test_a_key_says_nothing_of_its_offset() -> None:
    assert "12345" not in repr(SigningKey(G, G.generator).plus(12345))
    with pytest.raises(ValueError, match="no such child"):
        SigningKey(G, G.generator).plus(G.order - 1)
