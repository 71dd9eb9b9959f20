"""FROST's algebra against RFC 9591, appendix E, and nonces that serve once."""

from typing import Any

import pytest

from mpc.errors import Abort
from mpc.frost.core import Nonces, Signing, make_nonce
from mpc.frost.keys import SigningKey
from mpc.frost.suites import SUITES, Secp256k1Sha256, Suite
from tests.mpc.vectors import load

ALL: dict[str, Suite] = {**SUITES, "secp256k1": Secp256k1Sha256()}
VECTORS = {name: load(f"frost-{name}") for name in ALL}


class Run:
    """A vector, run up to the list of commitments."""

    def __init__(self, name: str) -> None:
        self.suite, self.vector = ALL[name], VECTORS[name]
        self.group = self.suite.group
        self.message = bytes.fromhex(self.vector["message"])
        self.secrets = {int(x): self.scalar(share) for x, share in self.vector["shares"].items()}
        self.signers: dict[int, dict[str, str]] = {int(x): signer for x, signer in self.vector["signers"].items()}
        self.nonces = {x: self.nonces_of(x) for x in self.signers}
        self.key = SigningKey(self.group, self.group.decode(bytes.fromhex(self.vector["public_key"])))
        self.signing = Signing(
            self.suite, self.key, self.message, {x: nonces.commitment for x, nonces in self.nonces.items()}
        )

    def scalar(self, text: str) -> int:
        return self.group.decode_scalar(bytes.fromhex(text))

    def nonces_of(self, x: int) -> Nonces:
        randomness = (bytes.fromhex(self.signers[x][f"{use}_randomness"]) for use in ("hiding", "binding"))
        return Nonces(self.group, *(make_nonce(self.suite, self.secrets[x], each) for each in randomness))

    def shares(self) -> dict[int, int]:
        return {x: self.signing.share(x, self.nonces[x], self.secrets[x]) for x in self.signers}


@pytest.fixture(params=ALL)
def run(request: pytest.FixtureRequest) -> Run:
    return Run(request.param)


def test_nonces_and_commitments(run: Run) -> None:
    for x, signer in run.signers.items():
        commitment = run.nonces[x].commitment
        assert commitment.hiding.to_bytes().hex() == signer["hiding_commitment"]
        assert commitment.binding.to_bytes().hex() == signer["binding_commitment"]
        assert run.nonces[x].take() == (run.scalar(signer["hiding_nonce"]), run.scalar(signer["binding_nonce"]))


def test_binding_factors(run: Run) -> None:
    for x, signer in run.signers.items():
        hashed = run.signing.binding_prefix() + run.group.encode_scalar(x)
        assert hashed.hex() == signer["binding_factor_input"]
        assert run.signing.binding_factors[x] == run.scalar(signer["binding_factor"])


def test_the_list_is_in_order_of_identifiers(run: Run) -> None:
    given = {x: run.nonces[x].commitment for x in reversed(run.nonces)}
    assert list(given) != sorted(given)
    assert Signing(run.suite, run.key, run.message, given).binding_prefix() == run.signing.binding_prefix()


def test_signature_shares_and_signature(run: Run) -> None:
    shares = run.shares()
    for x, signer in run.signers.items():
        assert shares[x] == run.scalar(signer["signature_share"])
        assert run.signing.holds(x, shares[x], run.group.base_mul(run.secrets[x]))
    signature = run.signing.signature(shares)
    assert signature is not None
    assert signature.hex() == run.vector["signature"]
    assert run.suite.verify(run.key.public, run.message, signature)


def test_what_is_not_the_signature_does_not_verify(run: Run) -> None:
    signature = bytes.fromhex(run.vector["signature"])
    for at in range(0, len(signature), 7):
        changed = bytearray(signature)
        changed[at] ^= 4
        assert not run.suite.verify(run.key.public, run.message, bytes(changed)), at
    assert not run.suite.verify(run.key.public, run.message + b"\x00", signature)
    other = run.group.add(run.key.public, run.group.generator)
    assert not run.suite.verify(other, run.message, signature)
    for cut in (b"", signature[:-1], signature + b"\x00"):
        assert not run.suite.verify(run.key.public, run.message, cut)


@pytest.mark.parametrize("wrong", ["share", "x", "public share"])
def test_a_wrong_share_does_not_hold(run: Run, wrong: str) -> None:
    shares, points = run.shares(), {x: run.group.base_mul(secret) for x, secret in run.secrets.items()}
    x, other = shares
    assert not run.signing.holds(
        other if wrong == "x" else x, shares[x] + (wrong == "share"), points[2 if wrong == "public share" else x]
    )
    assert run.signing.signature({**shares, x: shares[x] + 1}) is None


def test_nonces_serve_once(run: Run) -> None:
    run.shares()
    with pytest.raises(RuntimeError, match="used"):
        run.shares()
    for x in run.signers:
        with pytest.raises(RuntimeError, match="used"):
            run.nonces[x].take()
        assert "redacted" in repr(run.nonces[x])


def test_nonces_depend_on_randomness_and_share_and_use(run: Run) -> None:
    drawn: list[tuple[str, int]] = []

    def draw(label: str, size: int) -> bytes:
        drawn.append((label, size))
        return bytes(size)

    made = [Nonces.fresh(run.suite, secret, draw).take() for secret in (1, 1, 2)]
    assert made[0] == made[1]
    assert set(made[0]).isdisjoint(made[2])
    assert drawn[:2] == [("nonce/hiding", 32), ("nonce/binding", 32)]
    assert make_nonce(run.suite, 1, bytes(32)) != make_nonce(run.suite, 1, bytes(31) + b"\x01")


def test_nonces_that_add_up_to_nothing_end_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(run.suite), "h1", lambda *_: 1)
    commitments = {
        1: Nonces(run.group, 5, 6).commitment,
        3: Nonces(run.group, run.group.order - 4, run.group.order - 7).commitment,
    }
    with pytest.raises(Abort, match="zero"):
        Signing(run.suite, run.key, b"", commitments)


def test_binding_factors_depend_on_all_that_is_agreed(run: Run) -> None:
    commitments: dict[int, Any] = {x: nonces.commitment for x, nonces in run.nonces.items()}
    seen = {run.signing.binding_factors[1]}
    seen.add(Signing(run.suite, run.key, run.message + b"!", commitments).binding_factors[1])
    other = SigningKey(run.group, run.group.base_mul(2))
    seen.add(Signing(run.suite, other, run.message, commitments).binding_factors[1])
    changed = {**commitments, 3: Nonces(run.group, 5, 6).commitment}
    seen.add(Signing(run.suite, run.key, run.message, changed).binding_factors[1])
    assert len(seen) == 4


def test_suites_are_told_apart() -> None:
    assert len({suite.context for suite in ALL.values()}) == len(ALL)
    assert ALL["bip340"].h1(b"x") != ALL["secp256k1"].h1(b"x")
    assert len({ALL["ed25519"].h1(b"x"), ALL["ed25519"].h3(b"x")}) == 2
    assert ALL["ed25519"].h4(b"x") != ALL["ed25519"].h5(b"x")
