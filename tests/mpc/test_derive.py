"""Non-hardened BIP32: the public steps of the published test vectors."""

import hashlib
import hmac

import pytest

from mpc.derive import HARDENED, child, offset, parse_path
from mpc.ed25519 import ED25519
from mpc.group import SECP256K1
from tests.mpc.vectors import load

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

VECTORS = load("bip32")
STEPS = {step["name"]: (step["parent"], step["index"], step["child"]) for step in VECTORS["steps"]}


def parse_xpub(text: str) -> tuple[bytes, bytes]:
    """(public key, chain code) of an extended public key, its checksum verified."""
    number = 0
    for letter in text:
        number = number * 58 + ALPHABET.index(letter)
    raw = number.to_bytes(82, "big")
    assert hashlib.sha256(hashlib.sha256(raw[:78]).digest()).digest()[:4] == raw[78:]
    return raw[45:78], raw[13:45]


@pytest.mark.parametrize(("parent", "index", "expected"), STEPS.values(), ids=STEPS.keys())
def test_published_vectors(parent: str, index: int, expected: str) -> None:
    assert child(*parse_xpub(parent), (index,)) == parse_xpub(expected)


@pytest.mark.parametrize("invalid", VECTORS["invalid"], ids=lambda invalid: invalid["name"])
def test_published_invalid_keys(invalid: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="not a public key"):
        child(*parse_xpub(invalid["xpub"]), (0,))


def test_offset_is_the_difference_of_the_keys() -> None:
    public_key, chain_code = parse_xpub(STEPS["2: m -> 0"][0])
    delta, derived = offset(public_key, chain_code, (0, 7, 2**31 - 1))
    parent = SECP256K1.decode(public_key)
    assert SECP256K1.add(parent, SECP256K1.base_mul(delta)) == SECP256K1.decode(derived)
    assert child(public_key, chain_code, (0, 7, 2**31 - 1))[0] == derived
    assert offset(public_key, chain_code, ()) == (0, public_key)


@pytest.mark.parametrize(
    ("public_key", "chain_code", "path"),
    [
        pytest.param(b"\x02" + b"\xff" * 32, bytes(32), (0,), id="no point"),
        pytest.param(SECP256K1.generator.to_bytes(), bytes(31), (0,), id="short chain code"),
        pytest.param(SECP256K1.generator.to_bytes(), bytes(32), (HARDENED,), id="hardened"),
        pytest.param(SECP256K1.generator.to_bytes(), bytes(32), (-1,), id="negative"),
    ],
)
def test_no_child(public_key: bytes, chain_code: bytes, path: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"chain code|public key|2\^31"):
        offset(public_key, chain_code, path)


@pytest.mark.parametrize("step", [SECP256K1.order, 2**256 - 1], ids=["q", "largest"])
def test_a_step_of_q_or_more_is_refused(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    monkeypatch.setattr("mpc.derive.hmac.digest", lambda *_: step.to_bytes(32, "big") + bytes(32))
    with pytest.raises(ValueError, match="index 0 has no child"):
        offset(SECP256K1.generator.to_bytes(), bytes(32), (0,))


def test_the_identity_is_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    minus_one = (SECP256K1.order - 1).to_bytes(32, "big") + bytes(32)
    monkeypatch.setattr("mpc.derive.hmac.digest", lambda *_: minus_one)
    with pytest.raises(ValueError, match="index 0 has no child"):
        offset(SECP256K1.generator.to_bytes(), bytes(32), (0,))


@pytest.mark.parametrize(
    ("path", "expected"),
    [("m", ()), ("m/0/1", (0, 1)), ("M/5", (5,)), ([0, "1"], (0, 1)), (["2147483647"], (2**31 - 1,)), ([], ())],
)
def test_paths(path, expected) -> None:
    assert parse_path(path) == expected


@pytest.mark.parametrize(
    "path",
    [
        "",
        "0/1",
        "m/",
        "m/0'",
        "m/0h",
        "m/-1",
        "m/+1",
        "m/ 1",
        "m/1_0",
        "m/2147483648",
        "m/٣",
        [2**31],
        [-1],
        [True],
        [1.0],
    ],
)
def test_bad_paths(path) -> None:
    with pytest.raises(ValueError, match="path"):
        parse_path(path)


def test_too_deep() -> None:
    assert len(parse_path([0] * 32)) == 32
    with pytest.raises(ValueError, match="32 levels"):
        parse_path([0] * 33)


PATHS = [(), (0,), (HARDENED - 1,), (3, 0, 7)]


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_children_on_ed25519_are_offsets(path: tuple[int, ...]) -> None:
    secret, code = 1234567, bytes(range(32))
    delta, reached = offset(ED25519.base_mul(secret).to_bytes(), code, path, ED25519)
    assert ED25519.base_mul(secret + delta).to_bytes() == reached
    assert child(ED25519.base_mul(secret).to_bytes(), code, path, ED25519)[0] == reached
    assert (delta == 0) == (path == ())


def test_a_step_on_ed25519_is_reduced_under_a_prefix_of_its_own() -> None:
    """One level, written out: were I_L not reduced, or refused like BIP32's, hardly any index would have a child."""
    code, key = bytes(range(32)), ED25519.generator.to_bytes()
    for index in range(32):
        data = b"vertex/derive/ed25519" + key + index.to_bytes(4, "big")
        image = hmac.digest(code, data, hashlib.sha512)
        delta, _ = offset(key, code, (index,), ED25519)
        assert delta == int.from_bytes(image[:32], "big") % ED25519.order
        assert child(key, code, (index,), ED25519)[1] == image[32:]


def test_a_key_of_another_group_has_no_children_here() -> None:
    for key, group in ((ED25519.generator, SECP256K1), (SECP256K1.generator, ED25519)):
        with pytest.raises(ValueError, match="not a public key"):
            offset(key.to_bytes(), bytes(32), (0,), group)
