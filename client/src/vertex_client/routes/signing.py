"""Signatures, one or a batch, and derived public keys. Messages are bytes here and hex on the wire."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from vertex_client.answers import (
    EcdsaPublicKey,
    EcdsaSignature,
    Problem,
    Scheme,
    SchnorrPublicKey,
    SchnorrSignature,
)
from vertex_client.calls import Call, Route, given, path
from vertex_client.decoding import decode, read
from vertex_client.errors import BadAnswer

S = TypeVar("S")
HashAlgo = Literal["sha256", "keccak256", "sha256d", "none"]
Path = Sequence[int]  # non-hardened steps


@dataclass(frozen=True)
class ToSign:
    """A message of a key, and how to sign it: `hash_algo` for ECDSA, a `tweak` (b"" or 32 bytes) for BIP340."""

    key_id: str
    msg: bytes
    room_uuid: str
    hash_algo: HashAlgo | None = None
    derivation_path: Path | None = None
    tweak: bytes | None = None
    extra_data: bytes | None = None
    relay_address: str | None = None

    def body(self) -> dict[str, Any]:
        """As the wire has it."""
        return given(
            key_id=self.key_id,
            msg=self.msg.hex(),
            room_uuid=self.room_uuid,
            hash_algo=self.hash_algo,
            derivation_path=None if self.derivation_path is None else list(self.derivation_path),
            tweak=None if self.tweak is None else self.tweak.hex(),
            extra_data=None if self.extra_data is None else self.extra_data.hex(),
            relay_address=self.relay_address,
        )


def signature_of(scheme: Scheme) -> type[EcdsaSignature] | type[SchnorrSignature]:
    """What a scheme's signatures are."""
    return EcdsaSignature if scheme == "ecdsa" else SchnorrSignature


def _batch(kind: type[S]) -> Callable[[Any], tuple[S | Problem, ...]]:
    def items(data: Any) -> tuple[S | Problem, ...]:
        if not isinstance(data, list):
            raise BadAnswer("a batch is answered by a list")
        return tuple(map(item, data))

    def item(data: Any) -> S | Problem:
        match data:
            case {"Signature": signature}:
                signed: S = decode(kind, signature, "Signature")
                return signed
            case {"Error": error}:
                refused: Problem = decode(Problem, error, "Error")
                return refused
        raise BadAnswer("an item of a batch is neither a Signature nor an Error")

    return items


def _requests(requests: Sequence[ToSign]) -> Mapping[str, Any]:
    return {"sign_requests": [request.body() for request in requests]}


class SigningRoutes:
    """What needs t signers in one room at the same time, and what needs none."""

    @Route
    def sign(self, scheme: Scheme, request: ToSign) -> Call[EcdsaSignature | SchnorrSignature]:
        """One signer's call; it answers when all signers have called."""
        return Call("POST", path(scheme, "sign"), read(signature_of(scheme)), request.body(), creates=True)

    @Route
    def sign_ecdsa(self, request: ToSign) -> Call[EcdsaSignature]:
        """`sign` with the exact type."""
        return Call("POST", "/ecdsa/sign", read(EcdsaSignature), request.body(), creates=True)

    @Route
    def sign_ed25519(self, request: ToSign) -> Call[SchnorrSignature]:
        """`sign` with the exact type."""
        return Call("POST", "/ed25519/sign", read(SchnorrSignature), request.body(), creates=True)

    @Route
    def sign_bip340(self, request: ToSign) -> Call[SchnorrSignature]:
        """`sign` with the exact type."""
        return Call("POST", "/bip340/sign", read(SchnorrSignature), request.body(), creates=True)

    @Route
    def batch_sign(
        self, scheme: Scheme, requests: Sequence[ToSign]
    ) -> Call[tuple[EcdsaSignature | SchnorrSignature | Problem, ...]]:
        """Of each request, in order, its signature or its error. They may share one room."""
        kind: Any = signature_of(scheme)
        return Call("POST", path(scheme, "batch-sign"), _batch(kind), _requests(requests), creates=True)

    @Route
    def derive_ecdsa(self, key_id: str, derivation_path: Path) -> Call[EcdsaPublicKey]:
        """The public key at a non-hardened BIP32 path."""
        body = {"key_id": key_id, "derivation_path": list(derivation_path)}
        return Call("POST", "/ecdsa/derive-pubkey", read(EcdsaPublicKey), body, idempotent=True)

    @Route
    def derive_ed25519(self, key_id: str, derivation_path: Path) -> Call[SchnorrPublicKey]:
        """The public key at a non-hardened path, by Vertex's own derivation."""
        body = {"key_id": key_id, "derivation_path": list(derivation_path)}
        return Call("POST", "/ed25519/derive-pubkey", read(SchnorrPublicKey), body, idempotent=True)

    @Route
    def derive_bip340(self, key_id: str, derivation_path: Path, tweak: bytes | None = None) -> Call[SchnorrPublicKey]:
        """The x-only public key at a path; with a `tweak` (b"" or 32 bytes) its taproot output key."""
        body = given(key_id=key_id, derivation_path=list(derivation_path), tweak=None if tweak is None else tweak.hex())
        return Call("POST", "/bip340/derive-tweak-pubkey", read(SchnorrPublicKey), body, idempotent=True)
