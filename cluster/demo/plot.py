"""The story itself: a 2-of-3 key signs, changes its quorum to 3-of-5, loses a vertex, and stays the same key. Ed25519
and BIP340 keys have a smaller part in it.

Every function is a few steps, told in order; what a step claims it checks. Nothing here knows a vertex from inside:
REST, the console's pages, and the processes of the cluster.
"""

from collections.abc import Sequence

import httpx
from coincurve import PublicKey
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from cluster.cluster import CHECKOUT, Cluster
from cluster.demo import client, copies, ethereum, schnorr
from cluster.demo.client import Party, names, states, until
from cluster.demo.console import confirm
from cluster.demo.story import Story, check
from cluster.process import Child, base_env, python, spawn
from cluster.vertex import WORKER, Vertex

GWEI = 10**9
ETHER = 10**18
RECIPIENT = bytes.fromhex("d8da6bf26964af9d7eed9e03e53415d37aa96045")


def tell(story: Story, cluster: Cluster) -> None:
    """From the first key to the last audit event, with six vertices. Raises StepFailed."""
    with story.step("A, B and C generate a key, 2 of 3") as show:
        a, b, c = (Party.at(vertex) for vertex in cluster.vertices[:3])
        pubkey = client.keygen([a, b, c], 2)
        show(f"public key {pubkey.hex()}")
        show("three shares active; nobody has the private key")
    wallet = Wallet(pubkey)
    with story.step("A and C sign an Ethereum transaction") as show:
        told = wallet.pay([a, c])
        show(f"sender {wallet.address}, transaction 0x{wallet.last.hex()}")
        show(told)

    other_schemes = schnorr.first_keys(story, cluster)
    schnorr.new_generations(story, cluster, other_schemes)

    new = first_reshare(story, cluster, wallet, [a, b, c])
    new = lost_vertex(story, cluster, wallet, new)

    with story.step("Every vertex's audit log verifies: hash chain and signed heads") as show:
        show(audit_verify(cluster))


class Wallet:
    """The key as Ethereum knows it; counts its transactions, `last` is the serialised last one."""

    def __init__(self, public_key: bytes) -> None:
        self.public_key = public_key
        self.address = ethereum.address_of(public_key)
        self.last = b""
        self._nonce = 0

    def _next(self) -> ethereum.Transaction:
        return ethereum.Transaction(
            chain_id=1,
            nonce=self._nonce,
            max_priority_fee=2 * GWEI,
            max_fee=30 * GWEI,
            gas_limit=21_000,
            to=RECIPIENT,
            value=ETHER // 100,
        )

    def pay(self, signers: Sequence[Party]) -> str:
        """Signs the next transaction, checks it in two libraries, and tells of it."""
        transaction = self._next()
        signature = client.sign(signers, transaction.message())
        raw = transaction.signed(signature)
        check(ethereum.sender(raw) == self.address, "the transaction's sender, recovered, is not the key's address")
        digest = ethereum.keccak256(transaction.message())
        openssl = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), PublicKey(self.public_key).format())
        openssl.verify(bytes.fromhex(signature["der"]), digest, ec.ECDSA(Prehashed(SHA256())))
        self._nonce += 1
        self.last = raw
        return f"{names(signers)} signed: the sender is the key's address, OpenSSL agrees"

    def refuses(self, signers: Sequence[Party], expected: dict[str, str]) -> str:
        """Nobody gets a signature, and the parties named get the error named."""
        errors = client.sign_refusals(signers, self._next().message())
        got = dict(zip((party.name for party in signers), errors, strict=True))
        check({name: got[name] for name in expected} == expected, f"expected {expected}, got {got}")
        return ", ".join(f"{name}: {error}" for name, error in got.items())


