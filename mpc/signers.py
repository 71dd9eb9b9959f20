"""Who may take part in a signature, with what: the same for every scheme, for one request and for a batch."""

from __future__ import annotations

from typing import Any

from mpc.channel import Session, open_session
from mpc.identity import Identity
from mpc.protocol import Protocol, Rng, SeededRng
from mpc.shares import Share
from mpc.sharing import ranks
from mpc.wire import QuorumFields


def check_signer(me: Identity, share: Share, size: int, rng: Rng) -> None:
    """ValueError for another party's share, a number of signers that the key does not allow, replayable randomness."""
    if isinstance(rng, SeededRng):
        raise ValueError("signing takes its randomness from the operating system")
    if me.public != share.identity:
        raise ValueError("not a share of this party")
    if not share.t <= size <= share.n:
        raise ValueError(f"a signature needs {share.t} to {share.n} signers, not {size}")


def quorum_fields(share: Share, room: str, size: int) -> dict[str, Any]:
    """The fields of `QuorumFields` by name, for a message that adds its own."""
    return {
        "room": room,
        "scheme": share.scheme,
        "size": size,
        "t": share.t,
        "identities": share.identities,
        "gid": share.gid,
        "public_key": share.public_key,
    }


def open_signing(
    me: Identity, protocol: str, fields: QuorumFields, rng: Rng, *, index: int = 0, extra: bytes = b""
) -> Protocol[Session]:
    """The hello round of the signers of ``fields``: as `open_session`, among the parties of their quorum."""
    return (
        yield from open_session(
            me,
            protocol,
            "signer",
            fields,
            room=fields.room,
            size=fields.size,
            coordinates=ranks(fields.identities),
            rng=rng,
            index=index,
            extra=extra,
        )
    )
