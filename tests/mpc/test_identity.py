"""Identities: what is signed is bound to its tag; a keygen_id survives no typing mistake."""

import pickle

import pytest

from mpc.identity import Identity, decode_keygen_id, encode_keygen_id, verify
from tests.mpc.simulator import flipped, identity

ALICE = identity("A")
SIGNATURE = ALICE.sign("receipt", b"one", b"two")


def test_a_signature_holds_for_its_tag_and_parts() -> None:
    assert len(SIGNATURE) == 64
    assert verify(ALICE.public, "receipt", (b"one", b"two"), SIGNATURE)


@pytest.mark.parametrize(
    ("public", "tag", "parts", "signature"),
    [
        pytest.param(ALICE.public, "hello", (b"one", b"two"), SIGNATURE, id="another tag"),
        pytest.param(ALICE.public, "receipt", (b"onet", b"wo"), SIGNATURE, id="parts cut elsewhere"),
        pytest.param(identity("B").public, "receipt", (b"one", b"two"), SIGNATURE, id="another signer"),
        pytest.param(ALICE.public, "receipt", (b"one", b"two"), flipped(SIGNATURE), id="a flipped bit"),
        pytest.param(ALICE.public, "receipt", (b"one", b"two"), SIGNATURE[:-1], id="too short"),
        pytest.param(ALICE.public, "receipt", (b"one", b"two"), SIGNATURE + b"\0", id="too long"),
        pytest.param(ALICE.public[:-1], "receipt", (b"one", b"two"), SIGNATURE, id="a short key"),
        pytest.param(bytes(32), "receipt", (b"one", b"two"), bytes(64), id="a key of small order"),
    ],
)
def test_refused(public: bytes, tag: str, parts: tuple[bytes, ...], signature: bytes) -> None:
    assert not verify(public, tag, parts, signature)


def test_the_secret_half_is_not_shown_and_not_pickled() -> None:
    assert ALICE.reveal().hex() not in repr(ALICE)
    assert Identity(ALICE.reveal()).public == ALICE.public
    with pytest.raises(TypeError):
        pickle.dumps(ALICE)
    with pytest.raises(ValueError, match="32 bytes"):
        Identity(b"short")


def test_keygen_id_round_trip() -> None:
    text = encode_keygen_id(ALICE.public)
    assert text.startswith("vtx1")
    assert decode_keygen_id(text) == ALICE.public
    with pytest.raises(ValueError, match="32 bytes"):
        encode_keygen_id(b"short")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: text[:-1] + ("0" if text[-1] != "0" else "1"), id="checksum"),
        pytest.param(lambda text: text[:9] + ("0" if text[9] != "0" else "1") + text[10:], id="a digit"),
        pytest.param(str.upper, id="upper case"),
        pytest.param(lambda text: text[:4] + text[4:].upper(), id="upper-case digits"),
        pytest.param(lambda text: "vtx2" + text[4:], id="version"),
        pytest.param(lambda text: text + "00", id="too long"),
        pytest.param(lambda text: text[:-2], id="too short"),
        pytest.param(lambda text: text[:-1] + "٣", id="a digit of another script"),
        pytest.param(lambda text: "", id="empty"),
    ],
)
def test_keygen_id_with_a_mistake(change) -> None:
    with pytest.raises(ValueError, match="keygen_id"):
        decode_keygen_id(change(encode_keygen_id(ALICE.public)))


def test_a_key_with_a_byte_too_many_is_none() -> None:
    """libsodium reads 32 bytes of whatever it gets."""
    assert not verify(ALICE.public + b"\0", "receipt", (b"one", b"two"), SIGNATURE)


@pytest.mark.parametrize("change", [lambda text: text + "00", lambda text: text[:-2], lambda text: "vtx2" + text[4:]])
def test_a_keygen_id_of_another_version_or_length_is_called_so(change) -> None:
    with pytest.raises(ValueError, match="not a keygen_id of this version"):
        decode_keygen_id(change(encode_keygen_id(ALICE.public)))
