"""What a party keeps of a set-up: one state per counterparty and role, for one generation.

Shared by all sessions of the pair, so it dies with the first failed check (cryptography.md, section 9) and with its
generation. Stored sealed only.
"""

from dataclasses import dataclass
from typing import Final, Self, final

import numpy as np
from numpy.typing import NDArray

from mpc.errors import Malformed
from mpc.params import BASE_OTS, GROUPS, LEAVES, SEED_LENGTH
from mpc.secret import Confidential

Bytes = NDArray[np.uint8]

_DELTA: Final = BASE_OTS // 8
ALICE_STATE_LENGTH: Final = _DELTA + GROUPS * (LEAVES - 1) * SEED_LENGTH
BOB_STATE_LENGTH: Final = GROUPS * LEAVES * SEED_LENGTH


@final
@dataclass(frozen=True, slots=True, repr=False, eq=False)
class AliceState(Confidential):
    """Δ (16 bytes) and all leaves but the hidden ones, by distance: uint8 (64, 3, 16). See `mpc.ot.pprf`."""

    delta: bytes
    leaves: Bytes

    def encode(self) -> bytes:
        """16 + 64·3·16 = 3,088 bytes, secret."""
        return self.delta + self.leaves.tobytes()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises Malformed for a wrong length."""
        if len(data) != ALICE_STATE_LENGTH:
            raise Malformed("OT state of Alice: length")
        leaves = np.frombuffer(data, np.uint8, offset=_DELTA)
        return cls(data[:_DELTA], leaves.reshape(GROUPS, LEAVES - 1, SEED_LENGTH))


@final
@dataclass(frozen=True, slots=True, repr=False, eq=False)
class BobState(Confidential):
    """All leaves, uint8 (64, 4, 16)."""

    leaves: Bytes

    def encode(self) -> bytes:
        """64·4·16 = 4,096 bytes, secret."""
        return self.leaves.tobytes()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises Malformed for a wrong length."""
        if len(data) != BOB_STATE_LENGTH:
            raise Malformed("OT state of Bob: length")
        return cls(np.frombuffer(data, np.uint8).reshape(GROUPS, LEAVES, SEED_LENGTH))
