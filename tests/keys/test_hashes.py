"""Message hashes against published vectors."""

import pytest

from keys.hashes import digest_of
from vertex.errors import ApiError


@pytest.mark.parametrize(
    ("message", "algo", "digest"),
    [
        (b"abc", "sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (b"hello", "sha256d", "9595c9df90075148eb06860365df33584b75bff782a510c6cd4883a419833d50"),
        (b"", "keccak256", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"abc", "keccak256", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
        (b"\x01" * 32, "none", "01" * 32),
    ],
)
def test_vectors(message: bytes, algo: str, digest: str) -> None:
    assert digest_of(message, algo).hex() == digest


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_without_a_hash_the_message_has_32_bytes(length: int) -> None:
    with pytest.raises(ApiError) as refusal:
        digest_of(bytes(length), "none")
    assert refusal.value.err_type == "bad_request_params"
