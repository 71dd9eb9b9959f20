"""The other two schemes in the story: an Ed25519 and a BIP340 key of A, B and C, each signing before and after."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from coincurve import PublicKeyXOnly
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from vertex_client import Key, Quorum
from vertex_client.answers import Scheme, SchnorrSignature

from cluster.cluster import Cluster
from cluster.demo.client import shown, sign_refusals, states, until
from cluster.demo.console import confirm
from cluster.demo.story import Story, check

NO_SCRIPT_TREE = b""  # the `tweak` of a taproot output that only the key can spend
SCHEMES: tuple[Scheme, ...] = ("ed25519", "bip340")


@dataclass
class SchnorrKey:
    """A key as its users know it: of BIP340 the x-only one."""

    quorum: Quorum
    key: Key

    def sign(self, signers: Sequence[str], tweak: bytes | None = None) -> str:
        """Signs a fresh message, checks the signature in another library, and tells of it."""
        message = secrets.token_bytes(100)
        signed = self.quorum.sign(self.key, message, by=signers, tweak=tweak)
        public = self.key.public_key if tweak is None else self.quorum.derive(self.key, [], tweak=tweak)
        scheme = self.key.scheme
        check(isinstance(signed, SchnorrSignature), f"{scheme}: {signed} is no Schnorr signature")
        signature = bytes.fromhex(signed.signature)  # type: ignore[union-attr]  # checked
        check(self._verifies(bytes.fromhex(public), message, signature), f"{scheme}: a bad signature")
        library = "OpenSSL" if scheme == "ed25519" else "libsecp256k1"
        under = "" if tweak is None else " under a taproot key"
        return f"{scheme}: {shown(signers)} signed{under}, {library} agrees"

    def _verifies(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        if self.key.scheme == "bip340":
            return PublicKeyXOnly(public_key).verify(signature, message)
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)  # raises InvalidSignature
        return True


def first_keys(story: Story, quorum: Quorum) -> list[SchnorrKey]:
    """Both keys, 2 of 3, and a signature of each."""
    with story.step("A, B and C generate an Ed25519 and a BIP340 key, 2 of 3, and sign with both") as show:
        keys = []
        for scheme in SCHEMES:
            key = SchnorrKey(quorum, quorum.keygen(scheme, 2, ["a", "b", "c"]))
            show(f"{scheme} public key {key.key.public_key}")
            show(key.sign(["a", "b"]))
            keys.append(key)
        show(keys[1].sign(["b", "c"], tweak=NO_SCRIPT_TREE))
    return keys


def new_generations(story: Story, cluster: Cluster, quorum: Quorum, keys: Sequence[SchnorrKey]) -> None:
    """The first key is refreshed, the second changes a party; both stay the keys that they are."""
    refreshed, reshared = keys
    with story.step("The Ed25519 key is refreshed, in the BIP340 key D takes C's place: the same keys sign") as show:
        moved = quorum.refresh(refreshed.key)
        until(lambda: states(quorum, moved.new) == {"active"}, "the refreshed shares are active")
        until(lambda: states(quorum, moved.old) == {"erased"}, "the shares before them are erased")
        check(quorum.look(moved.new).public_key == refreshed.key.public_key, "the Ed25519 key has changed")
        refreshed.key = moved.new
        show(refreshed.sign(["b", "c"]))

        replaced = quorum.reshare(reshared.key, ["a", "b", "d"], 2)
        for name in ("a", "b"):
            confirm(cluster.vertex(name), quorum.vertices[name].reshare(replaced.rid).reshare_id)
        until(lambda: states(quorum, replaced.new) == {"active"}, "the new shares are active")
        until(lambda: states(quorum, replaced.old) == {"erased"}, "the old shares are erased")
        check(quorum.look(replaced.new).public_key == reshared.key.public_key, "the BIP340 key has changed")
        reshared.key = replaced.new
        show(reshared.sign(["b", "d"]))
        show(reshared.sign(["a", "d"], tweak=NO_SCRIPT_TREE))
        refused = sign_refusals(quorum, replaced.old, b"", ["a", "c"])
        check(refused == {"a": "share_erased", "c": "share_erased"}, f"old shares answered {refused}")
        show("old shares: share_erased")
