"""Receipts: what parses, whose they are, how many are kept, and what STORED has to prove."""

from typing import Any

import msgspec
import pytest

from keys import receipts
from keys.models import Receipt, Statement
from keys.receipts import MAX_BYTES, MAX_PER_SIGNER, BadReceipt, fingerprint, held, issue, keep, parse
from keys.stored import keygen_stored, possession, proves_possession, stored_parties
from mpc.identity import Identity
from tests.life import Vertex
from tests.mpc.simulator import identity, key

RID, GID, DIGEST = bytes([1] * 32), bytes([2] * 32), bytes([3] * 32)
pytestmark = pytest.mark.django_db


def receipt(who: str = "a", kind: str = "CONFIRMED", **changed: Any) -> bytes:
    fields: dict[str, Any] = {"kind": kind, "subject": RID, "gid": GID, "k": 1, "digest": DIGEST}
    return issue(identity(who), **fields | changed)


def signed(payload: bytes, by: Identity) -> bytes:
    return msgspec.msgpack.encode([payload, by.sign(receipts.TAG, payload)])


def payload(**changed: Any) -> bytes:
    fields = {
        "version": 1,
        "kind": "STORED",
        "subject": RID,
        "gid": GID,
        "k": 1,
        "digest": DIGEST,
        "party": identity("a").public,
        "body": {},
    }
    return msgspec.msgpack.encode(list((fields | changed).values()))


def test_the_same_statement_is_the_same_receipt() -> None:
    assert receipt() == receipt()
    found = parse(receipt(body={"b": 1, "a": 2}))
    assert (found.kind, found.subject, found.gid, found.k, found.digest) == ("CONFIRMED", RID, GID, 1, DIGEST)
    assert found.party == identity("a").public
    assert len({fingerprint(receipt()), fingerprint(receipt(k=2)), fingerprint(receipt("b"))}) == 3


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\xc1",
        b"\x90",
        msgspec.msgpack.encode([b"x", b"y"]),
        msgspec.msgpack.encode([payload(), bytes(64)]),
        msgspec.msgpack.encode([payload(), b""]),
        signed(payload(), identity("b")),
        signed(payload(version=2), identity("a")),
        signed(payload(kind="BLESSED"), identity("a")),
        signed(payload(subject=bytes(31)), identity("a")),
        signed(payload(gid=b""), identity("a")),
        signed(payload(digest=bytes(31)), identity("a")),
        signed(payload(k=-1), identity("a")),
        signed(payload(k=2**32), identity("a")),
        signed(payload(party=bytes(31)), identity("a")),
        signed(payload(body=[]), identity("a")),
        signed(payload() + b"\0", identity("a")),
        signed(payload(body={"x": bytes(MAX_BYTES)}), identity("a")),
        receipt() + b"\0",
        b"\x91" * 100_000,
    ],
    ids=lambda encoded: f"{encoded[:2].hex()}-{len(encoded)}",
)
def test_what_is_no_receipt_is_refused_in_one_way(encoded: bytes) -> None:
    with pytest.raises(BadReceipt):
        parse(encoded)


def test_any_changed_bit_is_noticed() -> None:
    whole = receipt()
    for at in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[at] ^= 1
        with pytest.raises(BadReceipt):
            parse(bytes(changed))


def test_kept_once_and_given_back_in_order() -> None:
    first, second = receipt(), receipt("b")
    assert [keep(each, parse(each)) for each in (first, second, first)] == [True, True, False]
    keep(receipt(subject=GID), parse(receipt(subject=GID)))
    assert [encoded for encoded, _ in held(RID)] == [first, second]


def test_a_liar_who_signs_without_end_is_not_kept_without_end() -> None:
    for number in range(MAX_PER_SIGNER + 10):
        encoded = receipt(kind="DELETED", k=number)
        keep(encoded, parse(encoded))
    assert Receipt.objects.count() == MAX_PER_SIGNER
    for other in (receipt("b", "DELETED"), receipt(kind="CONFIRMED")):
        assert keep(other, parse(other)), "others, and its other words, are not in its way"


def test_a_statement_is_kept_once() -> None:
    for preimage in (b"first", b"second"):
        receipts.keep_statement(subject=RID, digest=DIGEST, preimage=preimage)
    assert [bytes(row.preimage) for row in Statement.objects.all()] == [b"first"]


class TestStored:
    """`STORED` needs a proof by the signer, of its own share, bound to the digest."""

    results = staticmethod(lambda: key("abc", 2))

    def stored(self, who: str, proof: Any, digest: bytes = DIGEST) -> bytes:
        return receipt(who, "STORED", digest=digest, body={"proof": proof})

    def proof(self, who: str, digest: bytes = DIGEST) -> bytes:
        return possession(self.results()[identity(who).public].share, digest)

    def public_share(self, who: str) -> bytes:
        description = self.results()[identity(who).public].share.description()
        return description.public_shares[description.identities.index(identity(who).public)]

    def holds(self, encoded: bytes, who: str) -> bool:
        return proves_possession(parse(encoded), scheme="ecdsa", public_share=self.public_share(who))

    def test_a_proof_holds_for_its_share_signer_and_digest_only(self) -> None:
        assert self.holds(self.stored("a", self.proof("a")), "a")
        assert not self.holds(self.stored("a", self.proof("a", RID)), "a")
        assert not self.holds(self.stored("a", self.proof("a"), digest=RID), "a")
        assert not self.holds(self.stored("a", self.proof("b")), "a")
        assert not self.holds(self.stored("b", self.proof("a")), "a"), "another's proof under my name"

    @pytest.mark.parametrize("proof", [None, b"", bytes(65), bytes(64), "x" * 65, 7, [1]])
    def test_what_is_no_proof(self, proof: Any) -> None:
        assert not self.holds(self.stored("a", proof), "a")

    def test_only_valid_ones_over_this_digest_by_parties_count(self) -> None:
        for encoded in (
            self.stored("a", self.proof("a")),
            self.stored("b", self.proof("a")),
            self.stored("c", self.proof("c", RID), digest=RID),
            self.stored("d", self.proof("a")),
        ):
            keep(encoded, parse(encoded))
        shares = {identity(who).public: self.public_share(who) for who in "abc"}
        found = stored_parties(subject=RID, scheme="ecdsa", digest=DIGEST, public_shares=shares)
        assert found == {identity("a").public}

    def test_it_is_issued_once_for_ever(self, vertex: Vertex) -> None:
        share = self.results()[identity("a").public].share
        first = keygen_stored(identity=identity("a"), share=share, sid=RID, digest=DIGEST)
        assert keygen_stored(identity=identity("a"), share=share, sid=RID, digest=GID) == first
        assert parse(first).digest == DIGEST
