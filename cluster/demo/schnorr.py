"""The other two schemes in the story: an Ed25519 and a BIP340 key of A, B and C, each signing before and after."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from coincurve import PublicKeyXOnly
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cluster.cluster import Cluster
from cluster.demo import client
from cluster.demo.client import Party, names, states, until
from cluster.demo.console import confirm
from cluster.demo.story import Story, check

NO_SCRIPT_TREE = ""  # the `tweak` of a taproot output that only the key can spend


@dataclass
class SchnorrKey:
    """A key as its users know it: of BIP340 the x-only one."""

    public_key: bytes
    parties: list[Party]

    @property
    def scheme(self) -> str:
        return self.parties[0].scheme

    def sign(self, signers: Sequence[Party], **more: Any) -> str:
        """Signs a fresh message, checks the signature in another library, and tells of it. ``more``: path, tweak."""
        message = secrets.token_bytes(100)
        signature = bytes.fromhex(client.sign(signers, message, **more)["signature"])
        check(self._verifies(self._key(signers[0], **more), message, signature), f"{self.scheme}: a bad signature")
        library = "OpenSSL" if self.scheme == "ed25519" else "libsecp256k1"
        return f"{self.scheme}: {names(signers)} signed{' under a taproot key' if more else ''}, {library} agrees"

    def _key(self, signer: Party, **more: Any) -> bytes:
        """The key that a signature is for: its taproot output key is asked for."""
        if not more:
            return self.public_key
        body = {"key_id": signer.key_id, "derivation_path": [], **more}
        return bytes.fromhex(signer.user.post("/bip340/derive-tweak-pubkey", body)["pubkey"])

    def _verifies(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        if self.scheme == "bip340":
            return PublicKeyXOnly(public_key).verify(signature, message)
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)  # raises InvalidSignature
        return True


def first_keys(story: Story, cluster: Cluster) -> list[SchnorrKey]:
    """Both keys, 2 of 3, and a signature of each."""
    with story.step("A, B and C generate an Ed25519 and a BIP340 key, 2 of 3, and sign with both") as show:
        keys = []
        for scheme in ("ed25519", "bip340"):
            parties = [Party.at(vertex, scheme) for vertex in cluster.vertices[:3]]
            keys.append(SchnorrKey(client.keygen(parties, 2), parties))
            show(f"{scheme} public key {keys[-1].public_key.hex()}")
            show(keys[-1].sign(parties[:2]))
        show(keys[1].sign(keys[1].parties[1:], tweak=NO_SCRIPT_TREE))
    return keys


def new_generations(story: Story, cluster: Cluster, keys: Sequence[SchnorrKey]) -> None:
    """The first key is refreshed, the second changes a party; both stay the keys that they are."""
    refreshed, reshared = keys
    with story.step("The Ed25519 key is refreshed, in the BIP340 key D takes C's place: the same keys sign") as show:
        old = refreshed.parties
        new = client.refresh(old)
        until(lambda: states(new) == {"active"}, "the refreshed shares are active")
        until(lambda: states(old) == {"erased"}, "the shares before them are erased")
        check(client.public_key([*old, *new]) == refreshed.public_key, "the Ed25519 key has changed")
        show(refreshed.sign(new[1:]))

        a, b, c = reshared.parties
        joining = [Party.at(cluster.vertices[3], "bip340")]
        new = client.reshare(staying=[a, b], leaving=[c], joining=joining, threshold=2, pubkey=reshared.public_key)
        for party in (a, b):
            confirm(party)
        until(lambda: states(new) == {"active"}, "the new shares are active")
        until(lambda: states([a, b, c]) == {"erased"}, "the old shares are erased")
        check(client.public_key([a, b, c, *new]) == reshared.public_key, "the BIP340 key has changed")
        show(reshared.sign(new[1:]))
        show(reshared.sign([new[0], new[2]], tweak=NO_SCRIPT_TREE))
        refused = client.sign_refusals([a, c], b"")
        check(refused == ["share_erased"] * 2, f"old shares answered {refused}")
        show("old shares: share_erased")
