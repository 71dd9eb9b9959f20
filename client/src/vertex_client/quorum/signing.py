"""Signatures and derived public keys of a quorum."""

from collections.abc import Coroutine, Sequence
from typing import Any

from vertex_client.answers import Problem, Signature
from vertex_client.errors import DISAGREEMENT
from vertex_client.quorum.keys import Key
from vertex_client.quorum.members import Members, agreed
from vertex_client.routes.signing import HashAlgo, Path, ToSign
from vertex_client.vertex import AsyncVertex


class Signing(Members):
    """What signers do together."""

    async def sign(
        self,
        key: Key,
        msg: bytes,
        *,
        by: Sequence[str] | None = None,
        hash_algo: HashAlgo = "sha256",
        derivation_path: Path | None = None,
        tweak: bytes | None = None,
        extra_data: bytes | None = None,
    ) -> Signature:
        """A signature, the same at all signers: `by` these vertices or the first `threshold` whose shares sign."""
        signers = _signers(key, by)
        room = await self.room(signers, len(signers))
        how = _how(key, hash_algo, derivation_path, tweak, extra_data)

        def ask(name: str, vertex: AsyncVertex) -> Coroutine[Any, Any, Signature]:
            return vertex.sign(key.scheme, ToSign(key.at(name).key_id, msg, room, **how))

        return agreed((await self.ask(signers, ask, one_protocol=True)).all("sign"), "signatures")

    async def batch_sign(
        self,
        key: Key,
        messages: Sequence[bytes],
        *,
        by: Sequence[str] | None = None,
        hash_algo: HashAlgo = "sha256",
        derivation_path: Path | None = None,
        tweak: bytes | None = None,
        extra_data: bytes | None = None,
    ) -> tuple[Signature | Problem, ...]:
        """Signatures of several messages in one room; each is signed or refused by itself."""
        signers = _signers(key, by)
        room = await self.room(signers, len(signers))
        how = _how(key, hash_algo, derivation_path, tweak, extra_data)

        def ask(name: str, vertex: AsyncVertex) -> Coroutine[Any, Any, tuple[Signature | Problem, ...]]:
            return vertex.batch_sign(key.scheme, [ToSign(key.at(name).key_id, msg, room, **how) for msg in messages])

        signed = (await self.ask(signers, ask, one_protocol=True)).all("batch-sign")
        return tuple(_one(each) for each in zip(*signed.values(), strict=True))

    async def derive(self, key: Key, derivation_path: Path, *, tweak: bytes | None = None) -> str:
        """The public key at a path, hex, ECDSA's compressed; all vertices must derive the same."""

        async def ask(name: str, vertex: AsyncVertex) -> str:
            key_id = key.at(name).key_id
            if key.scheme == "ecdsa":
                return (await vertex.derive_ecdsa(key_id, derivation_path)).compressed
            if key.scheme == "ed25519":
                return (await vertex.derive_ed25519(key_id, derivation_path)).pubkey
            return (await vertex.derive_bip340(key_id, derivation_path, tweak)).pubkey

        return agreed((await self.ask(key.names, ask)).all("derive"), "public keys")


def _signers(key: Key, by: Sequence[str] | None) -> Sequence[str]:
    """Who signs: whoever is asked for, else as many as it takes."""
    signers = key.usable[: key.threshold] if by is None else list(by)
    if not signers:
        raise ValueError(f"no share of this key signs: {key.states}")
    return signers


def _how(
    key: Key, hash_algo: HashAlgo, derivation_path: Path | None, tweak: bytes | None, extra_data: bytes | None
) -> dict[str, Any]:
    """The fields of a request that are the same for all signers; a hash is for ECDSA alone."""
    return {
        "hash_algo": hash_algo if key.scheme == "ecdsa" else None,
        "derivation_path": derivation_path,
        "tweak": tweak,
        "extra_data": extra_data,
    }


def _one(told: tuple[Signature | Problem, ...]) -> Signature | Problem:
    """What the signers answered to one request of a batch: a problem if one of them has it."""
    problems = [each for each in told if isinstance(each, Problem)]
    if problems:
        return problems[0]
    if any(each != told[0] for each in told):
        return Problem(DISAGREEMENT, "the signers answered different signatures")
    return told[0]
