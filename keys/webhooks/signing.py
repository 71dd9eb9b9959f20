"""The secret of an endpoint, and the signature under which it gets its messages (Standard Webhooks 1.0, symmetric).

A secret authenticates messages and guards no share; so that the processes without a keystore can use it, it is sealed
under a key derived from `VERTEX_SECRET_KEY`: who replaces that must make the endpoints again.
"""

import base64
import hashlib
import hmac
import secrets
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

SECRET = 32  # bytes
PREFIX = "whsec_"
_NONCE = 12


class Unsealable(Exception):
    """The sealed secret is of another `VERTEX_SECRET_KEY`, or of another endpoint."""


def new_secret() -> bytes:
    """32 random bytes."""
    return secrets.token_bytes(SECRET)


def shown(secret: bytes) -> str:
    """A secret as libraries of the standard take it: ``whsec_`` and base64."""
    return PREFIX + base64.b64encode(secret).decode()


def seal(secret: bytes, *, endpoint: UUID) -> bytes:
    """nonce (12) ‖ ciphertext (32) ‖ tag (16), bound to the endpoint."""
    nonce = secrets.token_bytes(_NONCE)
    return nonce + _key().encrypt(nonce, secret, endpoint.bytes)


def unseal(sealed: bytes, *, endpoint: UUID) -> bytes:
    """The secret. Raises Unsealable."""
    try:
        return _key().decrypt(sealed[:_NONCE], sealed[_NONCE:], endpoint.bytes)
    except (InvalidTag, ValueError) as error:
        raise Unsealable from error


def _key() -> ChaCha20Poly1305:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"vertex/webhook-secret/1")
    return ChaCha20Poly1305(derived.derive(settings.SECRET_KEY.encode()))


def headers(secret: bytes, *, message_id: str, timestamp: int, payload: bytes) -> dict[str, str]:
    """The standard's three headers: id, time (seconds) and HMAC-SHA256 over ``id.timestamp.payload``."""
    signed = b".".join((message_id.encode(), str(timestamp).encode(), payload))
    mac = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": f"v1,{mac}"}
