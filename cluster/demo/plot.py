"""The story itself: a 2-of-3 key signs, changes its quorum to 3-of-5, loses a vertex, and stays the same key. Ed25519
and BIP340 keys have a smaller part in it.

Every function is a few steps, told in order; what a step claims it checks. Nothing here knows a vertex from inside:
REST, the console's pages, and the processes of the cluster.
"""

from collections.abc import Sequence
from dataclasses import asdict

import httpx
from coincurve import PublicKey
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from vertex_client import Key, Quorum
from vertex_client.answers import Reshare

from cluster.cluster import CHECKOUT, Cluster
from cluster.demo import copies, ethereum, schnorr
from cluster.demo.client import mixed, quorum_of, shown, sign_refusals, states, until, user_at
from cluster.demo.console import confirm
from cluster.demo.story import Story, check
from cluster.process import Child, base_env, python, spawn
from cluster.vertex import WORKER, Vertex

GWEI = 10**9
ETHER = 10**18
RECIPIENT = bytes.fromhex("d8da6bf26964af9d7eed9e03e53415d37aa96045")


def tell(story: Story, cluster: Cluster) -> None:
    """From the first key to the last audit event, with six vertices. Raises StepFailed."""
    with quorum_of(cluster) as quorum:
        with story.step("A, B and C generate a key, 2 of 3") as show:
            wallet = Wallet(quorum, quorum.keygen("ecdsa", 2, ["a", "b", "c"]))
            show(f"public key {wallet.key.public_key}")
            check(states(quorum, wallet.key) == {"active"}, "a share is not active")
            show("three shares active; nobody has the private key")
        with story.step("A and C sign an Ethereum transaction") as show:
            told = wallet.pay(["a", "c"])
            show(f"sender {wallet.address}, transaction 0x{wallet.last.hex()}")
            show(told)

        other_schemes = schnorr.first_keys(story, quorum)
        schnorr.new_generations(story, cluster, quorum, other_schemes)

        first_reshare(story, cluster, wallet)
        lost_vertex(story, cluster, wallet)

    with story.step("Every vertex's audit log verifies: hash chain and signed heads") as show:
        show(audit_verify(cluster))


class Wallet:
    """The key as Ethereum knows it; counts its transactions, `last` is the serialised last one."""

    def __init__(self, quorum: Quorum, key: Key) -> None:
        self.quorum = quorum
        self.key = key
        self.address = ethereum.address_of(bytes.fromhex(key.public_key))
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

    def pay(self, signers: Sequence[str]) -> str:
        """Signs the next transaction, checks it in two libraries, and tells of it."""
        transaction = self._next()
        signature = asdict(self.quorum.sign(self.key, transaction.message(), by=signers, hash_algo="keccak256"))
        raw = transaction.signed(signature)
        check(ethereum.sender(raw) == self.address, "the transaction's sender, recovered, is not the key's address")
        digest = ethereum.keccak256(transaction.message())
        point = PublicKey(bytes.fromhex(self.key.public_key)).format()
        openssl = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), point)
        openssl.verify(bytes.fromhex(signature["der"]), digest, ec.ECDSA(Prehashed(SHA256())))
        self._nonce += 1
        self.last = raw
        return f"{shown(signers)} signed: the sender is the key's address, OpenSSL agrees"

    def refuses(self, key: Key, signers: Sequence[str], expected: dict[str, str]) -> str:
        """Nobody gets a signature with these shares, and the vertices named get the error named."""
        got = sign_refusals(self.quorum, key, self._next().message(), signers, "keccak256")
        check({name: got[name] for name in expected} == expected, f"expected {expected}, got {got}")
        return ", ".join(f"{name.upper()}: {error}" for name, error in got.items())


class Change:
    """A reshare that has begun, as the story looks at it."""

    def __init__(self, cluster: Cluster, quorum: Quorum, rid: str) -> None:
        self._cluster = cluster
        self._quorum = quorum
        self._rid = rid

    def confirmed_by(self, name: str) -> None:
        """A vertex's operator confirms in its console."""
        confirm(self._cluster.vertex(name), self._quorum.vertices[name].reshare(self._rid).reshare_id)

    def seen(self, names: Sequence[str] | None = None) -> list[Reshare]:
        """What these vertices know of it, or all that take part."""
        progress = self._quorum.progress(self._rid)
        check(not progress.failures, f"a vertex does not answer: {progress.failures}")
        views = progress.views
        return list(views.values()) if names is None else [views[name] for name in names]

    @property
    def pause(self) -> float:
        """The seconds in which nobody could sign."""
        return max(view.pause_seconds or 0.0 for view in self.seen())


