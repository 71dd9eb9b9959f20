"""What can go wrong in a protocol: who is to blame, and how sure we are.

Only authenticated content is ever blamed (cryptography.md, sections 2 and 9): a frame that fails its signature is
dropped by the channel and never becomes one of these.
"""

from collections.abc import Iterable


class ProtocolError(Exception):
    """Base of all that ends a protocol run."""


class Malformed(ProtocolError):
    """Bytes that do not parse: wrong length, invalid point, scalar ≥ q.

    Names nobody by itself. The caller who knows that the bytes were signed turns it into `Blame` of the signer.
    """


class CheckFailed(ProtocolError):
    """A consistency check of the two-party layers failed: the other party cheated.

    The caller knows who that is and turns this into `Blame(..., ban=True)`: a failed check costs one bit of a secret
    that several sessions share, so the pair's set-up is never used again. `check` is "pprf", "extension" or "mu".
    """

    def __init__(self, check: str) -> None:
        super().__init__(f"check failed: {check}")
        self.check = check


class Blame(ProtocolError):
    """Parties that provably, or as seen from here, cheated.

    `culprits` are 32-byte identities. `ban`: the pair's OT state must be destroyed, durably, before any answer.
    `evidence`: bytes by which others can judge for themselves (see `mpc.dealing.judge`), or empty.
    """

    def __init__(self, culprits: Iterable[bytes], reason: str, *, ban: bool = False, evidence: bytes = b"") -> None:
        super().__init__(reason)
        self.culprits = frozenset(culprits)
        self.reason = reason
        self.ban = ban
        self.evidence = evidence


class Abort(ProtocolError):
    """The run ended and nobody can be blamed for it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ParameterMismatch(Abort):
    """The parties were asked for different things: `field` names the first parameter that differs."""

    def __init__(self, field: str) -> None:
        super().__init__(f"parameters differ: {field}")
        self.field = field
