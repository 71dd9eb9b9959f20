"""Reshares of a 2-of-3 ECDSA key of A, B and C."""

from typing import Any

from tests.mpc.simulator import Network, identity, key, reshare_parties

OLD = key("ABC", 2)
A, B, C = (identity(name).public for name in "ABC")
SORTED = tuple(sorted((A, B, C)))
PUBLIC_KEY = OLD[A].share.public_key


def run(names: str, new: str, new_t: int, network: Network | None = None, **special: Any) -> dict[bytes, Any]:
    return (network or Network()).run(reshare_parties(OLD, names, new, new_t, special=special))