def first_reshare(story: Story, cluster: Cluster, wallet: Wallet) -> None:
    """2-of-3 becomes 3-of-5: A and B stay, C leaves, D, E and F join."""
    quorum, public_key = wallet.quorum, wallet.key.public_key
    with story.step("Reshare 2-of-3 → 3-of-5: A, B stay, C leaves, D, E, F join") as show:
        moved = quorum.reshare(wallet.key, ["a", "b", "d", "e", "f"], 3)
        old, new, change = moved.old, moved.new, Change(cluster, quorum, moved.rid)
        check(states(quorum, new) == {"quarantined"}, "a new share is not quarantined")
        check(states(quorum, old) == {"retiring"}, "an old share is not retiring")
        check(quorum.look(new).public_key == public_key, "the public key has changed")
        show("five new shares stored and quarantined; the same public key")
    with story.step("Quarantined shares don't sign, alone or mixed with an old one; the old quorum does") as show:
        not_complete = "reshare_not_complete"
        show(wallet.refuses(new, ["d", "e", "f"], dict.fromkeys("def", not_complete)))
        show(wallet.refuses(mixed(old.only("c"), new.only("d")), ["c", "d"], {"d": not_complete}))
        show(wallet.pay(["b", "c"]))

    with story.step("A's operator confirms in the console: one of two, nothing is erased") as show:
        change.confirmed_by("a")
        until(lambda: all(view.confirmed == 1 for view in change.seen()), "A's vote is seen by all")
        check(states(quorum, old) == {"retiring"}, "an old share is gone before the decision")
        check(not any(view.complete for view in change.seen()), "complete on one confirmation")
        show(wallet.pay(["a", "b"]))
    with story.step("C's operator confirms; A's and B's workers are killed before they erase") as show:
        for name in ("a", "b"):
            cluster.vertex(name).kill(WORKER)
        change.confirmed_by("c")
        witnesses = ["c", "d", "e", "f"]
        until(lambda: all(view.deleted == 1 for view in change.seen(witnesses)), "C's DELETED is seen by all")
        seen = change.seen(witnesses)
        check(all(view.state == "committed" and not view.complete for view in seen), "complete too early")
        check(states(quorum, old.only("c")) == {"erased"}, "C's share is not erased")
        show(wallet.refuses(new, ["d", "e", "f"], dict.fromkeys("def", "reshare_not_complete")))
        show("decided, 1 of 2 erased: not complete, nobody signs")
    with story.step("Their workers come back: complete at n − t + 1 = 2 erased") as show:
        for name in ("a", "b"):
            cluster.vertex(name).restart(WORKER)
        until(lambda: states(quorum, new) == {"active"}, "the new shares are active")
        until(lambda: states(quorum, old) == {"erased"}, "all old shares are erased, B's without a vote of its own")
        until(lambda: all(view.clean for view in change.seen()), "clean everywhere")
        cluster.wait_ready()
        show(f"complete and clean; nobody could sign for {change.pause:.1f} s, workers' deaths included")

    with story.step("Any three of the new five sign under the same key; two don't") as show:
        wallet.key = quorum.look(new)
        check(wallet.key.public_key == public_key, "the public key has changed")
        show(wallet.refuses(new, ["e", "f"], dict.fromkeys("ef", "bad_request_params")))
        show(wallet.pay(["d", "e", "f"]))
        show(wallet.pay(["a", "b", "e"]))
    with story.step("Old shares, and old mixed with new, sign nothing") as show:
        show(wallet.refuses(old, ["a", "b"], dict.fromkeys("ab", "share_erased")))
        show(wallet.refuses(mixed(old.only("c"), new.only("de")), ["c", "d", "e"], {"c": "share_erased"}))
        show(copies_do_not_mix())


def lost_vertex(story: Story, cluster: Cluster, wallet: Wallet) -> None:
    """B's machine burns; the others replace it by a reshare 3-of-5 → 3-of-5 with a new vertex G."""
    quorum, public_key = wallet.quorum, wallet.key.public_key
    with story.step("B's processes, database and keystore are destroyed; the others sign on") as show:
        cluster.destroy_vertex("b")
        quorum.remove("b")
        show(wallet.pay(["d", "e", "f"]))
    with story.step("A, D, E, F reshare 3-of-5 → 3-of-5 to a new vertex G, without B") as show:
        quorum.add("g", user_at(cluster.add_vertex()))
        moved = quorum.reshare(wallet.key, ["a", "d", "e", "f", "g"], 3, absent=["b"])
        rest, new, change = moved.old.only("adef"), moved.new, Change(cluster, quorum, moved.rid)
        check(states(quorum, new) == {"quarantined"}, "a new share is not quarantined")
        show("five new shares stored and quarantined, G's among them")
    with story.step("Two operators confirm: two of three, the old quorum still signs") as show:
        for name in ("a", "d"):
            change.confirmed_by(name)
        until(lambda: all(view.confirmed == 2 for view in change.seen()), "both votes are seen by all")
        check(states(quorum, rest) == {"retiring"}, "an old share is gone before the decision")
        show(wallet.refuses(new, ["e", "f", "g"], dict.fromkeys("efg", "reshare_not_complete")))
        show(wallet.pay(["d", "e", "f"]))
    with story.step("The third confirms: complete at n − t + 1 = 3 erased, but not clean without B") as show:
        change.confirmed_by("e")
        until(lambda: states(quorum, new) == {"active"}, "the new shares are active")
        until(lambda: states(quorum, rest) == {"erased"}, "the old shares of the living are erased")
        until(lambda: all(view.deleted == 4 for view in change.seen()), "four deletions are seen by all")
        check(all(view.complete and not view.clean for view in change.seen()), "not complete, or clean without B")
        show(f"complete, 4 of 5 erased; nobody could sign for {change.pause:.1f} s")
    with story.step("D, F and G sign under the same key; the shares before them don't") as show:
        wallet.key = quorum.look(new)
        check(wallet.key.public_key == public_key, "the public key has changed")
        show(wallet.refuses(rest, ["a", "e", "f"], dict.fromkeys("aef", "share_erased")))
        show(wallet.refuses(mixed(rest.only("a"), new.only("fg")), ["a", "f", "g"], {"a": "share_erased"}))
        show(wallet.pay(["d", "f", "g"]))


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
