"""What copies of shares are worth. Vertices erase theirs: here the same protocols run in memory."""

import secrets
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from cluster.bench.memory import run
from mpc.errors import ParameterMismatch
from mpc.group import SECP256K1
from mpc.identity import Identity
from mpc.keygen import KeygenConfig, keygen
from mpc.protocol import SystemRng
from mpc.reshare import ReshareConfig, reshare
from mpc.shares import PairState, Share
from mpc.sharing import interpolate
from mpc.sign import SignRequest, sign

OLD, NEW = "ABC", "ABDEF"


@dataclass(frozen=True, eq=False)
class Copy:
    """All that a party needs to sign."""

    owner: Identity
    share: Share
    pairs: Mapping[bytes, PairState]


def both_generations() -> tuple[dict[str, Copy], dict[str, Copy]]:
    """Every share of a 2-of-3 key of A, B, C and of its reshare to 3-of-5 (C leaves, D, E, F join), by name."""
    people = {name: Identity(secrets.token_bytes(32)) for name in "ABCDEF"}
    made = KeygenConfig(room="copies", scheme="ecdsa", t=2, identities=tuple(people[name].public for name in OLD))
    first = run({people[name].public: keygen(people[name], made, SystemRng()) for name in OLD}).results
    old = {name: _copy(people[name], first[people[name].public]) for name in OLD}
    second = run(
        {
            one.public: reshare(one, _config(name, people), old[name].share if name in old else None, SystemRng())
            for name, one in people.items()
        }
    ).results
    return old, {name: _copy(people[name], second[people[name].public]) for name in NEW}


def _copy(owner: Identity, result: object) -> Copy:
    return Copy(owner, result.share, result.pairs)  # type: ignore[attr-defined]


def _config(name: str, people: Mapping[str, Identity]) -> ReshareConfig:
    return ReshareConfig(
        room="copies",
        size=len(people),
        scheme="ecdsa",
        new_identities=tuple(people[each].public for each in NEW),
        new_t=3,
        store_by=120,
        vote_by=604_800,
        role="joining" if name not in OLD else "existing" if name in NEW else "departing",
        deals=name in OLD,
    )


def gives_the_key(copies: Collection[Copy]) -> bool:
    """Whether these shares, taken as points of one polynomial, give the private key."""
    points = {copy.share.x: SECP256K1.base_mul(copy.share.scalar) for copy in copies}
    known = next(iter(copies)).share.public_key
    return len(points) == len(copies) and interpolate(SECP256K1, points).to_bytes() == known


def mixes(old: Collection[Copy], new: Collection[Copy], size: int) -> Iterator[tuple[Copy, ...]]:
    """Every set of so many copies that takes at least one of either generation."""
    for count in range(1, size):
        for some in combinations(old, count):
            for others in combinations(new, size - count):
                yield (*some, *others)


def refuse_each_other(signers: Collection[Copy]) -> bool:
    """Whether honest signers with these shares end before anything private is said: their generations differ."""
    request = SignRequest(room="copies", size=len(signers), digest=secrets.token_bytes(32))
    try:
        run({copy.owner.public: sign(copy.owner, copy.share, copy.pairs, request, SystemRng()) for copy in signers})
    except ParameterMismatch:
        return True
    return False
