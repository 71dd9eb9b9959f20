"""The last checks of key generation and resharing, one by one: sessions of honest code never get to them."""

from unittest.mock import patch

import pytest

from mpc import keygen
from mpc.dealing import Dealing
from mpc.errors import Abort, Blame, Malformed
from mpc.findings import blaming
from mpc.group import SECP256K1 as G
from mpc.group import Point
from mpc.hashing import TH
from mpc.keygen import KeygenConfig
from mpc.outcome import check_feldman, check_outcomes, own_share
from mpc.proofs import prove_share
from mpc.shares import check_quorum
from mpc.statements import joint_polynomial
from mpc.wire import Opening, Outcome
from tests.mpc.pairs import Draws
from tests.mpc.simulator import identities, run_keygen

POINTS = (G.base_mul(7), G.base_mul(11))
DIGEST = TH("test/digest")


def test_a_share_is_the_sum_that_lies_on_the_polynomial() -> None:
    assert own_share(G, (7 + 1, 2 * 11 - 1), POINTS, 2) == 29
    assert own_share(G, (G.order + 29,), POINTS, 2) == 29


@pytest.mark.parametrize(
    ("sub_shares", "points"),
    [
        pytest.param((30,), POINTS, id="off the polynomial"),
        pytest.param((0,), POINTS, id="zero, and off it"),
        pytest.param((), (G.negate(G.base_mul(22)), G.base_mul(11)), id="zero, and on it"),
        pytest.param((G.order - 1, 1), (G.negate(G.base_mul(22)), G.base_mul(11)), id="a sum of zero, on it"),
    ],
)
def test_no_share(sub_shares: tuple[int, ...], points: tuple[Point, ...]) -> None:
    with pytest.raises(Abort, match="is not the share"):
        own_share(G, sub_shares, points, 2)


@pytest.mark.parametrize(
    "points",
    [
        pytest.param((G.identity, G.base_mul(7)), id="no key"),
        pytest.param((G.base_mul(7), G.identity), id="a lower threshold"),
        pytest.param((G.generator, G.base_mul(7)), id="the key of 1"),
    ],
)
def test_a_degenerate_sum_is_refused(points: tuple[Point, ...]) -> None:
    check_feldman(G, POINTS)
    check_feldman(G, (G.base_mul(7), G.generator))
    with pytest.raises(Abort, match="degenerate"):
        check_feldman(G, points)


def dealt(*secrets: tuple[int, int]) -> tuple[dict[bytes, bytes], dict[bytes, Opening], dict[bytes, Point]]:
    """Commitments, openings and constant terms of dealers with these polynomials."""
    commitments, openings, expected = {}, {}, {}
    for one, (constant, slope) in zip(identities("AB"), secrets, strict=True):
        dealing = Dealing(G, DIGEST, one.public, 2, Fixed(slope), constant=constant)
        commitments[one.public], openings[one.public] = dealing.commitment, dealing.opening
        expected[one.public] = dealing.points[0]
    return commitments, openings, expected


class Fixed(Draws):
    """Draws by which the second coefficient is given."""

    def __init__(self, slope: int) -> None:
        super().__init__("outcome", {"1": (slope - 1).to_bytes(48, "big")})

    def __call__(self, label: str, size: int) -> bytes:
        return super().__call__(label, size) if label.startswith("coefficient") else Draws(label)(label, size)


def test_a_joint_polynomial_has_its_degree_and_its_key() -> None:
    commitments, openings, expected = dealt((3, 5), (4, 6))
    _, joint = joint_polynomial(G, DIGEST, 2, expected, G.base_mul(7), commitments, openings)
    assert joint == (G.base_mul(7), G.base_mul(11))
    with pytest.raises(Abort, match="do not add up"):
        joint_polynomial(G, DIGEST, 2, expected, G.base_mul(8), commitments, openings)


def test_slopes_that_cancel_are_degenerate() -> None:
    commitments, openings, expected = dealt((3, 5), (4, G.order - 5))
    with pytest.raises(Abort, match="degenerate"):
        joint_polynomial(G, DIGEST, 2, expected, G.base_mul(7), commitments, openings)


def test_a_key_generation_asks_for_that_check() -> None:
    with patch.object(keygen, "check_feldman", side_effect=Abort("degenerate")):
        outcomes = run_keygen(identities("AB"), 2)
    assert {str(outcome) for outcome in outcomes.values()} == {"degenerate"}


def test_outcomes_abort_for_a_digest_and_blame_for_a_proof() -> None:
    a, b = identities("AB")
    shares = {one.public: G.base_mul(5 + i) for i, one in enumerate((a, b))}

    def outcome(secret: int, party: bytes, digest: bytes = DIGEST) -> Outcome:
        return Outcome(digest=digest, proof=prove_share(G, secret, party, digest, Draws("proof")))

    good = {a.public: outcome(5, a.public), b.public: outcome(6, b.public)}
    check_outcomes(G, DIGEST, shares, good)
    with pytest.raises(Abort, match="digests differ"):
        check_outcomes(G, DIGEST, shares, good | {a.public: outcome(5, a.public, TH("other"))})
    with pytest.raises(Blame) as blame:
        check_outcomes(G, DIGEST, shares, good | {b.public: outcome(5, b.public)})
    assert blame.value.culprits == {b.public}


def test_blaming_speaks_at_once() -> None:
    with pytest.raises(Blame) as blame, blaming(b"party"):
        raise Malformed("something")
    assert (blame.value.culprits, blame.value.ban) == ({b"party"}, False)


@pytest.mark.parametrize(("t", "n"), [(2, 2), (2, 32), (32, 32), (3, 5)])
def test_quorums(t: int, n: int) -> None:
    check_quorum(t, tuple(bytes((i,)) * 32 for i in range(n)))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_an_identity_of_another_length_is_none(size: int) -> None:
    with pytest.raises(ValueError, match="an identity is 32 bytes"):
        check_quorum(2, (bytes(32), b"\1" * 32, b"\2" * size))


@pytest.mark.parametrize(("t", "n"), [(1, 2), (0, 2), (3, 2), (2, 33), (33, 33), (2, 1)])
def test_no_quorums(t: int, n: int) -> None:
    with pytest.raises(ValueError, match="a quorum needs"):
        check_quorum(t, tuple(bytes((i,)) * 32 for i in range(n)))
    with pytest.raises(ValueError, match="a quorum needs"):
        KeygenConfig(room="room", scheme="ecdsa", t=t, identities=tuple(bytes((i,)) * 32 for i in range(n)))