def first_reshare(story: Story, cluster: Cluster, wallet: Wallet, old: Sequence[Party]) -> list[Party]:
    """2-of-3 becomes 3-of-5: A and B stay, C leaves, D, E and F join."""
    a, b, c = old
    with story.step("Reshare 2-of-3 → 3-of-5: A, B stay, C leaves, D, E, F join") as show:
        joining = [Party.at(vertex) for vertex in cluster.vertices[3:6]]
        new = client.reshare(staying=[a, b], leaving=[c], joining=joining, threshold=3, pubkey=wallet.public_key)
        check(states(new) == {"quarantined"}, "a new share is not quarantined")
        check(states(old) == {"retiring"}, "an old share is not retiring")
        check(client.public_key([*old, *new]) == wallet.public_key, "the public key has changed")
        show("five new shares stored and quarantined; the same public key")
    with story.step("Quarantined shares don't sign, alone or mixed with an old one; the old quorum does") as show:
        not_complete = "reshare_not_complete"
        show(wallet.refuses(new[2:], dict.fromkeys("DEF", not_complete)))
        show(wallet.refuses([c, new[2]], {"D": not_complete}))
        show(wallet.pay([b, c]))

    with story.step("A's operator confirms in the console: one of two, nothing is erased") as show:
        confirm(a)
        until(lambda: all(party.reshare["confirmed"] == 1 for party in (*old, *new)), "A's vote is seen by all")
        check(states(old) == {"retiring"}, "an old share is gone before the decision")
        check(not any(party.reshare["complete"] for party in new), "complete on one confirmation")
        show(wallet.pay([a, b]))
    with story.step("C's operator confirms; A's and B's workers are killed before they erase") as show:
        for party in (a, b):
            party.vertex.kill(WORKER)
        confirm(c)
        witnesses = (c, *new[2:])
        until(lambda: all(party.reshare["deleted"] == 1 for party in witnesses), "C's DELETED is seen by all")
        seen = [party.reshare for party in witnesses]
        check(all(each["state"] == "committed" and not each["complete"] for each in seen), "complete too early")
        check(c.share["state"] == "erased", "C's share is not erased")
        show(wallet.refuses(new[2:], dict.fromkeys("DEF", "reshare_not_complete")))
        show("decided, 1 of 2 erased: not complete, nobody signs")
    with story.step("Their workers come back: complete at n − t + 1 = 2 erased") as show:
        for party in (a, b):
            party.vertex.restart(WORKER)
        until(lambda: states(new) == {"active"}, "the new shares are active")
        until(lambda: states(old) == {"erased"}, "all old shares are erased, B's without a vote of its own")
        until(lambda: all(party.reshare["clean"] for party in (*old, *new)), "clean everywhere")
        cluster.wait_ready()
        pause = max(party.reshare["pause_seconds"] for party in old)
        show(f"complete and clean; nobody could sign for {pause:.1f} s, workers' deaths included")

    with story.step("Any three of the new five sign under the same key; two don't") as show:
        check(client.public_key([*old, *new]) == wallet.public_key, "the public key has changed")
        show(wallet.refuses(new[3:], dict.fromkeys("EF", "bad_request_params")))
        show(wallet.pay(new[2:]))
        show(wallet.pay([new[0], new[1], new[3]]))
    with story.step("Old shares, and old mixed with new, sign nothing") as show:
        show(wallet.refuses([a, b], dict.fromkeys("AB", "share_erased")))
        show(wallet.refuses([c, *new[2:4]], {"C": "share_erased"}))
        show(copies_do_not_mix())
    return new


