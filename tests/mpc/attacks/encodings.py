"""Encodings of each group that are no point or no scalar of it, though `mpc.wire` lets their lengths pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mpc.ed25519 import ED25519
from mpc.group import SECP256K1, Group

# What becomes of an honest encoding.
Encoding = Callable[[bytes], bytes]

_P = 2**255 - 19
_SIGN = 2**255


def _with_torsion(point: bytes) -> bytes:
    """The point plus the one of order 2: −y with the other sign of x. On the curve, not of prime order."""
    number = int.from_bytes(point, "little")
    y, sign = number % _SIGN, number - number % _SIGN
    return (_P - y + _SIGN - sign).to_bytes(32, "little")


_NO_POINTS: Mapping[Group, Mapping[str, Encoding]] = {
    SECP256K1: {
        "not on the curve": lambda own: b"\x02" + (5).to_bytes(32, "big"),
        "identity": lambda own: bytes(33),
        "beyond the field": lambda own: b"\x02" + b"\xff" * 32,
        "another form": lambda own: b"\x04" + own[1:],
    },
    ED25519: {
        "not on the curve": lambda own: (7).to_bytes(32, "little"),
        "identity": lambda own: (1).to_bytes(32, "little"),
        "beyond the field": lambda own: (_P + 3).to_bytes(32, "little"),
        "of order 4": lambda own: bytes(32),
        "not of prime order": _with_torsion,
    },
}


def no_points(group: Group) -> Mapping[str, Encoding]:
    """Of the group's length, and not one of its points."""
    return _NO_POINTS[group]


def not_reduced(group: Group) -> bytes:
    """The order as a scalar: 32 bytes."""
    return group.order.to_bytes(32, "little" if group is ED25519 else "big")


def of_other_group(encoding: bytes) -> bytes:
    """A point or a proof in the length that the other group's have: 32 and 33 bytes, 64 and 65."""
    return encoding[:-1] if len(encoding) % 32 else encoding + b"\0"
