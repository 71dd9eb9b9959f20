"""Non-hardened derivation as an additive offset: BIP32 on secp256k1, our own likeness of it on Ed25519
(cryptography.md, section 12).

A child key is never exported: child key and chain code together give the parent key.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from mpc.errors import Malformed
from mpc.group import SECP256K1, Group, Point
from mpc.wire import MAX_PATH

HARDENED = 2**31


def parse_path(path: str | Sequence[int | str]) -> tuple[int, ...]:
    """The indices of "m/0/1", [0, 1] or ["0", "1"]. ValueError for a hardened or malformed index or more than 32
    levels.
    """
    if isinstance(path, str):
        head, *steps = path.split("/")
        if head not in ("m", "M"):
            raise ValueError("a derivation path starts with m")
        items: Sequence[int | str] = steps
    else:
        items = path
    if len(items) > MAX_PATH:
        raise ValueError(f"a derivation path has at most {MAX_PATH} levels")
    return tuple(_index(item) for item in items)


def _index(item: int | str) -> int:
    if isinstance(item, str):
        if not (item.isascii() and item.isdigit() and len(item) <= 10):
            raise ValueError("an index of a derivation path is a decimal number; hardened ones can't be derived")
        item = int(item)
    if isinstance(item, bool) or not isinstance(item, int) or not 0 <= item < HARDENED:
        raise ValueError("an index of a derivation path is 0 … 2^31 − 1: the public key has no hardened children")
    return item


def offset(public_key: bytes, chain_code: bytes, path: Sequence[int], group: Group = SECP256K1) -> tuple[int, bytes]:
    """(δ, child public key) with child = public_key + δ·G. ValueError for an index that has no child."""
    delta, point, _ = _walk(group, public_key, chain_code, path)
    return delta, point.to_bytes()


def child(public_key: bytes, chain_code: bytes, path: Sequence[int], group: Group = SECP256K1) -> tuple[bytes, bytes]:
    """(public key, chain code (32 B)) at the end of the path."""
    _, point, code = _walk(group, public_key, chain_code, path)
    return point.to_bytes(), code


def _walk(group: Group, public_key: bytes, chain_code: bytes, path: Sequence[int]) -> tuple[int, Point, bytes]:
    if len(chain_code) != 32:
        raise ValueError("a chain code is 32 bytes")
    try:
        point = group.decode(public_key)
    except Malformed as error:
        raise ValueError("not a public key") from error
    delta = 0
    for index in path:
        step, chain_code = _step(group, chain_code, point, _index(index))
        point = group.add(point, group.base_mul(step))
        if point.is_identity:
            raise ValueError(f"index {index} has no child key")
        delta = (delta + step) % group.order
    return delta, point, chain_code


def _step(group: Group, chain_code: bytes, point: Point, index: int) -> tuple[int, bytes]:
    """One level's offset and the next chain code.

    BIP32 rejects I_L ≥ order, which never happens on secp256k1. Elsewhere (adr 0008) I_L is reduced, under a prefix of
    its own: on Ed25519 it would be too large fifteen times in sixteen.
    """
    data = point.to_bytes() + index.to_bytes(4, "big")
    if group is SECP256K1:
        image = hmac.digest(chain_code, data, hashlib.sha512)
        step = int.from_bytes(image[:32], "big")
        if step >= group.order:
            raise ValueError(f"index {index} has no child key")
        return step, image[32:]
    image = hmac.digest(chain_code, f"vertex/derive/{group.name}".encode() + data, hashlib.sha512)
    return int.from_bytes(image[:32], "big") % group.order, image[32:]
