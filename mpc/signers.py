"""Who may take part in a signature, with what: the same for every scheme, for one request and for a batch."""

from mpc.identity import Identity
from mpc.protocol import Rng, SeededRng
from mpc.shares import Share


def check_signer(me: Identity, share: Share, size: int, rng: Rng) -> None:
    """ValueError for another party's share, a number of signers that the key does not allow, replayable randomness."""
    if isinstance(rng, SeededRng):
        raise ValueError("signing takes its randomness from the operating system")
    if me.public != share.identity:
        raise ValueError("not a share of this party")
    if not share.t <= size <= share.n:
        raise ValueError(f"a signature needs {share.t} to {share.n} signers, not {size}")
