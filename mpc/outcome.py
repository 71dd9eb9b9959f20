"""The end of key generation and resharing: everybody agrees on one digest, and proves its new share bound to it."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping

from mpc import proofs
from mpc.errors import Abort, Malformed
from mpc.findings import Findings
from mpc.group import Group, Point
from mpc.protocol import Draw
from mpc.sharing import evaluate
from mpc.wire import Outcome


def own_share(group: Group, sub_shares: Iterable[int], feldman: tuple[Point, ...], x: int) -> int:
    """s = Σ sub-shares. Aborts unless s ≠ 0 and s·G = A(x)."""
    secret = sum(sub_shares) % group.order
    if secret == 0 or group.base_mul(secret) != evaluate(group, feldman, x):
        raise Abort("the sum of the sub-shares is not the share of this party")
    return secret


def check_feldman(group: Group, feldman: tuple[Point, ...]) -> None:
    """Aborts if a point of the sum is the identity (the threshold would be lower), or the key is trivial."""
    if any(point.is_identity for point in feldman) or feldman[0] == group.generator:
        raise Abort("the joint polynomial is degenerate")


def make_outcome(group: Group, secret: int, identity: bytes, digest: bytes, draw: Draw) -> Outcome:
    """The broadcast of K4 and R5."""
    return Outcome(digest=digest, proof=proofs.prove_share(group, secret, identity, digest, draw))


def check_outcomes(
    group: Group, digest: bytes, public_shares: Mapping[bytes, Point], outcomes: Mapping[bytes, Outcome]
) -> None:
    """Aborts if digests differ (nobody to blame until originals are compared); blames for a wrong proof."""
    equal = [hmac.compare_digest(outcome.digest, digest) for outcome in outcomes.values()]
    if not all(equal):
        raise Abort("digests differ")
    findings = Findings()
    for party, outcome in outcomes.items():
        with findings.about(party):
            if not proofs.verify_share(group, public_shares[party], party, digest, outcome.proof):
                raise Malformed("the proof of a share is wrong")
    findings.conclude()