def lost_vertex(story: Story, cluster: Cluster, wallet: Wallet, old: Sequence[Party]) -> list[Party]:
    """B's machine burns; the others replace it by a reshare 3-of-5 → 3-of-5 with a new vertex G."""
    a, _, *others = old
    rest = [a, *others]
    with story.step("B's processes, database and keystore are destroyed; the others sign on") as show:
        cluster.destroy_vertex("b")
        show(wallet.pay(others))
    with story.step("A, D, E, F reshare 3-of-5 → 3-of-5 to a new vertex G, without B") as show:
        joining = [Party.at(cluster.add_vertex())]
        new = client.reshare(staying=rest, leaving=[], joining=joining, threshold=3, pubkey=wallet.public_key)
        check(states(new) == {"quarantined"}, "a new share is not quarantined")
        show("five new shares stored and quarantined, G's among them")
    with story.step("Two operators confirm: two of three, the old quorum still signs") as show:
        for party in rest[:2]:
            confirm(party)
        until(lambda: all(party.reshare["confirmed"] == 2 for party in (*rest, *new)), "both votes are seen by all")
        check(states(rest) == {"retiring"}, "an old share is gone before the decision")
        show(wallet.refuses(new[2:], dict.fromkeys("EFG", "reshare_not_complete")))
        show(wallet.pay(rest[1:]))
    with story.step("The third confirms: complete at n − t + 1 = 3 erased, but not clean without B") as show:
        confirm(rest[2])
        until(lambda: states(new) == {"active"}, "the new shares are active")
        until(lambda: states(rest) == {"erased"}, "the old shares of the living are erased")
        until(lambda: all(party.reshare["deleted"] == 4 for party in new), "four deletions are seen by all")
        seen = [party.reshare for party in new]
        check(all(each["complete"] and not each["clean"] for each in seen), "not complete, or clean without B")
        pause = max(each["pause_seconds"] or 0.0 for each in seen)
        show(f"complete, 4 of 5 erased; nobody could sign for {pause:.1f} s")
    with story.step("D, F and G sign under the same key; the shares before them don't") as show:
        check(client.public_key([*old[:1], *new]) == wallet.public_key, "the public key has changed")
        show(wallet.refuses([rest[0], *rest[2:]], dict.fromkeys("AEF", "share_erased")))
        show(wallet.refuses([rest[0], *new[3:]], {"A": "share_erased"}))
        show(wallet.pay([new[1], *new[3:]]))
    return new


def copies_do_not_mix() -> str:
    """With copies of every share of both generations in hand: no mix is the key, and signers refuse each other."""
    old, new = copies.both_generations()
    check(copies.gives_the_key([old["A"], old["C"]]), "two old copies are not the key: nothing is shown")
    check(copies.gives_the_key([new["D"], new["E"], new["F"]]), "three new copies are not the key: nothing is shown")
    mixed = [mix for size in (2, 3, 4) for mix in copies.mixes(old.values(), new.values(), size)]
    check(not any(map(copies.gives_the_key, mixed)), "a mix of old and new shares is the key")
    check(copies.refuse_each_other([old["A"], new["B"], new["D"]]), "signers of two generations talk to each other")
    return f"refused by every vertex; with copies in memory none of {len(mixed)} mixes is the key"


def audit_verify(cluster: Cluster) -> str:
    """`manage.py audit_verify` against each vertex's database, with the key that the vertex publishes."""
    running = {vertex.name.upper(): _audit_verify(vertex) for vertex in cluster.vertices}
    for name, child in running.items():
        child.wait(60)
        check(child.popen.returncode == 0, f"{name}: {child.tail()}")
    counts = {name: child.tail().split("ok: ")[1].split()[0] for name, child in running.items()}
    return "events: " + ", ".join(f"{name} {count}" for name, count in counts.items())


def _audit_verify(vertex: Vertex) -> Child:
    pem = vertex.directory / "identity.pem"
    pem.write_text(httpx.get(f"{vertex.url}/identity-pubkey").raise_for_status().text)
    settings = {
        "DATABASE_URL": vertex.database_url,
        "REDIS_URL": vertex.redis_url,
        "VERTEX_SECRET_KEY": vertex.secret_key,
        "VERTEX_DB_POOL": "0",
    }
    return spawn(
        f"audit_verify of {vertex.name}",
        python("manage.py", "audit_verify", "--pubkey", pem),
        log=vertex.log_dir / "audit_verify.log",
        env=base_env() | settings,
        cwd=CHECKOUT,
    )
