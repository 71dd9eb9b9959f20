"""Shamir, Feldman, Schnorr: the algebra, and each thing that a proof is bound to."""

from itertools import combinations

import pytest

from mpc import proofs
from mpc.errors import Abort
from mpc.group import SECP256K1 as G
from mpc.outcome import check_feldman, own_share
from mpc.sharing import Polynomial, add_commitments, evaluate, interpolate, lagrange, ranks
from tests.mpc.pairs import Draws
from tests.mpc.simulator import flipped


@pytest.mark.parametrize(("t", "n"), [(2, 2), (2, 3), (3, 5)])
def test_any_t_shares_give_the_secret_and_fewer_another(t: int, n: int) -> None:
    polynomial = Polynomial.random(G, t, Draws(f"sharing {t} {n}"), constant=42)
    shares = {x: polynomial.at(x) for x in range(1, n + 1)}
    for size in range(1, n + 1):
        for xs in combinations(shares, size):
            secret = sum(lagrange(G, x, xs) * shares[x] for x in xs) % G.order
            assert (secret == 42) == (size >= t), xs


def test_feldman_points_give_every_public_share() -> None:
    polynomials = [Polynomial.random(G, 3, Draws(f"feldman {i}")) for i in range(2)]
    points = add_commitments(G, [polynomial.commit() for polynomial in polynomials])
    public_shares = {x: G.base_mul(sum(polynomial.at(x) for polynomial in polynomials)) for x in (1, 2, 5)}
    assert {x: evaluate(G, points, x) for x in public_shares} == public_shares
    assert interpolate(G, public_shares) == points[0]


def test_commitments_of_different_degrees_do_not_add() -> None:
    polynomials = [Polynomial.random(G, t, Draws(f"degree {t}")) for t in (2, 3)]
    with pytest.raises(ValueError, match="zip"):
        add_commitments(G, [polynomial.commit() for polynomial in polynomials])


def test_nobody_is_dealt_the_secret() -> None:
    polynomial = Polynomial.random(G, 2, Draws("zero"))
    with pytest.raises(ValueError, match="x = 0"):
        polynomial.at(0)
    assert all(str(coefficient) not in repr(polynomial) for coefficient in polynomial.coefficients)


def test_coordinates_are_ranks_and_identities_distinct() -> None:
    assert ranks([b"c", b"a", b"b"]) == {b"a": 1, b"b": 2, b"c": 3}
    with pytest.raises(ValueError, match="twice"):
        ranks([b"a", b"b", b"a"])


@pytest.mark.parametrize(
    "points",
    [
        pytest.param((G.identity, G.base_mul(2)), id="no key"),
        pytest.param((G.base_mul(2), G.identity), id="a lower threshold"),
        pytest.param((G.generator, G.base_mul(2)), id="the generator as key"),
    ],
)
def test_degenerate_joint_polynomials_abort(points) -> None:
    with pytest.raises(Abort, match="degenerate"):
        check_feldman(G, points)


@pytest.mark.parametrize("sub_shares", [[5, G.order - 5], [5, 6]], ids=["zero", "not on the polynomial"])
def test_an_own_share_that_does_not_fit_aborts(sub_shares) -> None:
    points = (G.base_mul(7), G.base_mul(3)) if sum(sub_shares) % G.order else (G.base_mul(-3), G.base_mul(3))
    with pytest.raises(Abort, match="not the share"):
        own_share(G, sub_shares, points, 1)
    assert own_share(G, [4, 6], (G.base_mul(7), G.base_mul(3)), 1) == 10


CONTEXT = (b"sid", b"prover", b"purpose", b"\0")
PROOF = proofs.prove(G, 5, G.base_mul(5), CONTEXT, Draws("proof"), "nonce")


def test_a_proof_verifies() -> None:
    assert len(PROOF) == 65
    assert proofs.verify(G, G.base_mul(5), CONTEXT, PROOF)


@pytest.mark.parametrize(
    ("statement", "context", "proof"),
    [
        pytest.param(6, CONTEXT, PROOF, id="another statement"),
        *(
            pytest.param(5, (*CONTEXT[:i], CONTEXT[i] + b"!", *CONTEXT[i + 1 :]), PROOF, id=f"another {name}")
            for i, name in enumerate(("session", "prover", "purpose", "index"))
        ),
        pytest.param(5, CONTEXT, flipped(PROOF), id="response"),
        pytest.param(5, CONTEXT, flipped(PROOF, 0), id="commitment"),
        pytest.param(5, CONTEXT, PROOF[:-1], id="short"),
        pytest.param(5, CONTEXT, PROOF + b"\0", id="long"),
        pytest.param(5, CONTEXT, PROOF[:33] + b"\xff" * 32, id="response not reduced"),
        pytest.param(5, CONTEXT, b"", id="empty"),
    ],
)
def test_a_proof_is_bound_to_its_place(statement: int, context: tuple[bytes, ...], proof: bytes) -> None:
    assert not proofs.verify(G, G.base_mul(statement), context, proof)


def test_one_draw_for_two_proofs_gives_two_nonces() -> None:
    """One nonce under two challenges is the secret."""
    cases = [(5, CONTEXT), (6, CONTEXT), (5, (b"another", *CONTEXT[1:]))]
    proved = [proofs.prove(G, x, G.base_mul(x), context, Draws("same"), "nonce")[:33] for x, context in cases]
    assert len(set(proved)) == len(cases)


def test_a_share_proof_names_party_and_digest() -> None:
    proof = proofs.prove_share(G, 9, b"party", b"digest", Draws("share"))
    assert proofs.verify_share(G, G.base_mul(9), b"party", b"digest", proof)
    assert not proofs.verify_share(G, G.base_mul(9), b"other", b"digest", proof)
    assert not proofs.verify_share(G, G.base_mul(9), b"party", b"other", proof)
