"""ECDSA signatures: putting the parties' shares together, and verifying before anything is released."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from coincurve import PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from mpc.errors import Abort
from mpc.findings import Findings
from mpc.group import SECP256K1, Point
from mpc.wire import SignShare

_GROUP = SECP256K1


@dataclass(frozen=True)
class Signature:
    """A verified ECDSA signature: s low, v the recovery id (2 and 3 where r ≥ q before reduction)."""

    r: int
    s: int
    v: int

    @property
    def der(self) -> bytes:
        """DER, 70 to 72 bytes as a rule."""
        return encode_dss_signature(self.r, self.s)

    @property
    def compact(self) -> bytes:
        """r ‖ s ‖ v, 65 bytes: what the key is recovered from."""
        return _GROUP.encode_scalar(self.r) + _GROUP.encode_scalar(self.s) + bytes((self.v,))


def assemble(shares: Mapping[bytes, SignShare], nonce_point: Point, digest: bytes, child_key: bytes) -> Signature:
    """s = Σw / Σu, made low and verified, its recovery id too. A bad signature names no culprit.

    It is verified by recovering the key: a signer who turns Σw into −Σw changes v and nothing else, and then the
    signature recovers another party's address.
    """
    findings, w, u = Findings(), 0, 0
    for party, message in shares.items():
        with findings.about(party):
            w += _GROUP.decode_scalar(message.w)
            u += _GROUP.decode_scalar(message.u)
    findings.conclude()
    if u % _GROUP.order == 0:
        raise Abort("the signature is not valid")
    encoded = nonce_point.to_bytes()
    x_of_nonce, odd = int.from_bytes(encoded[1:], "big"), encoded[0] & 1
    r, s = x_of_nonce % _GROUP.order, w * pow(u, -1, _GROUP.order) % _GROUP.order
    high = s > _GROUP.order // 2
    signature = Signature(r, _GROUP.order - s if high else s, 2 * (x_of_nonce >= _GROUP.order) + (odd ^ high))
    if s == 0 or not _recovers(signature, digest, child_key):
        raise Abort("the signature is not valid")
    return signature


def _recovers(signature: Signature, digest: bytes, child_key: bytes) -> bool:
    """Whether ``child_key`` is the key that r, s and v recover: stronger than that r and s verify under it."""
    try:
        return PublicKey.from_signature_and_message(signature.compact, digest, None).format() == child_key
    except ValueError:
        return False
