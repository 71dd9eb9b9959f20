"""BIP340's keys and signatures and BIP341's tweak, over libsecp256k1.

A key is the 32 bytes of a point's x-coordinate and means the point with even y.
"""

from __future__ import annotations

import hashlib

from coincurve import PublicKeyXOnly

from mpc.group import SECP256K1, Point

KEY_BYTES = 32
SIGNATURE_BYTES = 64


def tagged_hash(tag: str, *parts: bytes) -> bytes:
    """BIP340's: SHA-256 of the tag's hash, twice, and the parts."""
    prefix = hashlib.sha256(tag.encode()).digest()
    return hashlib.sha256(b"".join((prefix, prefix, *parts))).digest()


def x_only(public_key: bytes) -> bytes:
    """The 32 bytes of x from a compressed point (33 B)."""
    return public_key[1:]


def has_even_y(point: Point) -> bool:
    """Of a point that is not the identity (ValueError)."""
    return point.to_bytes()[0] == 2


def lift_x(key: bytes) -> Point:
    """The point with even y. Raises Malformed for a wrong length and where no point has this x."""
    return SECP256K1.decode(b"\x02" + key)


def tap_tweak(internal_key: bytes, root: bytes) -> int:
    """BIP341's t for an internal key (32 B) and the root of its script tree (32 B; empty: there is none).

    ValueError for a t that is not below the order, which no search has ever met.
    """
    if len(root) not in (0, 32):
        raise ValueError("the root of a script tree is 32 bytes, or empty")
    tweak = int.from_bytes(tagged_hash("TapTweak", internal_key, root), "big")
    if tweak >= SECP256K1.order:
        raise ValueError("this key has no such tweak")
    return tweak


def challenge(nonce_point: Point, public_key: Point, message: bytes) -> int:
    """c for R and P, both with even y. The message is of any length."""
    x_of_nonce, key = x_only(nonce_point.to_bytes()), x_only(public_key.to_bytes())
    return int.from_bytes(tagged_hash("BIP0340/challenge", x_of_nonce, key, message), "big") % SECP256K1.order


def verify(key: bytes, message: bytes, signature: bytes) -> bool:
    """True if ``signature`` (64 B) is one of ``message`` under the x-only ``key`` (32 B)."""
    if len(key) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        return bool(PublicKeyXOnly(key).verify(signature, message))
    except ValueError:
        return False
