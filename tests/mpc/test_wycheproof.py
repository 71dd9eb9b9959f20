"""Wycheproof's vectors, against this project's own paths: what a session would make of these bytes."""

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from mpc import identity
from mpc.channel import Session
from mpc.errors import Abort, Blame, Malformed
from mpc.group import SECP256K1 as G
from mpc.group import Point
from mpc.hello import Greetings
from mpc.identity import verify
from mpc.protocol import SystemRng
from mpc.signature import assemble
from mpc.wire import Hello, SignShare
from tests.mpc import simulator
from tests.mpc.vectors import load

SID = bytes(range(32))
ME, PEER = simulator.identities("AB")
U_SHARES = (3, 2**200 + 1)  # what two signers' u could be


def vectors_in(name: str) -> list[tuple[str, dict[str, Any]]]:
    """(the group's key, test) of every test in the file."""
    vectors = load(name)
    tests = [(group["key"], test) for group in vectors["groups"] for test in group["tests"]]
    assert len(tests) + vectors["left_out"] == vectors["numberOfTests"]
    return tests


def compressed(uncompressed: str) -> bytes:
    """The 33 bytes of a point given in 65."""
    data = bytes.fromhex(uncompressed)
    assert len(data) == 65
    return bytes((2 + (data[64] & 1),)) + data[1:33]


def nonce_points(r: int) -> Iterator[Point]:
    """Every R whose x is r modulo q."""
    for x in (r, r + G.order):
        for prefix in (b"\x02", b"\x03"):
            try:
                yield G.decode(prefix + x.to_bytes(32, "big"))
            except (Malformed, OverflowError):
                continue


def released(key: bytes, digest: bytes, der: bytes) -> set[bytes]:
    """The signatures, DER, that signers whose shares add up to this r and s would release."""
    try:
        r, s = decode_dss_signature(der)
        first, second = (G.encode_scalar(u) for u in U_SHARES)
        w = G.encode_scalar(s * sum(U_SHARES)) if 0 <= s < G.order else s.to_bytes(32, "big")
    except (ValueError, OverflowError):
        return set()
    shares = {ME.public: SignShare(w=w, u=first), PEER.public: SignShare(w=bytes(32), u=second)}
    found = set()
    for point in nonce_points(r) if 0 <= r < G.order else ():
        try:
            found.add(assemble(shares, point, digest, key).der)
        except (Abort, Blame):
            continue
    return found


@pytest.mark.parametrize("low_only", [True, False], ids=["bitcoin", "plain"])
def test_ecdsa(low_only: bool) -> None:
    """Exactly the valid signatures are what a signing session releases: encoding, range, low s and all."""
    wrong = []
    for key, test in vectors_in(f"ecdsa_secp256k1_sha256{'_bitcoin' if low_only else ''}"):
        sig = bytes.fromhex(test["sig"])
        digest = hashlib.sha256(bytes.fromhex(test["msg"])).digest()
        signatures = released(compressed(key), digest, sig)
        if not low_only and test["result"] == "valid":
            r, s = decode_dss_signature(sig)
            sig = encode_dss_signature(r, min(s, G.order - s))
        if (sig in signatures) != (test["result"] == "valid"):
            wrong.append((test["tcId"], test["comment"], test["flags"]))
    assert wrong == []


def test_ecdh_of_secp256k1() -> None:
    """Points on the curve and their product; everything else is Malformed."""
    valid, refused = 0, []
    for _, test in vectors_in("ecdh_secp256k1"):
        data = bytes.fromhex(test["public"])
        encoded = data if len(data) == 33 else compressed(test["public"])
        if test["result"] == "invalid" and len(data) == 65:
            continue  # a wrong y can't be said in 33 bytes
        try:
            product = G.ecdh(G.decode(encoded), int(test["private"], 16))
        except Malformed:
            refused.append(test["tcId"])
            assert test["result"] == "invalid", test
            continue
        assert test["result"] != "invalid", test
        x = bytes.fromhex(test["shared"])
        images = {hashlib.sha256(prefix + x).digest() for prefix in (b"\x02", b"\x03")}
        assert product in images, test
        valid += 1
    assert valid > 400
    assert refused


def receive_key(private: bytes, public: bytes) -> bytes:
    """The key of the direction from the peer, of a session with these ephemeral keys."""

    def hello(ephemeral: bytes) -> Hello:
        return Hello("keygen", bytes(32), ephemeral, "party", b"", b"")

    hellos = {ME.public: hello(bytes(32)), PEER.public: hello(public)}
    greetings = Greetings(ME, hellos, (), private)
    return Session(greetings, SID, {ME.public: 1, PEER.public: 2}, SystemRng()).receive_key(PEER.public)


def test_x25519() -> None:
    """The channel's key is HKDF of the published shared secret; an all-zero one is blamed on who caused it."""
    blamed = 0
    for _, test in vectors_in("x25519"):
        private, public, shared = (bytes.fromhex(test[name]) for name in ("private", "public", "shared"))
        if not any(shared):
            with pytest.raises(Blame) as caught:
                receive_key(private, public)
            assert caught.value.culprits == {PEER.public}
            blamed += 1
            continue
        info = b"chan" + (2).to_bytes(4, "big") + (1).to_bytes(4, "big") + public + bytes(32)
        prk = hmac.digest(SID, shared, "sha256")
        assert receive_key(private, public) == hmac.digest(prk, info + b"\x01", "sha256"), test
    assert blamed >= 10


def test_ed25519() -> None:
    """Our verification, of the published messages instead of our hash of tag and parts."""
    wrong, small_order = [], 0
    for key, test in vectors_in("ed25519"):
        message, signature = bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])
        with patch.object(identity, "_signed_hash", return_value=message):
            accepted = verify(bytes.fromhex(key), "tag", (), signature)
        if "SmallOrderPublicKey" in test["flags"]:
            assert not accepted, test
            small_order += 1
        elif test["result"] != "acceptable" and accepted != (test["result"] == "valid"):
            wrong.append((test["tcId"], test["comment"], test["flags"]))
    assert wrong == []
    assert small_order
